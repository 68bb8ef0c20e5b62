// The call: ties the person's devices, the link to the server, the agent's face and the panels together.
//
// For tests and for the curious, `window.rapport` shows what is going on (read it, do not write it):
//
//   version        1
//   view           "consent" | "call"
//   state          link: "idle" | "connecting" | "ready" | "lost" | "retrying" | "gone" | "refused" | "closed" | "left"
//   mood           agent: "connecting" | "listening" | "thinking" | "speaking" | "lost" | "ended" (as shown on the page)
//   cover          name of the full-stage message (see messages.js COVERS), or null
//   notices        keys of the notices shown: "mic", "camera", "devices", "sound", "error", "mind"
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
//   audio          {level: RMS now, peak, heardMs: time over -46 dBFS, firstHeardAt, lastHeardAt, playing}
//   audioLog       [{at, level}] every 20 ms of the last 60 s of the agent's sound, as received
//   stats          {mediaRttS, lost, received, jitterS}
//   received       {type or "server-message/t": count}
//   person         {mic, camera, micLive, cameraLive, pushToTalk, held}: the first two say whether there is a track
//   errors         [string] uncaught errors of the page
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
import { $, announce, clean, text } from "./dom.js";
import { Help } from "./help.js";
import { fillIcons } from "./icons.js";
import { Link } from "./link.js";
import { duration, mindMessage } from "./messages.js";
import { Panel } from "./panel.js";
import { Person } from "./person.js";
import { Recorder } from "./recorder.js";
import { devicesFor, wireNames } from "./senses.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Timing } from "./timing.js";
import { Why } from "./why.js";

const CONSENT_VERSION = 1;
const OFFER_URL = new URL("api/offer", document.baseURI).href;
const BYE_URL = new URL("api/bye", document.baseURI).href;

class Call {
  constructor() {
    fillIcons(document);
    this.sound = new AgentSound($("agent-audio"));
    this.avatar = new Avatar($("hello-face"), { sound: () => this.sound.read() });
    this.avatar.display({ emotion: "warm", intensity: 0.6 });
    this.person = new Person();
    this.settings = new Settings({ person: this.person, sound: this.sound });
    this.stage = new Stage({ act: (name) => this.act(name) });
    this.captions = new Captions({ readAloud: () => this.settings.announces });
    this.acts = new Acts(this);
    this.panel = new Panel({ toggle: (id, on) => this.acts.toggleSense(id, on) });
    this.why = new Why();
    this.help = new Help();
    this.timing = new Timing();
    this.consent = new Consent({ person: this.person, start: (senses) => this.start(senses) });
    this.controls = new Controls({ acts: this.acts, settings: this.settings, inCall: () => document.body.dataset.view === "call" && !$("call").hasAttribute("data-over") });
    this.recorder = new Recorder(this);
    this.senses = new Set();
    this.mood = "ended";
    this.reply = 0;
    this.mind = null;
    this.usual = null;
    this.link = null;
    this.person.addEventListener("change", () => this.personChanged());
    addEventListener("pagehide", () => this.bye());
    addEventListener("pageshow", ({ persisted }) => persisted && this.link && this.over("ended"));
    for (const id of ["place-name", "fact-host"]) text($(id), location.host || "this machine");
    this.tellWhere();
    const missing = obstacle();
    if (missing) this.impossible(missing);
  }

  /** Before anybody consents: whether words and pictures go to another machine as well. */
  async tellWhere() {
    const answer = await fetch("status").catch(() => null);
    const { sends_to: others = [] } = (answer?.ok && (await answer.json().catch(() => null))) || {};
    if (!others.length) return;
    text($("fact-other"), others.join(", "));
    $("fact-here").hidden = true;
    $("fact-elsewhere").hidden = false;
    $("place").title = `Words, sound and pictures are also sent to ${others.join(", ")}`;
  }

  impossible(name) {
    this.view("call");
    this.setMood("ended");
    this.controls.insight(false, false);
    this.stage.show(name);
  }

  view(name) {
    document.body.dataset.view = name;
    $("consent").hidden = name !== "consent";
    $("call").hidden = name !== "call";
    this.avatar.moveTo($(name === "call" ? "stage-face" : "hello-face"));
    scrollTo(0, 0);
  }

  /** Begin a call with these senses, from a click of the person. */
  async start(senses) {
    this.sound.unlock();
    this.senses = senses;
    this.reset();
    this.view("call");
    this.setMood("connecting");
    this.stage.show("connecting");
    this.panel.allow(senses);
    $("main").focus({ preventScroll: true });
    this.person.set({ micOn: true, cameraOn: true, held: false });
    await this.person.open(devicesFor(senses));
    if (document.body.dataset.view === "call") await this.connect();
  }

  reset() {
    this.stage.dismissAll();
    this.captions.clear();
    this.why.clear();
    this.help.clear();
    this.recorder.clear();
    this.avatar.display({ emotion: "warm", intensity: 0.5 });
    this.reply = 0;
    this.mind = null;
    this.beganAt = performance.now();
  }

