// A call that outlives its connections: RTVI 2.1 over a Peer, with the handshake, the pings, and automatic reconnection
// under the same pc_id. What the person allowed is said first on every new connection, before anything else.

import { Peer, Refused } from "./peer.js";

const RTVI_VERSION = "2.1.0";
const READY_MS = 10000;
const GIVE_UP_MS = 60000;
const DELAYS_MS = [300, 1000, 2000, 4000, 5000];
const FIRST_TRIES = 3;

const newId = () => Math.random().toString(16).slice(2, 10).padEnd(8, "0");

/**
 * Events:
 * - `state`, detail {state, attempt, nextMs, reason}: `connecting`, `ready`, `lost` (waiting for the next attempt),
 *   `retrying`, `gone` (gave up; reason `unreachable`), `refused` (reason: a Refused), `closed` (hung up here),
 *   `left` (the agent hung up)
 * - `track`, detail MediaStreamTrack; `message`, detail {type, data, id}; `roundtrip`, detail seconds
 */
export class Link extends EventTarget {
  /**
   * @param {string} url of the offer
   * @param {{tracks: () => {audio, video}, muted: () => {audio: boolean, video: boolean}, consent: () => object}} person
   */
  constructor(url, person) {
    super();
    this.url = url;
    this.person = person;
    this.peer = null;
    this.formerId = null;
    this.state = "idle";
    this.asked = new Map();
    this.attempt = 0;
  }

  get pcId() {
    return this.peer?.id ?? this.formerId;
  }

  /** Connect, trying again a few times if the server cannot be reached. */
  async open() {
    this.set("connecting");
    for (let tries = 1; this.state === "connecting"; tries += 1) {
      try {
        await this.establish();
        return;
      } catch (error) {
        if (this.state !== "connecting") return;
        if (error instanceof Refused) {
          this.set("refused", { reason: error });
          return;
        }
        if (tries >= FIRST_TRIES) {
          this.set("gone", { reason: error });
          return;
        }
        await this.pause(DELAYS_MS[tries - 1]);
      }
    }
  }

  async establish() {
    const peer = new Peer(this.url);
    this.peer = peer;
    peer.addEventListener("track", ({ detail }) => this.peer === peer && this.tell("track", detail));
    peer.addEventListener("message", ({ detail }) => this.peer === peer && this.hear(detail));
    try {
      await peer.connect({ ...this.person.tracks(), formerId: this.formerId });
      this.formerId = peer.id;
      this.sayTracks();
      await this.shakeHands(peer);
    } catch (error) {
      peer.close();
      throw error;
    }
    if (this.peer !== peer || peer.dead) throw new Error("lost while connecting");
    peer.addEventListener("lost", ({ detail }) => this.peer === peer && this.recover(detail));
    this.beat = setInterval(() => this.pulse(), 1000);
    this.attempt = 0;
    this.set("ready");
    // The person may have muted or plugged in something meanwhile.
    await this.sync();
  }

  async shakeHands(peer) {
    const id = newId();
    const ready = new Promise((resolve, reject) => {
      this.handshake = { id, resolve };
      setTimeout(() => reject(new Error("the agent did not get ready")), READY_MS);
      peer.addEventListener("lost", ({ detail }) => reject(new Error(detail)));
    });
    peer.send({ label: "rtvi-ai", type: "client-ready", id, data: { version: RTVI_VERSION, about: { library: "rapport-web", library_version: "1" } } });
    await ready;
    this.ask("consent", this.person.consent());
  }

  pulse() {
    this.peer.send(`ping: ${Date.now()}`);
    const now = performance.now();
    // An answer that is overdue by 8 s means that the server hangs or that it is gone without a word.
    for (const [id, asked] of this.asked) {
      if (now - asked.at < 8000) continue;
      this.asked.delete(id);
      if (asked.t === "ping") {
        this.peer.lose("no answer from the server");
        return;
      }
    }
    if (!this.lastEcho || now - this.lastEcho > 3000) {
      this.lastEcho = now;
      this.ask("ping");
    }
    this.peer.stats().then((found) => this.tell("stats", found), () => {});
  }

