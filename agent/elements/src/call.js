// The call: ties the person's devices, the link to the server, the agent's face and the panels together.
//
// For tests and for the curious, `record` of the element shows what is going on (read it, do not write it):
//
//   version        1
//   view           "consent" | "call"
//   state          link: "idle" | "connecting" | "ready" | "lost" | "retrying" | "gone" | "refused" | "closed" | "left" | "moved" | "expired";
//                  "busy" while it was refused for want of room and will be tried again
//   quality        of a link that is ready: "live" | "degraded"
//   keeping        whether the words of the person are kept in writing, as the server says
//   call           the server's name of the call, the same after a reconnection, or null
//   mood           agent: "connecting" | "listening" | "thinking" | "speaking" | "lost" | "ended" (as shown on the page)
//   cover          name of the full-stage message (see messages.js COVERS), or null
//   notices        keys of the notices shown: "mic", "camera", "devices", "sound", "aloud", "muted", "error", "mind", "link", "closing", "agreement"
//   pcId           the server's id of the connection, or null
//   connections    how many times a connection became ready (2 after one reconnection)
//   senses         ids allowed by the person, see senses.js; `sentSenses` is what went over the wire, or null
//   captions       [{speaker, text, final, cut, reply, at, updatedAt}]
//   percepts       {kind: the latest message of that kind}; perceptLog: the last 2000 of all, each with `received`
//   refusedPercepts  how many percepts came of a sense that the person has refused; has to stay 0
//   rows           {sense id: {state: "known"|"unsure"|"waiting"|"off"|"lost", text}} as on the page
//   decisions      [...] as received, oldest first; lastDecision: the newest, or null
//   thoughts       [...] as received: what a mind thought before it decided
//   help           the card of who can help: {kind, country, contacts, reviewed}, or null
//   mind           name of the mind that spoke last, where several stand behind one another, or null
//   turns, notes, metrics   [...] as received; timing: {values, totals, roundtrip} in seconds
//   display        [{emotion, gesture, intensity, reply, received}] every display event that was shown
//   emotion        the display emotion on the face now
//   speech         [{state: "started"|"stopped"|"held"|"resumed", reply, received}] of the agent's voice, as told
//   audio          {level: RMS now, peak, heardMs: time over -46 dBFS, firstHeardAt, lastHeardAt, playing, muted, volume}
//   audioLog       [{at, level}] every 20 ms of the last 60 s of the agent's sound, as received
//   stats          {mediaRttS, lost, received, jitterS}
//   received       {type or "server-message/t": count}
//   person         {mic, camera, micLive, cameraLive, pushToTalk, held}: the first two say whether there is a track
//   errors         [string] what the page around puts there: its uncaught errors
//
// Times called `at`, `received` and `...At` are performance.now() in ms; `at` inside a received message is the
// server's, in seconds of the call.

import { Acts } from "./acts.js";
import { AgentSound, MicMeter } from "./audio.js";
import { Avatar } from "./avatar.js";
import { Captions } from "./captions.js";
import { Consent } from "./consent.js";
import { Controls } from "./controls.js";
import { obstacle } from "./devices.js";
import { clean, recall } from "./dom.js";
import { Help } from "./help.js";
import { Lifeline } from "./lifeline.js";
import { Link } from "./link.js";
import { duration, mindMessage } from "./messages.js";
import { Panel } from "./panel.js";
import { Person } from "./person.js";
import { Privacy } from "./privacy.js";
import { Recorder } from "./recorder.js";
import { Missing } from "./away.js";
import { devicesFor } from "./senses.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Telling } from "./telling.js";
import { Timing } from "./timing.js";
import { Unheard } from "./unheard.js";
import { Why } from "./why.js";

const DEVICES_MS = 1500;
const FAILED = new Set(["refused", "gone", "expired", "fatal"]);
const CAREFUL = new Set(["tender", "concern", "sad"]);

