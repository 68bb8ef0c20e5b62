// A call that outlives its connections: RTVI 2.1 over a Peer, with the handshake, the heartbeat, and automatic
// reconnection into the same call. What the person allowed is said first on every new connection, before anything else.
//
// The heartbeat is a `ping` every second that the server answers: an answer proves both directions, and the loop behind
// them. Without one the link is `degraded`, then lost; how long that takes the server says in its answer to the offer.

import { Peer, Refused } from "./peer.js";

const RTVI_VERSION = "2.1.0";
const READY_MS = 10000;
const GIVE_UP_MS = 60000;
const DELAYS_MS = [300, 1000, 2000, 4000, 5000];
const FIRST_TRIES = 3;
const BEAT_MS = 1000;
const CHECK_MS = 2000;
const SLEPT_MS = 5000;
const LIMITS = { degraded_s: 2, lost_s: 10, kept_s: 15 };
const OVER = new Set(["gone", "refused", "closed", "left", "moved", "expired"]);

const newId = () => Math.random().toString(16).slice(2, 10).padEnd(8, "0");

/**
 * Events:
 * - `state`, detail {state, attempt, nextMs, reason, fresh}: `connecting`, `ready` (fresh: in a new call), `lost`
 *   (waiting for the next attempt), `retrying`, `gone` (gave up; reason `unreachable`), `refused` (reason: a Refused),
 *   `closed` (hung up here), `left` (the agent hung up), `moved` (another page has the call), `expired` (the call that
 *   was to be resumed is over)
 * - `quality`, detail "live" | "degraded", while ready
 * - `answered`: there is a new resume token
 * - `track`, detail MediaStreamTrack; `message`, detail {type, data, id}; `roundtrip`, detail seconds
 */
export class Link extends EventTarget {
  /**
   * @param {Ui} ui that knows the server and the join token
   * @param {{tracks: () => {audio, video}, muted: () => {audio: boolean, video: boolean}, consent: () => object}} person
   * @param {string?} resume token of a call to go on with
   */
  constructor(ui, person, resume = null) {
    super();
    this.ui = ui;
    this.person = person;
    this.peer = null;
    this.formerId = null;
    this.resume = resume;
    this.limits = LIMITS;
    this.state = "idle";
    this.quality = "live";
    this.told = "live";
    this.asked = new Map();
    this.attempt = 0;
    this.answeredAt = performance.now();
  }

  get pcId() {
    return this.peer?.id ?? this.formerId;
  }

  /** For how many seconds more the server keeps the call without a sign of life. */
  get keptS() {
    return Math.max(0, Math.round(this.limits.kept_s - (performance.now() - this.answeredAt) / 1000));
  }

