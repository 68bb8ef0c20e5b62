// Whoever speaks while muted is told so. A copy of the microphone's track, which stays in this page, is measured for that;
// nothing of it is sent or kept.

import { MicMeter } from "./audio.js";
import { UNHEARD } from "./messages.js";

const EVERY_MS = 100;
/** So many of the last readings have to be loud: a syllable or a knock on the table is no speech. */
const LOUD = 6;
const OF = 12;
/** A voice is that loud, and by that much louder than the room (0..1, see MicMeter). */
const LEAST = 0.4;
const OVER_ROOM = 0.18;
/** How fast the measure of the room's loudness rises, per reading: a fan that has come on is no voice. */
const RISE = 0.004;
/** It is not said again for so long (ms). */
const REST_MS = 30000;

export class Unheard {
  constructor(call) {
    this.call = call;
    this.saidAt = -REST_MS;
  }

  /** Follow what the person's microphone does. */
  follow() {
    const { audio, micLive, hushed } = this.call.person;
    this.watch(this.call.link && audio && !micLive && !hushed.has("mic") ? audio : null);
    if (micLive) this.call.stage.dismiss("muted");
  }

  /** Listen for `track` while it is muted; with null, stop. */
  watch(track) {
    if (track === this.track) return;
    this.stop();
    const { context } = this.call.sound;
    if (!track || !context) return;
    this.track = track;
    this.copy = track.clone();
    this.copy.enabled = true;
    this.meter = new MicMeter(context, new MediaStream([this.copy]));
    this.room = null;
    this.last = [];
    this.tick = setInterval(() => this.weigh(this.meter.read(), performance.now()), EVERY_MS);
  }

  weigh(level, now) {
    this.room = this.room === null ? level : Math.min(level, this.room + RISE);
    this.last.push(level > Math.max(LEAST, this.room + OVER_ROOM));
    if (this.last.length > OF) this.last.shift();
    if (this.last.filter(Boolean).length < LOUD || now - this.saidAt < REST_MS) return;
    this.last.length = 0;
    this.speaking();
  }

  speaking() {
    const { acts, link, mood, person, stage } = this.call;
    // What the agent says may come back out of the room.
    if (mood === "speaking" || link?.state !== "ready") return;
    this.saidAt = performance.now();
    const words = person.micOn ? UNHEARD.loose : UNHEARD.muted;
    stage.notice("muted", { ...words, actions: person.micOn ? [] : [["Unmute", () => acts.unmute()]], seconds: 12 });
  }

  stop() {
    clearInterval(this.tick);
    this.meter?.close();
    this.copy?.stop();
    this.track = null;
    this.copy = null;
    this.meter = null;
  }
}
