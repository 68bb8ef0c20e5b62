// The person's own side: their microphone and camera tracks, muted or live, push-to-talk, a device that is unplugged.

import { canCapture, listDevices, onDeviceChange, onPermission, openDevices, permission } from "./devices.js";
import { recall, remember } from "./dom.js";

const KIND = { mic: "audio", camera: "video" };
const LIST = { mic: "mics", camera: "cameras" };
/** A track that the system mutes for a moment only, as when a camera changes its mode, is not worth a word (ms). */
const HUSHED_MS = 700;

/**
 * Events: `change` (tracks or their state), `problems` (detail [{device, code, label?, others?}]; empty when there are
 * none any more), `devices` (detail: the lists). `label` says which device it was, `others` [{id, label}] what there is
 * instead.
 *
 * `micOn` and `cameraOn` are what the person wants; a track may be missing all the same. With push-to-talk the
 * microphone is live only while held.
 */
export class Person extends EventTarget {
  /** @param {AbortSignal} signal after which nothing is listened to any more */
  constructor(signal) {
    super();
    this.audio = null;
    this.video = null;
    this.micOn = true;
    this.cameraOn = true;
    this.pushToTalk = false;
    this.held = false;
    this.chosen = { mic: recall("mic"), camera: recall("camera") };
    this.needed = { mic: false, camera: false };
    /** Devices whose track the system has muted. */
    this.hushed = new Set();
    /** What was lost and why, by device, until there is a track again. */
    this.lost = new Map();
    this.lists = { mics: [], cameras: [], speakers: [] };
    this.opening = Promise.resolve();
    onDeviceChange(() => this.devicesChanged(), signal);
    if (canCapture()) onPermission((device, state) => this.permissionChanged(device, state), signal);
  }

  get micLive() {
    return Boolean(this.audio) && this.micOn && !this.hushed.has("mic") && (!this.pushToTalk || this.held);
  }

  get cameraLive() {
    return Boolean(this.video) && this.cameraOn && !this.hushed.has("camera");
  }

  /** Open what is needed and not yet open; close what is no longer needed. One at a time. */
  open(needed) {
    this.opening = this.opening.then(() => this.openNow(needed));
    return this.opening;
  }

  async openNow({ mic, camera }) {
    this.needed = { mic, camera };
    for (const [device, on] of [["mic", mic], ["camera", camera]]) {
      if (on) continue;
      this.lost.delete(device);
      this.drop(device);
    }
    const want = { mic: mic && !this.audio, camera: camera && this.cameraOn && !this.video };
    if (!want.mic && !want.camera) return [];
    const { audio, video, problems } = await openDevices({ ...want, micId: this.chosen.mic, cameraId: this.chosen.camera });
    // Meanwhile the person may have hung up, or the element may be gone.
    if (audio) this.keep("mic", audio);
    if (video) this.keep("camera", video);
    await this.list();
    this.tell("problems", problems);
    // Also when nothing opened: what is missing has to show.
    this.tell("change");
    return problems;
  }

  keep(device, track) {
    if (this.needed[device]) this.take(device, track);
    else track.stop();
  }

  take(device, track) {
    this.drop(device, false);
    this[KIND[device]] = track;
    this.lost.delete(device);
    const own = (act) => () => this[KIND[device]] === track && act();
    track.addEventListener("ended", own(() => this.lose(device)));
    track.addEventListener("mute", own(() => this.hush(device, track)));
    track.addEventListener("unmute", own(() => this.unhush(device)));
    if (track.muted) this.hush(device, track);
    this.apply();
  }

  /** The track has ended by itself: unplugged, or the permission was taken back. */
  async lose(device) {
    const found = { label: this[KIND[device]].label, code: "unplugged" };
    this[KIND[device]] = null;
    this.hushed.delete(device);
    this.lost.set(device, found);
    this.tell("change");
    if ((await permission(device)) === "denied") found.code = "revoked";
    await this.list();
    this.tellLost();
  }

  /** Say what is missing, and what there is instead. */
  tellLost() {
    const found = [];
    for (const [device, { label, code }] of this.lost) {
      const others = code === "unplugged" ? this.lists[LIST[device]].filter((other) => other.label !== label) : [];
      found.push({ device, code, label, others });
    }
    for (const device of this.hushed) found.push({ device, code: "hushed", label: this[KIND[device]]?.label ?? "" });
    this.tell("problems", found);
  }

  hush(device, track) {
    clearTimeout(this.hushing);
    this.hushed.add(device);
    this.tell("change");
    this.hushing = setTimeout(() => this.hushed.has(device) && this[KIND[device]] === track && this.tellLost(), HUSHED_MS);
  }

  unhush(device) {
    if (!this.hushed.delete(device)) return;
    this.tell("change");
    this.tellLost();
  }

  /** Something was plugged in or out: what was lost may be there again, or something that stands in for it. */
  async devicesChanged() {
    await this.list();
    for (const [device, { label, code }] of [...this.lost]) {
      if (code === "unplugged" && label && this.lists[LIST[device]].some((found) => found.label === label)) await this.open(this.needed);
    }
    if (this.lost.size) this.tellLost();
  }

  /** Given back in the address bar: go on with it; the browser asks nothing any more. */
  async permissionChanged(device, state) {
    if (state === "granted" && this.needed[device] && !this[KIND[device]] && (device === "mic" || this.cameraOn)) await this.open(this.needed);
  }

  drop(device, say = true) {
    const track = this[KIND[device]];
    if (!track) return;
    this[KIND[device]] = null;
    this.hushed.delete(device);
    track.stop();
    if (say) this.tell("change");
  }

  /** Give back both devices: their lights go out. */
  release() {
    this.needed = { mic: false, camera: false };
    this.lost.clear();
    this.drop("mic");
    this.drop("camera");
  }

  /** Use another device from now on. */
  async choose(device, id) {
    this.chosen[device] = id;
    remember(device, id);
    if (!this[KIND[device]] && !this.needed[device]) return;
    const { audio, video, problems } = await openDevices({ mic: device === "mic", camera: device === "camera", micId: id, cameraId: id });
    const track = audio ?? video;
    if (track) this.take(device, track);
    this.tell("problems", problems);
  }

  /** The sources (mic, camera) from which nothing comes though it is wanted, with why: `off` by the person, or `lost`. */
  silent() {
    const found = new Map();
    if (this.needed.mic && !this.micOn) found.set("mic", { state: "off", text: "Muted by you" });
    else if (this.hushed.has("mic")) found.set("mic", { state: "lost", text: "Muted by the system" });
    else if (this.needed.mic && !this.audio) found.set("mic", { state: "lost", text: "No microphone" });
    if (this.needed.camera && !this.cameraOn) found.set("camera", { state: "off", text: "Camera off by you" });
    else if (this.hushed.has("camera")) found.set("camera", { state: "lost", text: "Switched off by the system" });
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
    this.lists = await listDevices();
    this.tell("devices", this.lists);
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
