// The person's own side: their microphone and camera tracks, muted or live, push-to-talk, a device that is unplugged.

import { canCapture, listDevices, onDeviceChange, openDevices } from "./devices.js";
import { recall, remember } from "./dom.js";

const KIND = { mic: "audio", camera: "video" };

/**
 * Events: `change` (tracks or their state), `problem` (detail {device, code}), `devices` (detail: the lists).
 *
 * `micOn` and `cameraOn` are what the person wants; a track may be missing all the same. With push-to-talk the
 * microphone is live only while held.
 */
export class Person extends EventTarget {
  constructor() {
    super();
    this.audio = null;
    this.video = null;
    this.micOn = true;
    this.cameraOn = true;
    this.pushToTalk = false;
    this.held = false;
    this.chosen = { mic: recall("mic"), camera: recall("camera") };
    this.needed = { mic: false, camera: false };
    this.opening = Promise.resolve();
    onDeviceChange(() => this.list());
  }

  get micLive() {
    return Boolean(this.audio) && this.micOn && (!this.pushToTalk || this.held);
  }

  get cameraLive() {
    return Boolean(this.video) && this.cameraOn;
  }

  /** Open what is needed and not yet open; close what is no longer needed. One at a time. */
  open(needed) {
    this.opening = this.opening.then(() => this.openNow(needed));
    return this.opening;
  }

  async openNow({ mic, camera }) {
    this.needed = { mic, camera };
    if (!mic) this.drop("mic");
    if (!camera) this.drop("camera");
    const want = { mic: mic && !this.audio, camera: camera && this.cameraOn && !this.video };
    if (!want.mic && !want.camera) return [];
    const { audio, video, problems } = await openDevices({ ...want, micId: this.chosen.mic, cameraId: this.chosen.camera });
    if (audio) this.take("mic", audio);
    if (video) this.take("camera", video);
    await this.list();
    this.tell("problems", problems);
    // Also when nothing opened: what is missing has to show.
    this.tell("change");
    return problems;
  }

  take(device, track) {
    this.drop(device, false);
    this[KIND[device]] = track;
    track.addEventListener("ended", () => {
      if (this[KIND[device]] !== track) return;
      this[KIND[device]] = null;
      this.tell("change");
      this.tell("problems", [{ device, code: "unplugged" }]);
    });
    this.apply();
  }

  drop(device, say = true) {
    const track = this[KIND[device]];
    if (!track) return;
    this[KIND[device]] = null;
    track.stop();
    if (say) this.tell("change");
  }

  /** Give back both devices: their lights go out. */
  release() {
    this.drop("mic");
    this.drop("camera");
  }

  /** Use another device from now on. */
  async choose(device, id) {
    this.chosen[device] = id;
    remember(device, id);
    if (!this[KIND[device]]) return;
    const { audio, video, problems } = await openDevices({ mic: device === "mic", camera: device === "camera", micId: id, cameraId: id });
    const track = audio ?? video;
    if (track) this.take(device, track);
    this.tell("problems", problems);
  }

  /** The sources (mic, camera) from which nothing comes though it is wanted, with why: `off` by the person, or `lost`. */
  silent() {
    const found = new Map();
    if (this.needed.mic && !this.micOn) found.set("mic", { state: "off", text: "Muted by you" });
    else if (this.needed.mic && !this.audio) found.set("mic", { state: "lost", text: "No microphone" });
    if (this.needed.camera && !this.cameraOn) found.set("camera", { state: "off", text: "Camera off by you" });
    else if (this.needed.camera && !this.video) found.set("camera", { state: "lost", text: "No camera" });
    return found;
  }

  set(changes) {
    Object.assign(this, changes);
    this.apply();
  }

  apply() {
    if (this.audio) this.audio.enabled = this.micLive;
    if (this.video) this.video.enabled = this.cameraOn;
    this.tell("change");
  }

  async list() {
    if (!canCapture()) return;
    this.tell("devices", await listDevices());
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
