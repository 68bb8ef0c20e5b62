// What the person does in a call: mute, camera, push-to-talk, stop, words, a sense on or off; and what their devices do.

import { remember } from "./dom.js";
import { bothMessage, deviceMessage, useDevice } from "./messages.js";
import { SENSES, devicesFor, wireNames } from "./senses.js";

/** Other devices that a notice offers; Settings has all of them. */
const OFFERED = 2;

export class Acts {
  constructor(call) {
    this.call = call;
    this.ui = call.ui;
    this.$ = call.ui.$;
    this.person = call.person;
    this.stage = call.stage;
    this.person.addEventListener("problems", ({ detail }) => this.problems(detail));
  }

  problems(found) {
    for (const device of ["mic", "camera", "devices"]) if (!found.some((problem) => problem.device === device)) this.clearProblem(device);
    if (!found.length) return;
    for (const { device, code, label = "" } of found) this.call.telling.fail("device", { title: `${device}: ${code}`, detail: label, fatal: false });
    const place = this.ui.showing === "consent" ? this.$("consent-notices") : this.$("notices");
    const retry = () => this.person.open(devicesFor(this.ui.showing === "consent" ? this.call.consent.senses : this.call.senses));
    const both = found.length === 2 && found[0].code === found[1].code ? bothMessage(found[0].code) : null;
    const list = both ? [["devices", both, []]] : found.map((problem) => [problem.device, deviceMessage(problem), problem.others ?? []]);
    for (const [key, { retry: may, ...words }, others] of list) {
      const actions = others.slice(0, OFFERED).map(({ id, label }) => [useDevice(label), () => this.person.choose(key, id)]);
      this.stage.notice(key, { ...words, place, actions, retry: may ? retry : null });
    }
  }

  clearProblem(device) {
    if (device === "devices" || this.person[device === "mic" ? "audio" : "video"]) this.stage.dismiss(device);
  }

  micToggle() {
    this.person.set({ micOn: !(this.person.micOn && this.person.audio) });
    this.ui.announce(this.person.micOn ? "Microphone on" : "Microphone off");
    if (this.person.micOn && !this.person.audio) this.need("mic");
  }

  /** Off really turns it off: its light goes out, and no picture leaves. */
  cameraToggle() {
    const on = !(this.person.cameraOn && this.person.video);
    this.person.set({ cameraOn: on });
    this.ui.announce(on ? "Camera on" : "Camera off");
    if (on) this.need("camera");
    else this.person.drop("camera");
  }

  /** Open a device from its button; without a sense that needs it, say where to allow one. */
  need(device) {
    const needed = devicesFor(this.call.senses);
    if (needed[device]) this.person.open(needed);
    else this.stage.notice(device, { title: device === "mic" ? "The microphone is not used" : "The camera is not used", text: "You refused the senses that need it. Switch one on under “What I perceive”.", seconds: 8 });
  }

  /** Let the agent be heard or not, from now on and in later calls. Whoever does not hear it reads what it says. */
  voiceToggle() {
    const on = this.call.sound.muted;
    this.voice(on);
    remember("agent-muted", on ? "no" : "yes");
    this.stage.dismiss("aloud");
    this.ui.announce(on ? "The agent’s voice is on" : "The agent’s voice is off; its words are in the captions");
    if (!on) this.call.controls.captions(true, false);
  }

  voice(on) {
    this.call.sound.muted = !on;
    this.call.controls.voice(on);
  }

  /** Whoever only types may sit where nobody should hear the answers. */
  aloud() {
    if (this.call.sound.muted) return;
    this.stage.notice("aloud", { title: "The agent answers aloud", text: "Its words are in the captions, too.", actions: [["Turn its voice off", () => this.voiceToggle()]], calm: true, seconds: 20 });
  }

  unmute() {
    this.person.set({ micOn: true });
    this.ui.announce("Microphone on");
  }

  pushToTalk(enabled) {
    if (enabled && !this.person.audio) {
      this.need("mic");
      return;
    }
    // Whoever wants to talk by holding a key wants to be heard.
    this.person.set({ pushToTalk: enabled, held: false, micOn: enabled || this.person.micOn });
    this.call.link?.ask("push-to-talk", { enabled, held: false });
    this.ui.announce(enabled ? "Push to talk: hold space, or the button." : "Push to talk off.");
  }

  hold(held) {
    if (!this.person.pushToTalk || this.person.held === held) return;
    // Whoever holds the button wants to be heard, muted or not.
    this.person.set(held ? { held, micOn: true } : { held });
    this.call.link?.ask("push-to-talk", { enabled: true, held });
  }

  stop() {
    this.call.link?.ask("stop");
  }

  say(words) {
    return this.call.link?.state === "ready" && this.call.link.sendText(words);
  }

  toggleSense(id, on) {
    const { senses } = this.call;
    if (on) senses.add(id);
    else senses.delete(id);
    this.call.panel.allow(senses);
    // The server is told first; a device that nothing needs any more is then given back.
    this.call.link?.ask("senses", { senses: this.call.recorder.sent(wireNames(senses)) });
    const sense = SENSES.find((one) => one.id === id);
    this.ui.announce(`${sense.title}: ${on ? "allowed" : "off"}`);
    if (on && sense.source === "camera") this.person.set({ cameraOn: true });
    this.person.open(devicesFor(senses));
    this.call.personChanged();
  }

  hangUp() {
    this.call.hangUp();
  }
}
