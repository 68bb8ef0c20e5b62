// One WebRTC connection to the server: offer and trickle over HTTP, three m-lines (audio, video, application), and the
// data channel "chat". It lives once; staying connected is the business of link.js. The wire is Pipecat's SmallWebRTC.

import { keepIce, keptIce } from "./session.js";

const CONNECT_MS = 15000;
const AGAIN_MS = 6000;
const ICE_MS = 3000;
const DISCONNECTED_MS = 3000;
const VIDEO_BPS = 600_000;

/** The server said no. `retryAfterS` is set when it is only busy. */
export class Refused extends Error {
  constructor(status, title, detail, retryAfterS = null) {
    super(detail || title);
    Object.assign(this, { name: "Refused", status, title, detail, retryAfterS });
  }
}

/** A signal that aborts with `signal`, or after some time; where a browser cannot join the two, after the time. */
const within = (signal, ms) => AbortSignal.any?.([signal, AbortSignal.timeout(ms)]) ?? AbortSignal.timeout(ms);

async function refusal(response) {
  let title = response.statusText || `HTTP ${response.status}`;
  let detail = "";
  try {
    const body = await response.json();
    title = body.title ?? title;
    detail = typeof body.detail === "string" ? body.detail : "";
  } catch {
    // No problem+json: the status has to do.
  }
  const after = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new Refused(response.status, title, detail, response.status === 503 || response.status === 429 ? (Number.isFinite(after) ? after : 10) : null);
}

/**
 * STUN and TURN servers for one connection, as the server names them; none on a LAN. A page that comes back into its call
 * has no token to ask with any more, and uses those that it had.
 */
async function iceServers(ui, signal) {
  const token = ui.token();
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const response = await fetch(ui.url("api/ice"), { headers, signal: within(signal, ICE_MS) });
    const { iceServers: found } = await response.json();
    if (Array.isArray(found) && found.length) keepIce(ui.key, found);
  } catch {
    // Those of before, then.
  }
  return keptIce(ui.key);
}

/**
 * Events: `answered` (detail: {resume, link}, as the server answered), `message` (detail: a parsed JSON message), `track` (detail: MediaStreamTrack), `open` (channel is open),
 * `lost` (detail: why), `closed`. After `lost` or `close()` it is dead.
 */
export class Peer extends EventTarget {
  constructor(ui) {
    super();
    this.ui = ui;
    this.url = ui.url("api/offer");
    this.id = null;
    this.dead = false;
    this.waiting = [];
    this.requests = new AbortController();
  }

  /**
   * Offer the tracks (either may be null) and resolve when the data channel is open. `resume` is the token, `formerId`
   * the name, of the call's last connection.
   */
  async connect({ audio, video, formerId = null, resume = null }) {
    const found = await iceServers(this.ui, this.requests.signal);
    if (this.dead) throw new Error("closed while connecting");
    const pc = new RTCPeerConnection({ iceServers: found, bundlePolicy: "max-bundle" });
    this.pc = pc;
    pc.addEventListener("icecandidate", ({ candidate }) => candidate && this.trickle(candidate));
    pc.addEventListener("track", ({ track }) => this.tell("track", track));
    pc.addEventListener("connectionstatechange", () => this.watch());
    pc.addEventListener("iceconnectionstatechange", () => this.watch());
    this.audio = pc.addTransceiver(audio ?? "audio", { direction: "sendrecv" });
    this.video = pc.addTransceiver(video ?? "video", { direction: "sendrecv" });
    this.channel = pc.createDataChannel("chat", { ordered: true });
    const opened = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      const patienceMs = formerId || resume ? AGAIN_MS : CONNECT_MS;
      this.timer = setTimeout(() => reject(new Error("no connection in time")), patienceMs);
    });
    opened.catch(() => {});
    this.channel.addEventListener("open", () => this.settle.resolve());
    this.channel.addEventListener("close", () => this.lose("the data channel closed"));
    this.channel.addEventListener("message", ({ data }) => this.hear(data));
    await this.offer({ pc_id: formerId, restart_pc: formerId !== null, resume: resume ?? undefined });
    await opened;
    clearTimeout(this.timer);
    await this.limitVideo();
  }

  async offer({ pc_id, restart_pc, resume }) {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sdp: this.pc.localDescription.sdp, type: "offer", pc_id, restart_pc, resume, token: this.ui.token() }),
      signal: within(this.requests.signal, pc_id || resume ? AGAIN_MS : CONNECT_MS),
    });
    if (!response.ok) throw await refusal(response);
    const answer = await response.json();
    if (this.dead) throw new Error("closed while connecting");
    this.id = answer.pc_id;
    this.tell("answered", answer);
    await this.pc.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
    this.flush();
  }

  trickle(candidate) {
    this.waiting.push({ candidate: candidate.candidate, sdp_mid: candidate.sdpMid, sdp_mline_index: candidate.sdpMLineIndex });
    this.batch ??= setTimeout(() => this.flush(), 100);
  }

  flush() {
    clearTimeout(this.batch);
    this.batch = null;
    if (!this.id || !this.waiting.length || this.dead) return;
    const candidates = this.waiting.splice(0);
    const body = JSON.stringify({ pc_id: this.id, candidates });
    // A lost candidate is no harm by itself: if none gets through, the connection times out and says so.
    fetch(this.url, { method: "PATCH", headers: { "Content-Type": "application/json" }, body }).catch(() => {});
  }

  hear(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message?.type === "signalling" && message.message?.type === "renegotiate") {
      this.offer({ pc_id: this.id, restart_pc: false }).catch((error) => this.lose(error.message));
    } else if (message && typeof message === "object") {
      this.tell("message", message);
    }
  }

  /** Send an object as JSON, or bare text; false when the channel is not open. */
  send(message) {
    if (this.channel?.readyState !== "open") return false;
    this.channel.send(typeof message === "string" ? message : JSON.stringify(message));
    return true;
  }

  watch() {
    const state = this.pc.connectionState;
    clearTimeout(this.doubt);
    if (state === "failed" || state === "closed" || this.pc.iceConnectionState === "failed") this.lose(`the connection ${state}`);
    // `disconnected` often heals by itself when a network is only slow.
    else if (state === "disconnected") this.doubt = setTimeout(() => this.lose("no sign of life from the server"), DISCONNECTED_MS);
  }

  // A face fits into this; more would only fill the uplink, and the server's bandwidth estimate starts low anyway.
  async limitVideo() {
    const sender = this.video.sender;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings ?? []) {
      encoding.maxBitrate = VIDEO_BPS;
      encoding.maxFramerate = 15;
    }
    await sender.setParameters(parameters).catch(() => {});
  }

  /** Round trip of the media path in seconds, loss of the agent's sound, or nulls. */
  async stats() {
    const found = { mediaRttS: null, lost: null, received: null, jitterS: null };
    for (const report of (await this.pc.getStats()).values()) {
      if (report.type === "candidate-pair" && report.nominated && report.currentRoundTripTime !== undefined) found.mediaRttS = report.currentRoundTripTime;
      if (report.type === "inbound-rtp" && report.kind === "audio") Object.assign(found, { lost: report.packetsLost, received: report.packetsReceived, jitterS: report.jitter });
    }
    return found;
  }

  lose(why) {
    if (this.dead) return;
    this.settle?.reject(new Error(why));
    this.close();
    this.tell("lost", why);
  }

  close() {
    this.dead = true;
    this.requests.abort();
    clearTimeout(this.timer);
    clearTimeout(this.doubt);
    clearTimeout(this.batch);
    this.settle?.reject(new Error("closed"));
    this.pc?.close();
    this.tell("closed");
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