export class Call {
  /** @param {Ui} ui the shadow tree of the element, and where its server is */
  constructor(ui) {
    this.ui = ui;
    this.$ = ui.$;
    this.sound = new AgentSound(this.$("agent-audio"));
    this.avatar = new Avatar(this.$("hello-face"), { light: ui.app, signal: ui.signal, sound: () => this.sound.read() });
    this.avatar.display({ emotion: "warm", intensity: 0.6 });
    this.person = new Person(ui.signal);
    this.settings = new Settings(ui, { person: this.person, sound: this.sound });
    this.stage = new Stage(ui, { act: (name) => this.act(name) });
    this.captions = new Captions(ui, { readAloud: () => this.settings.announces });
    this.acts = new Acts(this);
    this.panel = new Panel(ui, { toggle: (id, on) => this.acts.toggleSense(id, on) });
    this.why = new Why(ui);
    this.help = new Help(ui);
    this.timing = new Timing(ui);
    this.consent = new Consent(ui, { person: this.person, start: (senses) => this.start(senses) });
    this.controls = new Controls(ui, { acts: this.acts, settings: this.settings, inCall: () => ui.showing === "call" && !this.$("call").hasAttribute("data-over") });
    this.acts.voice(recall("agent-muted") !== "yes");
    this.unheard = new Unheard(this);
    this.recorder = new Recorder(this);
    this.senses = new Set();
    this.mood = "ended";
    this.reply = 0;
    this.mind = null;
    this.usual = null;
    this.link = null;
    this.telling = new Telling(this);
    this.missing = new Missing(this);
    this.lifeline = new Lifeline(this);
    this.person.addEventListener("change", () => this.personChanged());
    this.privacy = new Privacy(this);
    const missing = obstacle();
    this.possible = !missing;
    if (missing) this.impossible(missing);
  }

  /** Go on with the call that this tab was in, or begin one where the page around says so. */
  begin() {
    if (!this.possible) {
      this.telling.fail("webrtc", { title: "This browser cannot make calls" });
      return;
    }
    if (this.lifeline.comeBack()) return;
    const { autostart, senses } = this.ui.host;
    // Whoever starts a call for the person names what the person has allowed there; nothing named is nothing allowed.
    if (autostart) this.start(new Set(senses ?? []));
  }

  impossible(name) {
    this.view("call");
    this.setMood("ended");
    this.controls.insight(false, false);
    this.stage.show(name);
  }

  view(name) {
    this.ui.showing = name;
    this.$("consent").hidden = name !== "consent";
    this.$("call").hidden = name !== "call";
    this.avatar.moveTo(this.$(name === "call" ? "stage-face" : "hello-face"));
    this.ui.app.scrollTo(0, 0);
    this.telling.state();
  }

  /** Begin a call with these senses, from a click of the person; or go on with the one that this tab was in. */
  async start(senses, kept = null) {
    this.sound.unlock();
    this.senses = senses;
    this.unwait();
    this.reset();
    this.view("call");
    if (kept?.began) this.beganAt = performance.now() - Math.max(0, Date.now() - kept.began);
    this.stage.show("connecting");
    this.setMood("connecting");
    this.panel.allow(senses);
    this.ui.app.focus({ preventScroll: true });
    this.person.set({ micOn: kept?.micOn ?? !this.ui.host.muted, cameraOn: kept?.cameraOn ?? true, pushToTalk: kept?.pushToTalk ?? this.person.pushToTalk, held: false });
    const opened = this.person.open(devicesFor(senses));
    // A call that waits for this page must not wait for a question of the browser: the tracks follow.
    await (kept ? Promise.race([opened, new Promise((resolve) => setTimeout(resolve, DEVICES_MS))]) : opened);
    if (this.ui.showing === "call" && !this.ui.signal.aborted) await this.connect(kept?.resume ?? null);
  }

  reset() {
    this.stage.dismissAll();
    this.captions.clear();
    this.why.clear();
    this.help.clear();
    this.recorder.clear();
    this.missing.clear();
    this.avatar.display({ emotion: "warm", intensity: 0.5 });
    this.reply = 0;
    this.mind = null;
    this.callId = null;
    this.beganAt = performance.now();
  }