  hear(message) {
    if (message.type === "signalling") {
      if (message.message?.type === "peerLeft") this.finish("left");
      return;
    }
    if (message.label !== "rtvi-ai") return;
    if (message.type === "bot-ready" && message.id === this.handshake?.id) this.handshake.resolve();
    if ((message.type === "server-response" || message.type === "error-response") && this.asked.has(message.id)) {
      const { t, at } = this.asked.get(message.id);
      this.asked.delete(message.id);
      if (t === "ping") this.tell("roundtrip", (performance.now() - at) / 1000);
    }
    this.tell("message", message);
  }

  /** Send a client-message {t, d}; returns whether it went out. */
  ask(t, d) {
    const id = newId();
    const sent = this.peer?.send({ label: "rtvi-ai", type: "client-message", id, data: d === undefined ? { t } : { t, d } }) ?? false;
    if (sent) this.asked.set(id, { t, at: performance.now() });
    return sent;
  }

  sendText(content) {
    return this.peer?.send({ label: "rtvi-ai", type: "send-text", id: newId(), data: { content, options: { run_immediately: true, audio_response: true } } }) ?? false;
  }

  /** Tell the server which tracks are live: index 0 microphone, 1 camera. */
  sayTracks() {
    const muted = this.person.muted();
    const { audio, video } = this.person.tracks();
    const say = (receiver_index, enabled) => this.peer?.send({ type: "signalling", message: { type: "trackStatus", receiver_index, enabled } });
    say(0, Boolean(audio) && !muted.audio);
    say(1, Boolean(video) && !muted.video);
  }

  /** Send what the person has now: swaps tracks without a new offer, and says which are live. */
  async sync() {
    if (this.state !== "ready") return;
    const { peer } = this;
    const tracks = this.person.tracks();
    for (const kind of ["audio", "video"]) {
      if (peer[kind].sender.track === tracks[kind]) continue;
      await peer[kind].sender.replaceTrack(tracks[kind]);
      if (kind === "video" && tracks.video) await peer.limitVideo();
    }
    this.sayTracks();
  }

  async recover(reason) {
    clearInterval(this.beat);
    this.asked.clear();
    const since = performance.now();
    const again = () => this.wake?.();
    addEventListener("online", again);
    for (let i = 0; ; i += 1) {
      this.attempt = i + 1;
      const nextMs = DELAYS_MS[Math.min(i, DELAYS_MS.length - 1)];
      this.set("lost", { reason, nextMs });
      await this.pause(nextMs);
      if (this.state !== "lost") break;
      this.set("retrying");
      try {
        await this.establish();
        break;
      } catch (error) {
        if (this.state !== "retrying") break;
        if (error instanceof Refused) {
          // The server may have forgotten the call: a fresh one is the next best. Any other refusal is final.
          if ((error.status === 404 || error.status === 410) && this.formerId) this.formerId = null;
          else if (error.retryAfterS === null && error.status < 500) {
            this.set("refused", { reason: error });
            break;
          }
        }
        if (performance.now() - since > GIVE_UP_MS) {
          this.set("gone", { reason: error });
          break;
        }
      }
    }
    removeEventListener("online", again);
  }

  /** Do not wait for the next attempt. */
  retryNow() {
    this.wake?.();
  }

  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  hangUp() {
    this.peer?.send({ label: "rtvi-ai", type: "disconnect-bot", id: newId(), data: {} });
    this.finish("closed");
  }

  finish(state) {
    clearInterval(this.beat);
    const peer = this.peer;
    this.set(state);
    this.wake?.();
    // A moment for the last message to leave.
    setTimeout(() => peer?.close(), 150);
    this.peer = null;
  }

  set(state, more = {}) {
    this.state = state;
    this.tell("state", { state, attempt: this.attempt, ...more });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