  async connect() {
    clearInterval(this.countdown);
    this.link?.hangUp();
    const link = new Link(OFFER_URL, {
      tracks: () => ({ audio: this.person.audio, video: this.person.video }),
      muted: () => ({ audio: !this.person.micLive, video: !this.person.cameraLive }),
      consent: () => ({ version: CONSENT_VERSION, senses: this.recorder.sent(wireNames(this.senses)) }),
    });
    this.link = link;
    const on = (type, act) => link.addEventListener(type, ({ detail }) => this.link === link && act(detail));
    on("state", (detail) => this.linkState(detail));
    on("track", (track) => track.kind === "audio" && this.hearAgent(track));
    on("message", (message) => this.message(message));
    on("roundtrip", (seconds) => this.timing.trip(seconds));
    on("stats", (stats) => (this.recorder.stats = stats));
    this.stage.show("connecting");
    await link.open();
  }

  linkState({ state, attempt, nextMs = 0, reason }) {
    clearInterval(this.countdown);
    if (state === "connecting") this.setMood("connecting");
    if (state === "ready") this.ready();
    if (state === "lost") {
      this.setMood("lost");
      this.count(Math.round(nextMs / 1000), (seconds) => this.stage.show("lost", { attempt, seconds }));
    }
    if (state === "retrying") this.stage.show("lost", { attempt, seconds: 0 });
    if (state === "gone") this.over("gone");
    if (state === "refused") this.refused(reason);
    if (state === "left" && this.stage.cover !== "fatal") this.over("left");
  }

  ready() {
    const again = this.recorder.connections > 0;
    this.recorder.connections += 1;
    this.stage.show(null);
    this.panel.wake(true);
    this.setMood("listening");
    if (!again) this.beganAt = performance.now();
    announce(again ? "Connected again." : "Connected. The agent is listening.");
    if (this.person.pushToTalk) this.link.ask("push-to-talk", { enabled: true, held: this.person.held });
  }

  refused(reason) {
    this.setMood("ended");
    if (reason.retryAfterS === null) {
      this.over("refused", { title: reason.title, detail: reason.detail });
      return;
    }
    this.count(Math.max(1, reason.retryAfterS), (seconds) => (seconds > 0 ? this.stage.show("busy", { detail: reason.detail, seconds }) : this.connect()));
  }

  /** Call `show` each second with what is left, down to 0. */
  count(seconds, show) {
    clearInterval(this.countdown);
    show(seconds);
    if (seconds <= 0) return;
    let left = seconds;
    this.countdown = setInterval(() => {
      left -= 1;
      if (left <= 0) clearInterval(this.countdown);
      show(left);
    }, 1000);
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
        this.captions.show(message);
        break;
      case "display":
        this.display(message);
        break;
      case "resource":
        this.help.show(message);
        break;
      case "note":
        if (message.event === "state") this.setMood(message.state);
        break;
      case "state":
        if (typeof message.state === "string") this.setMood(message.state);
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
    else this.stage.notice("error", { title: "Something went wrong", text: detail, seconds: 12 });
  }

  setMood(mood) {
    if (!["connecting", "listening", "thinking", "speaking", "lost", "ended"].includes(mood)) return;
    this.mood = mood;
    this.stage.mood(mood);
    this.avatar.setState(mood);
    $("stop").hidden = mood !== "speaking";
    this.describe();
  }

  describe() {
    this.avatar.describe(`The agent’s face: ${clean(this.avatar.emotion)}, ${this.mood}`);
  }

  personChanged() {
    const needed = devicesFor(this.senses);
    const { audio, video } = this.person;
    this.controls.paint(this.person, needed);
    this.panel.without(this.person.silent());
    if (document.body.dataset.view !== "call") return;
    const self = $("self-video");
    if (self.srcObject?.getVideoTracks()[0] !== (video ?? undefined)) {
      self.srcObject = video ? new MediaStream([video]) : null;
      if (video) self.play().catch(() => {});
    }
    this.watchMic(audio);
    this.link?.sync();
  }

  watchMic(audio) {
    if (this.metered === audio) return;
    this.metered = audio;
    clearInterval(this.meterTick);
    this.meter?.close();
    this.meter = audio && this.sound.context ? new MicMeter(this.sound.context, new MediaStream([audio])) : null;
    if (this.meter) this.meterTick = setInterval(() => $("self-meter").style.setProperty("--level", this.meter.read().toFixed(2)), 100);
    else $("self-meter").style.setProperty("--level", "0");
  }

  hangUp() {
    this.over("ended");
  }

  /** The call is over; say why. */
  over(name, more = {}) {
    clearInterval(this.countdown);
    const lasted = duration(performance.now() - this.beganAt);
    const link = this.link;
    this.link = null;
    if (link && !["closed", "left"].includes(link.state)) link.hangUp();
    this.sound.detach();
    this.panel.wake(false);
    this.person.release();
    this.setMood("ended");
    this.avatar.display({ emotion: name === "ended" || name === "left" ? "warm" : "concern", intensity: 0.4 });
    this.stage.dismissAll();
    this.stage.show(name, { lasted, ...more });
  }

  act(name) {
    if (name === "now") this.link?.retryNow();
    if (name === "retry") this.start(this.senses);
    if (name !== "leave") return;
    if (this.link) this.over("ended");
    else {
      clearInterval(this.countdown);
      this.stage.show(null);
      this.consent.restore(this.senses);
      this.view("consent");
      $("start").focus();
    }
  }

  bye() {
    const id = this.link?.pcId;
    if (id) navigator.sendBeacon(`${BYE_URL}?pc_id=${encodeURIComponent(id)}`);
  }
}

new Call();