  async connect(resume = null) {
    this.lifeline.stopCounting();
    this.unwait();
    this.link?.hangUp();
    const link = new Link(this.ui, {
      tracks: () => ({ audio: this.person.audio, video: this.person.video }),
      muted: () => ({ audio: !this.person.micLive, video: !this.person.cameraLive }),
      consent: () => this.privacy.consent(),
    }, resume);
    this.link = link;
    const on = (type, act) => link.addEventListener(type, ({ detail }) => this.link === link && act(detail));
    on("state", (detail) => {
      this.lifeline.follow(detail);
      this.telling.state();
    });
    on("quality", (quality) => {
      this.lifeline.weigh(quality);
      this.telling.state();
    });
    on("answered", () => this.lifeline.keep());
    on("track", (track) => track.kind === "audio" && this.hearAgent(track));
    on("message", (message) => this.message(message));
    on("roundtrip", (seconds) => {
      this.timing.trip(seconds);
      this.lifeline.keep();
    });
    on("stats", (stats) => (this.recorder.stats = stats));
    this.stage.show("connecting");
    await link.open();
  }

  /** Let go of a link that only waits to be tried again: no call of it has ended, and none is told. */
  unwait() {
    if (this.stage.cover !== "busy") return;
    const { link } = this;
    this.link = null;
    link?.hangUp();
    this.lifeline.stopCounting();
  }

  /** The connection stands: in a new call, or in the one there was. */
  ready(fresh) {
    this.recorder.connections += 1;
    this.stage.show(null);
    this.panel.wake(true);
    this.setMood("listening");
    if (fresh) {
      this.beganAt = performance.now();
      this.reply = 0;
      if (!this.senses.size) this.acts.aloud();
    }
    if (this.person.pushToTalk) this.link.ask("push-to-talk", { enabled: true, held: this.person.held });
  }

  async hearAgent(track) {
    if (await this.sound.attach(new MediaStream([track]))) return;
    const retry = () => this.sound.play().then((ok) => ok && this.stage.dismiss("sound"));
    this.stage.notice("sound", { title: "The sound is blocked", text: "Your browser wants a click before it plays sound.", retry });
  }

  message({ type, data = {} }) {
    this.recorder.count(type, data);
    if (type === "server-message") this.ours(data);
    else if (type === "bot-started-speaking") this.setMood("speaking");
    else if (type === "bot-stopped-speaking" && this.mood === "speaking") this.setMood("listening");
    else if (type === "error") this.trouble(data);
  }

  ours(message) {
    if (message.v !== 1) return;
    this.recorder.take(message);
    this.telling.pass(message);
    switch (message.t) {
      case "percept":
        if (!this.panel.perceive(message)) this.recorder.refusedPercepts += 1;
        break;
      case "decision":
        this.why.show(message);
        this.speaks(message);
        break;
      case "thought":
        this.why.think(message);
        break;
      case "metric":
        this.timing.measure(message);
        break;
      case "caption":
      case "captions":
        this.captions.take(message);
        break;
      case "display":
        this.display(message);
        break;
      case "resource":
        this.help.show(message);
        break;
      case "note":
        if (message.event === "state") this.setMood(message.state);
        if (message.event === "closing") this.lifeline.closing(message);
        this.missing.note(message);
        this.privacy.note(message);
        break;
      case "state":
        if (typeof message.state === "string") this.setMood(message.state);
        this.callId = message.call ?? null;
        this.telling.state();
        this.usual = message.agent?.minds?.[0] ?? this.usual;
        this.settings.about(message.agent ?? { policy: message.policy, voice: message.voice, senses: message.workers });
        break;
      default:
    }
  }

  /** Say kindly that another mind than the usual one speaks; and nothing more once that one is back. */
  speaks({ mind }) {
    if (!mind || mind === this.mind) return;
    this.mind = mind;
    this.usual ??= mind;
    if (mind === this.usual) this.stage.dismiss("mind");
    else this.stage.notice("mind", { ...mindMessage(mind), calm: true, seconds: 20 });
  }