  /** Connect, trying again a few times if the server cannot be reached. */
  async open() {
    this.set("connecting");
    this.watchWorld();
    for (let tries = 1; this.state === "connecting"; tries += 1) {
      try {
        await this.establish();
        return;
      } catch (error) {
        if (this.state !== "connecting") return;
        if (error instanceof Refused) {
          this.set(this.resume ? ending(error) : "refused", { reason: error });
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
    const peer = new Peer(this.ui);
    const fresh = !this.resume && !this.formerId;
    this.peer = peer;
    peer.addEventListener("answered", ({ detail }) => this.peer === peer && this.answered(detail));
    peer.addEventListener("track", ({ detail }) => this.peer === peer && this.tell("track", detail));
    peer.addEventListener("message", ({ detail }) => this.peer === peer && this.hear(detail));
    try {
      await peer.connect({ ...this.person.tracks(), formerId: this.formerId, resume: this.resume });
      this.formerId = peer.id;
      this.sayTracks();
      await this.shakeHands(peer);
    } catch (error) {
      peer.close();
      throw error;
    }
    if (this.peer !== peer || peer.dead) throw new Error("lost while connecting");
    peer.addEventListener("lost", ({ detail }) => this.peer === peer && this.recover(detail));
    this.answeredAt = performance.now();
    this.wall = Date.now();
    this.told = "live";
    this.quality = "live";
    this.beat = setInterval(() => this.pulse(), BEAT_MS);
    this.attempt = 0;
    this.set("ready", { fresh });
    // The person may have muted or plugged in something meanwhile.
    await this.sync();
  }

  /** The token is for the next connection; it holds from now on, even if this one never stands. */
  answered({ resume, link }) {
    this.resume = resume ?? null;
    this.limits = { ...this.limits, ...link };
    this.tell("answered");
  }

  async shakeHands(peer) {
    const id = newId();
    const ready = new Promise((resolve, reject) => {
      this.handshake = { id, resolve };
      setTimeout(() => reject(new Error("the agent did not get ready")), READY_MS);
      peer.addEventListener("closed", () => reject(new Error("closed while connecting")));
    });
    peer.send({ label: "rtvi-ai", type: "client-ready", id, data: { version: RTVI_VERSION, about: { library: "rapport-web", library_version: "1" } } });
    await ready;
    this.ask("consent", this.person.consent());
  }

  pulse() {
    const now = performance.now();
    const wall = Date.now();
    const slept = wall - this.wall > SLEPT_MS;
    this.wall = wall;
    if (slept) {
      // Timers that stood still say nothing about the server.
      this.answeredAt = now - 1;
      this.check("the page was asleep");
      return;
    }
    if (!this.ask("ping")) this.peer.lose("the data channel is closed");
    else if (now - this.answeredAt > this.limits.lost_s * 1000) this.peer.lose("no answer from the server");
    else {
      this.weigh(now);
      this.peer.stats().then((found) => this.tell("stats", found), () => {});
    }
  }

  weigh(now = performance.now()) {
    const weak = now - this.answeredAt > this.limits.degraded_s * 1000 || this.told !== "live";
    const quality = weak ? "degraded" : "live";
    if (quality === this.quality || this.state !== "ready") return;
    this.quality = quality;
    this.tell("quality", quality);
  }

  /** Something happened after which a connection often is dead without knowing it: ask, and do not wait for long. */
  check(why) {
    if (this.state === "lost" || this.state === "retrying") this.retryNow();
    if (this.state !== "ready") return;
    const { peer } = this;
    const askedAt = performance.now();
    if (!this.ask("ping")) {
      peer.lose(why);
      return;
    }
    clearTimeout(this.doubt);
    this.doubt = setTimeout(() => this.peer === peer && this.answeredAt < askedAt && peer.lose(why), CHECK_MS);
  }

  watchWorld() {
    this.world?.abort();
    this.world = new AbortController();
    const { signal } = this.world;
    addEventListener("online", () => this.check("the network changed"), { signal });
    addEventListener("offline", () => this.check("the network is gone"), { signal });
    navigator.connection?.addEventListener?.("change", () => this.check("the network changed"), { signal });
    document.addEventListener("visibilitychange", () => !document.hidden && this.check("the page was hidden"), { signal });
    document.addEventListener("resume", () => this.check("the page was frozen"), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.peer?.lose("the page was away"), { signal });
  }

  hear(message) {
    if (message.type === "signalling") {
      if (message.message?.type === "peerLeft") this.finish("left");
      return;
    }
    if (message.label !== "rtvi-ai") return;
    if (message.type === "bot-ready" && message.id === this.handshake?.id) this.handshake.resolve();
    if (message.type === "server-message" && message.data?.t === "link") {
      if (message.data.state === "moved") {
        this.finish("moved");
        return;
      }
      this.told = message.data.state;
      this.weigh();
    }
    if ((message.type === "server-response" || message.type === "error-response") && this.asked.has(message.id)) {
      const { t, at } = this.asked.get(message.id);
      this.asked.delete(message.id);
      if (t === "ping") {
        this.answeredAt = performance.now();
        this.tell("roundtrip", (this.answeredAt - at) / 1000);
        this.weigh();
      }
    }
    this.tell("message", message);
  }

  /** Send a client-message {t, d}; returns whether it went out. */
  ask(t, d) {
    const id = newId();
    const sent = this.peer?.send({ label: "rtvi-ai", type: "client-message", id, data: d === undefined ? { t } : { t, d } }) ?? false;
    if (sent) this.asked.set(id, { t, at: performance.now() });
    if (this.asked.size > 100) this.asked.delete(this.asked.keys().next().value);
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
    clearTimeout(this.doubt);
    this.asked.clear();
    const since = performance.now();
    for (let i = 0; ; i += 1) {
      this.attempt = i + 1;
      const nextMs = this.hurry ? 0 : DELAYS_MS[Math.min(i, DELAYS_MS.length - 1)];
      this.hurry = false;
      this.set("lost", { reason, nextMs });
      await this.pause(nextMs);
      if (this.state !== "lost") break;
      this.set("retrying");
      try {
        await this.establish();
        break;
      } catch (error) {
        if (this.state !== "retrying") break;
        if (error instanceof Refused && error.retryAfterS === null && error.status < 500) {
          const end = this.resume || this.formerId ? ending(error) : "refused";
          if (end !== "expired") {
            this.set(end, { reason: error });
            break;
          }
          // The call is over on the server's side: a fresh one, at once, is the next best.
          this.resume = this.formerId = null;
          this.hurry = true;
        }
        if (performance.now() - since > GIVE_UP_MS) {
          this.set("gone", { reason: error });
          break;
        }
      }
    }
  }

  /** Do not wait for the next attempt, nor for the answer to one that may never come. */
  retryNow() {
    if (this.state === "retrying") {
      this.hurry = true;
      this.peer?.close();
    }
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
    clearTimeout(this.doubt);
    const peer = this.peer;
    this.set(state);
    this.wake?.();
    // A moment for the last message to leave.
    setTimeout(() => peer?.close(), 150);
    this.peer = null;
  }

  set(state, more = {}) {
    this.state = state;
    if (OVER.has(state)) this.world?.abort();
    this.tell("state", { state, attempt: this.attempt, ...more });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** What a refusal means for a call that was to go on. */
function ending({ status }) {
  if (status === 409) return "moved";
  return status === 404 || status === 410 ? "expired" : "refused";
}