  display(message) {
    // A display of a reply that has been cut and replaced is stale.
    if (message.reply && message.reply < this.reply) return;
    if (message.reply) this.reply = message.reply;
    this.avatar.display(message);
    this.recorder.displayed(message);
    this.describe();
  }

  trouble({ error, message, fatal }) {
    const detail = message ?? error ?? "No reason was given.";
    if (fatal) this.over("fatal", { detail });
    else {
      this.stage.notice("error", { title: "Something went wrong", text: detail, seconds: 12 });
      this.telling.fail("error", { detail, fatal: false });
    }
  }

  setMood(mood) {
    if (!["connecting", "listening", "thinking", "speaking", "lost", "ended"].includes(mood)) return;
    this.mood = mood;
    if (mood === "lost") this.panel.wake(false, "Not connected");
    this.stage.mood(mood);
    this.avatar.setState(mood);
    this.$("stop").hidden = mood !== "speaking";
    this.describe();
    this.telling.state();
  }

  describe() {
    this.avatar.describe(`The agent’s face: ${clean(this.avatar.emotion)}, ${this.mood}`);
  }

  personChanged() {
    const needed = devicesFor(this.senses);
    const { audio, video } = this.person;
    this.controls.paint(this.person, needed);
    this.stage.mute(needed.mic && Boolean(audio) && !this.person.micOn);
    if (this.ui.showing === "call" && this.link) this.ui.host.muted = !this.person.micOn;
    this.panel.without(this.person.silent());
    if (this.ui.showing !== "call") return;
    const self = this.$("self-video");
    if (self.srcObject?.getVideoTracks()[0] !== (video ?? undefined)) {
      self.srcObject = video ? new MediaStream([video]) : null;
      if (video) self.play().catch(() => {});
    }
    this.watchMic(audio);
    this.unheard.follow();
    this.link?.sync();
    this.lifeline.keep();
  }

  watchMic(audio) {
    if (this.metered === audio) return;
    this.metered = audio;
    clearInterval(this.meterTick);
    this.meter?.close();
    this.meter = audio && this.sound.context ? new MicMeter(this.sound.context, new MediaStream([audio])) : null;
    if (this.meter) this.meterTick = setInterval(() => this.$("self-meter").style.setProperty("--level", this.meter.read().toFixed(2)), 100);
    else this.$("self-meter").style.setProperty("--level", "0");
  }

  hangUp() {
    this.over("ended");
  }

  /** The call is over; say why. */
  over(name, more = {}) {
    this.lifeline.end();
    const lasted = duration(performance.now() - this.beganAt);
    const link = this.link;
    this.link = null;
    if (link && !["closed", "left", "moved", "expired"].includes(link.state)) link.hangUp();
    this.sound.detach();
    this.unheard.stop();
    this.panel.wake(false);
    this.person.release();
    this.setMood("ended");
    // Nobody who has just spoken of what hurts is smiled at because they hang up.
    const kind = CAREFUL.has(this.avatar.emotion) || this.help.last ? "tender" : "warm";
    this.avatar.display({ emotion: name === "ended" || name === "left" ? kind : "concern", intensity: 0.4 });
    this.stage.dismissAll();
    this.stage.show(name, { lasted, kept: this.privacy.kept, ...more });
    this.privacy.show(false);
    if (FAILED.has(name)) this.telling.fail(name, more);
    this.telling.state();
  }

  /** The element goes away: nothing of it stays open. */
  dispose() {
    if (this.link) this.over("ended");
    this.lifeline.stopCounting();
    this.consent.unlook();
    this.person.release();
    clearInterval(this.meterTick);
    this.meter?.close();
    this.unheard.stop();
    this.sound.close();
    this.ui.ending.abort();
  }

  act(name) {
    if (name === "now") this.link?.retryNow();
    if (name === "retry") this.start(this.senses);
    if (name !== "leave") return;
    if (this.link) this.over("ended");
    else {
      this.lifeline.stopCounting();
      this.stage.show(null);
      this.consent.restore(this.senses);
      this.view("consent");
      this.$("start").focus();
    }
  }
}
