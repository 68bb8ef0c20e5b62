// <rapport-call>, of Rapport. Apache-2.0. Made by tools/embed.py from clients/web/src: change it there.

// messages.js
const _messages = (() => {
// Every message of the page about something that went wrong: what happened, and what to do about it.

const DEVICE = {
  mic: {
    denied: ["Microphone blocked", "You can type instead. To talk, allow the microphone in the address bar (the icon left of the address), then choose “Try again”."],
    missing: ["No microphone found", "You can type instead, and you will still hear and see the answers. Plug one in to talk."],
    busy: ["The microphone is in use", "Another program holds it. Close that program, then try again. Until then you can type."],
    failed: ["The microphone did not start", "Choose another one in Settings, or type."],
    insecure: ["This page may not use the microphone", `Browsers allow it only over https, or on this very computer. Open the page through https, or as http://localhost. Until then you can type.`],
    unplugged: ["The microphone was unplugged", "Plug it in again or choose another one. Until then you can type."],
    revoked: ["The microphone is no longer allowed", "Its permission was taken back. To talk, allow it again in the address bar (the icon left of the address); it then goes on by itself. Until then you can type."],
    hushed: ["The microphone gives no sound", "The system or a switch on the device has muted it. Until that is undone you can type."],
  },
  camera: {
    denied: ["Camera blocked", "Going on with voice only. To be seen, allow the camera in the address bar, then choose “Try again”."],
    missing: ["No camera found", "Going on with voice only: your face will not be perceived."],
    busy: ["The camera is in use", "Another program holds it. Going on with voice only; close that program, then try again."],
    failed: ["The camera did not start", "Going on with voice only. Choose another camera in Settings."],
    insecure: ["This page may not use the camera", "Browsers allow it only over https, or on this very computer. Going on without it."],
    unplugged: ["The camera was unplugged", "Going on with voice only. Plug it in again or choose another one."],
    revoked: ["The camera is no longer allowed", "Its permission was taken back. Going on with voice only; allow it again in the address bar (the icon left of the address), and it goes on by itself."],
    hushed: ["The camera gives no picture", "The system or a cover on the device has switched it off. Going on with voice only until that is undone."],
  },
};

/** {title, text, retry} for one device problem; `retry` says whether asking again may help, `label` which one it is. */
function deviceMessage({ device, code, label = "" }) {
  const [title, text] = DEVICE[device][code] ?? DEVICE[device].failed;
  return { title, text: label ? `${label}: ${text.charAt(0).toLowerCase()}${text.slice(1)}` : text, retry: code !== "insecure" && code !== "hushed" };
}

/** The button that takes another device instead. */
const useDevice = (label) => `Use ${label}`;

/** Both devices fail for one reason: one message instead of two. */
function bothMessage(code) {
  const found = {
    denied: ["Camera and microphone blocked", "You can type, and you will hear and see the answers. To talk, allow both in the address bar (the icon left of the address), then choose “Try again”."],
    missing: ["No camera and no microphone found", "You can type, and you will hear and see the answers. Plug them in to talk."],
    insecure: ["This page may not use camera and microphone", "Browsers allow them only over https, or on this very computer: open the page through https, or as http://localhost. You can type meanwhile."],
  }[code];
  return found ? { title: found[0], text: found[1], retry: code !== "insecure" } : null;
}

/** What passes about the connection. */
const LINK = {
  degraded: { title: "Your connection is weak", text: "I may miss what you say, and you may miss what I say. I stay here." },
  back: { title: "Connected again", text: "The call goes on where it was." },
  fresh: { title: "A new call has begun", text: "The earlier one was over before the connection came back. I do not remember what we said in it." },
  over: { title: "Your earlier call is over", text: "The page was away for too long. Nothing is seen or heard now; start a new call whenever you like." },
};

/** What became of the person's agreement. */
const AGREEMENT = {
  notStored: { title: "Your agreement could not be stored", text: "So nothing is seen or heard. You can type. It is tried again by itself." },
  notErased: { title: "Not everything could be erased", text: "What you took back is no longer perceived, but a file with it is still there. Please tell whoever runs this server." },
};

/** The server stops soon. */
const CLOSING = (seconds) => ({
  title: "The call will have to end soon",
  text: seconds > 0 ? `The program is about to be restarted, in about ${seconds} s. You can call again a little later.` : "The program is about to be restarted. You can call again a little later.",
});

const SMALL = new Set(["compact", "scripted"]);

/** {title, text} for when another mind than the usual one speaks. */
function mindMessage(mind) {
  return {
    title: `Speaking with ${SMALL.has(mind) ? "the small" : "another"} mind for now`,
    text: "My usual one does not answer just now. I go on listening, and come back to it by myself.",
  };
}

/** The card of who can help, by the danger that was heard. */
const HELP = {
  self_harm: { title: "You don’t have to be alone with this", text: "These people are there for moments like this one. It costs nothing to call them first and find the words later." },
  medical: { title: "This may be an emergency", text: "Call now, or ask somebody near you to. They tell you what to do until help comes." },
  abuse: { title: "You deserve to be safe", text: "These people listen and believe you. Call when it is safe to; “Hide” takes this card off the screen." },
  harm_others: { title: "Before anyone gets hurt", text: "Step away first. Then call: they have heard it before, and they help." },
  hide: "Hide",
  call: (number) => `Call ${number}`,
  callName: (name, number) => `Call ${name}, ${number}`,
  text: (number) => `Text ${number}`,
  textName: (name, number) => `Text ${name}, ${number}`,
  checked: (country, day) => `${country}. Checked ${day}. I am an AI, and no emergency service: I cannot call for you.`,
};

/** Full-stage messages, by name. */
const COVERS = {
  connecting: ({ name }) => ({ title: "Connecting", text: `Calling the agent on ${name}.`, spin: true }),
  busy: ({ detail, seconds }) => ({
    title: "The agent is in another call",
    text: `${detail || "It can only talk with so many people at once."} Trying again in ${seconds} s.`,
    actions: [["retry", "Try now"], ["leave", "Not now"]],
    count: seconds,
  }),
  refused: ({ title, detail }) => ({
    title: "The call was refused",
    text: `${detail || title || "The server gave no reason."} Reloading the page gets its newest version, which often helps.`,
    actions: [["retry", "Try again"], ["leave", "Back"]],
    tone: "bad",
  }),
  gone: ({ host, home }) => ({
    title: "The server does not answer",
    text: !home ? `${host} does not answer, or takes no calls from this page. It may help to try again a little later.` : `Nothing answers on ${host}. See that the program is running (“agent serve”) and that you are in the same network, then try again.`,
    actions: [["retry", "Try again"], ["leave", "Back"]],
    tone: "bad",
  }),
  lost: ({ attempt, seconds, keptS }) => ({
    title: "Reconnecting…",
    text: `The connection was lost. ${keptS > 0 ? `Your call is kept for another ${keptS} s.` : "A new call begins as soon as the server answers."} Trying again ${seconds > 0 ? `in ${seconds} s` : "now"}${attempt > 1 ? ` (attempt ${attempt})` : ""}.`,
    actions: [["now", "Try now"], ["leave", "End the call"]],
    spin: true,
    tone: "warn",
  }),
  expired: ({ lasted }) => ({
    title: "Your earlier call is over",
    text: `It lasted ${lasted}.`,
    actions: [["retry", "Call again"], ["leave", "Back"]],
  }),
  moved: () => ({
    title: "The call goes on elsewhere",
    text: "Another tab or window of yours has taken it over. Here nothing is seen or heard any more.",
    actions: [["retry", "Start a new call here"], ["leave", "Back"]],
  }),
  ended: ({ lasted, kept }) => ({
    title: "The call has ended",
    text: `You talked for ${lasted}. ${kept ? "Your words were kept in writing, as you allowed." : "Nothing was recorded."}`,
    actions: [["retry", "Talk again"], ["leave", "Change what it may notice"]],
  }),
  left: ({ lasted }) => ({
    title: "The agent ended the call",
    text: `It lasted ${lasted}. You can call again at any time.`,
    actions: [["retry", "Call again"], ["leave", "Back"]],
  }),
  fatal: ({ detail }) => ({
    title: "The agent had to stop",
    text: `${detail} You can start a new call.`,
    actions: [["retry", "Call again"], ["leave", "Back"]],
    tone: "bad",
  }),
  webrtc: () => ({
    title: "This browser cannot make calls",
    text: "It has no WebRTC, or it is switched off. A current Chrome, Edge, Firefox or Safari works.",
    tone: "bad",
  }),
};

function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  if (!minutes) return `${seconds} ${seconds === 1 ? "second" : "seconds"}`;
  return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
}
return { deviceMessage, useDevice, bothMessage, LINK, AGREEMENT, CLOSING, mindMessage, HELP, COVERS, duration };
})();

// senses.js
const _senses = (() => {
// The senses a person can allow or refuse, one by one, and how percepts of the runtime belong to them.

/**
 * `wire` are the names that go into `consent` and `senses` messages: the workers that the sense needs, and the kinds of
 * percept it stands for where one worker serves two senses (`face` runs for `expression` and for `gaze`, and a kind that
 * is not in the list must not be reported). `source` is the device it needs; `kinds` are the percept kinds it shows;
 * `lost` the names in a `sense_lost` percept that silence it.
 */
const SENSES = [
  {
    id: "words", wire: ["words", "vad", "turn", "asr"], source: "mic", title: "Words", icon: "words",
    what: "What you say, turned into text. Without it, you type.",
    kinds: ["partial", "transcript", "speech_started", "speech_ended", "end_of_turn"],
    lost: ["asr", "vad", "words", "audio", "microphone", "hearing"],
  },
  {
    id: "voice", wire: ["voice", "vad", "prosody"], source: "mic", title: "Tone of voice", icon: "voice",
    what: "How it sounds: pitch, loudness, pace and pauses, against your own usual.",
    kinds: ["prosody"],
    lost: ["prosody", "vad", "voice", "audio", "microphone", "hearing"],
  },
  {
    id: "expression", wire: ["expression", "face"], source: "camera", title: "Facial expression", icon: "face",
    what: "One of seven rough guesses, such as happy or sad. Often unsure.",
    kinds: ["expression"],
    lost: ["face", "expression", "camera", "video", "sight", "vision"],
  },
  {
    id: "gaze", wire: ["gaze", "face"], source: "camera", title: "Gaze", icon: "gaze",
    what: "Whether you look towards the camera or away.",
    kinds: ["gaze", "blink"],
    lost: ["face", "gaze", "camera", "video", "sight", "vision"],
  },
  {
    id: "gesture", wire: ["gesture"], source: "camera", title: "Gestures", icon: "gesture",
    what: "Nods, head shakes, and a few signs of the hand.",
    kinds: ["gesture"],
    lost: ["gesture", "camera", "video", "sight", "vision"],
  },
  {
    id: "scene", wire: ["scene"], source: "camera", title: "People in view", icon: "people",
    what: "How many faces are there, who comes and goes, and the light. Not who they are.",
    kinds: ["face", "presence", "scene", "talking"],
    lost: ["scene", "people", "camera", "video", "sight", "vision"],
  },
];

const ALL = SENSES.map((sense) => sense.id);

/** Those that read feelings, which some places must not offer. */
const AFFECT = ["voice", "expression"];

/** What to send for a set of sense ids. */
const wireNames = (senses) => [...new Set(SENSES.filter((sense) => senses.has(sense.id)).flatMap((sense) => sense.wire))].sort();

const sourceOf = (id) => SENSES.find((sense) => sense.id === id)?.source;

/** The sense that a percept kind belongs to, or undefined for one this page does not know. */
const senseOf = (kind) => SENSES.find((sense) => sense.kinds.includes(kind))?.id;

/** The devices that a set of senses needs: {mic, camera}. A device that nothing needs is never asked for. */
function devicesFor(senses) {
  const needed = { mic: false, camera: false };
  for (const sense of SENSES) if (senses.has(sense.id)) needed[sense.source] = true;
  return needed;
}
return { SENSES, ALL, AFFECT, wireNames, sourceOf, senseOf, devicesFor };
})();

// acts.js
const _acts = (() => {
// What the person does in a call: mute, camera, push-to-talk, stop, words, a sense on or off; and what their devices do.

const { bothMessage, deviceMessage, useDevice } = _messages;
const { SENSES, devicesFor, wireNames } = _senses;

/** Other devices that a notice offers; Settings has all of them. */
const OFFERED = 2;

class Acts {
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

  pushToTalk(enabled) {
    this.person.set({ pushToTalk: enabled, held: false });
    this.call.link?.ask("push-to-talk", { enabled, held: false });
    this.ui.announce(enabled ? "Push to talk: hold space, or the button." : "Push to talk off.");
  }

  hold(held) {
    if (!this.person.pushToTalk || this.person.held === held) return;
    this.person.set({ held });
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
return { Acts };
})();

// audio.js
const _audio = (() => {
// Sound in the page: plays the agent's stream, measures it for the mouth and for tests, and meters the microphone.

/**
 * Plays and measures the agent's sound.
 *
 * Chromium only feeds a remote WebRTC stream into WebAudio while a media element plays it too, so the element makes
 * the sound (and can choose the speaker) and the analyser only watches.
 */
class AgentSound {
  constructor(element) {
    this.element = element;
    this.context = null;
    this.analyser = null;
    this.open = 0;
    this.round = 0;
    this.width = 0;
    this.level = 0;
    this.peak = 0;
    this.heardMs = 0;
    this.firstHeardAt = null;
    this.lastHeardAt = null;
    this.stamp = 0;
  }

  /** Call from a click, or the browser keeps the sound blocked. */
  unlock() {
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    if (this.context.state === "suspended") this.context.resume().catch(() => {});
  }

  /** Play `stream`; resolves to false when the browser refuses sound until the person clicks. */
  async attach(stream) {
    this.unlock();
    this.source?.disconnect();
    this.analyser = new AnalyserNode(this.context, { fftSize: 1024, smoothingTimeConstant: 0 });
    this.source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    this.source.connect(this.analyser);
    this.wave = new Float32Array(this.analyser.fftSize);
    this.spectrum = new Float32Array(this.analyser.frequencyBinCount);
    this.element.srcObject = stream;
    return this.play();
  }

  async play() {
    try {
      await this.element.play();
      return true;
    } catch (error) {
      return error.name !== "NotAllowedError";
    }
  }

  detach() {
    this.source?.disconnect();
    this.source = null;
    this.analyser = null;
    this.element.srcObject = null;
    this.open = this.round = this.width = this.level = 0;
  }

  /** Measure now; returns {level 0..1 (RMS), open, round, width} for the mouth. */
  read(now = performance.now()) {
    if (!this.analyser || now - this.stamp < 8) return this;
    const dt = Math.min(0.1, (now - this.stamp) / 1000);
    this.stamp = now;
    this.analyser.getFloatTimeDomainData(this.wave);
    let sum = 0;
    for (const x of this.wave) sum += x * x;
    this.level = Math.sqrt(sum / this.wave.length);
    this.peak = Math.max(this.peak, this.level);
    if (this.level > 0.005) {
      this.heardMs += dt * 1000;
      this.firstHeardAt ??= now;
      this.lastHeardAt = now;
    }
    this.shape(dt);
    return this;
  }

  // A vowel opens the mouth, energy under 700 Hz alone rounds it (oo, oh), a hiss above 3 kHz spreads and closes it.
  shape(dt) {
    const loud = Math.min(1, Math.max(0, (20 * Math.log10(this.level + 1e-5) + 46) / 32));
    let open = 0;
    let round = 0;
    let width = 0;
    if (loud > 0.02) {
      this.analyser.getFloatFrequencyData(this.spectrum);
      const hz = this.context.sampleRate / this.analyser.fftSize;
      const band = (from, to) => {
        let power = 0;
        for (let i = Math.ceil(from / hz); i < to / hz; i += 1) power += 10 ** (this.spectrum[i] / 10);
        return power;
      };
      const low = band(120, 700);
      const mid = band(700, 2600);
      const high = band(3000, 7500);
      const all = low + mid + high + 1e-12;
      const hiss = high / all;
      open = loud * (0.35 + 0.6 * Math.min(1, (2.2 * mid) / all)) * (1 - 0.75 * hiss);
      round = loud * Math.max(0, low / all - 0.8) * 3;
      width = loud * (0.5 * hiss + 0.3 * (mid / all) - 0.1);
    }
    // Lips open within 40 ms and close within 90 ms.
    const blend = (from, to) => from + (to - from) * (1 - Math.exp(-dt / (to > from ? 0.022 : 0.05)));
    this.open = blend(this.open, open);
    this.round = blend(this.round, round);
    this.width = blend(this.width, width);
  }

  async setSpeaker(deviceId) {
    if (this.element.setSinkId) await this.element.setSinkId(deviceId);
  }
}

/** The loudness of a local microphone stream, 0..1, for the meter. */
class MicMeter {
  constructor(context, stream) {
    this.analyser = new AnalyserNode(context, { fftSize: 512 });
    this.source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    this.source.connect(this.analyser);
    this.wave = new Float32Array(512);
  }

  read() {
    this.analyser.getFloatTimeDomainData(this.wave);
    let sum = 0;
    for (const x of this.wave) sum += x * x;
    const db = 10 * Math.log10(sum / this.wave.length + 1e-9);
    return Math.min(1, Math.max(0, (db + 60) / 48));
  }

  close() {
    this.source.disconnect();
  }
}
return { AgentSound, MicMeter };
})();

// face.js
const _face = (() => {
// The look of the agent: poses per display emotion, and the geometry that turns a pose into SVG paths.
// Pure functions; the origin is the middle of the head, a unit is one SVG user unit (the head is 250 high).

/** A face at rest. Angles in degrees, everything else about -1..1 (lid: 1 open, 0 closed). */
const REST = {
  browInner: 0, browOuter: 0, browL: 0, browR: 0,
  lid: 1, squint: 0.12, pupil: 0.5, droop: 0,
  smile: 0.22, width: 0, open: 0, round: 0, press: 0,
  cheek: 0.25, yaw: 0, pitch: 0, roll: 0, lean: 0, gazeX: 0, gazeY: 0,
};

/** What each display emotion changes, at full intensity, and its two colours of light. */
const EMOTIONS = {
  neutral: { light: ["#d5cff0", "#a7a6dc"], pose: {} },
  warm: { light: ["#ffd3ae", "#f7a08b"], pose: { smile: 0.8, squint: 0.42, cheek: 0.75, browInner: 0.12, browOuter: 0.1, roll: 2, pupil: 0.7 } },
  happy: {
    light: ["#ffdd85", "#f9a65a"],
    pose: { smile: 1, width: 0.5, open: 0.2, squint: 0.85, cheek: 1, browOuter: 0.4, browInner: 0.25, lid: 0.92, pitch: -0.1 },
  },
  concern: {
    light: ["#bcc6f2", "#8a95d6"],
    pose: { browInner: 1.15, browOuter: -0.3, smile: -0.16, press: 0.35, lid: 0.94, squint: 0.3, roll: -3, lean: 0.35, pitch: 0.1, cheek: 0.2 },
  },
  sad: {
    light: ["#a9c4e4", "#6d8fc0"],
    pose: { browInner: 1, browOuter: -0.5, smile: -0.6, lid: 0.74, droop: 0.7, gazeY: 0.22, pitch: 0.26, squint: 0.2, cheek: 0.1, width: -0.15 },
  },
  surprise: {
    light: ["#ffcfe2", "#e493c2"],
    pose: { browInner: 0.8, browOuter: 0.95, lid: 1.26, squint: 0, open: 0.34, round: 0.45, smile: 0.1, pupil: 1, pitch: -0.14 },
  },
  curious: {
    light: ["#b4e6d9", "#66bfb2"],
    pose: { browL: 0.15, browR: 0.95, browOuter: 0.1, smile: 0.28, lid: 1.08, roll: 5, lean: 0.25, pupil: 0.85, width: -0.1, squint: 0.1 },
  },
  calm: { light: ["#cbe7c7", "#8bc3a2"], pose: { lid: 0.8, smile: 0.34, squint: 0.22, browOuter: -0.1, cheek: 0.4, pupil: 0.35 } },
};

/** The pose of an emotion at an intensity 0..1; an unknown emotion is neutral. */
function poseOf(emotion, intensity = 0.6) {
  const goal = (EMOTIONS[emotion] ?? EMOTIONS.neutral).pose;
  // Policies say 0.6 for an ordinary expression: that should already be plain to see.
  const weight = Math.min(1, 0.35 + 0.85 * Math.max(0, Math.min(1, intensity)));
  const pose = { ...REST };
  for (const [key, value] of Object.entries(goal)) pose[key] += (value - REST[key]) * weight;
  return pose;
}

const f = (x) => x.toFixed(2);
const xy = (x, y) => `${f(x)} ${f(y)}`;

function headPath(p) {
  const jaw = p.open * 7;
  return (
    `M${xy(0, -126)}C${xy(62, -127)} ${xy(101, -84)} ${xy(100, -22)}C${xy(100, 22)} ${xy(94, 52)} ${xy(78, 84)}` +
    `C${xy(62, 112 + jaw)} ${xy(32, 131 + jaw)} ${xy(0, 131 + jaw)}C${xy(-32, 131 + jaw)} ${xy(-62, 112 + jaw)} ${xy(-78, 84)}` +
    `C${xy(-94, 52)} ${xy(-100, 22)} ${xy(-100, -22)}C${xy(-101, -84)} ${xy(-62, -127)} ${xy(0, -126)}Z`
  );
}

/** One eye: its opening, the lash line, the crease above, and where iris and pupil lie. `s` is -1 left, 1 right. */
function eye(s, p) {
  const half = 23;
  const cx = s * 43;
  const inner = [cx - s * half, 3];
  const outer = [cx + s * half, -1 + p.droop * 4];
  const low = 12 - p.squint * 9;
  const lid = Math.max(0, p.lid - p.blink);
  const top = low + (-24 - low) * Math.min(1.2, lid) * (1 - p.squint * 0.12);
  const lift = lid > 0.3 ? 1 : lid / 0.3;
  const up = (dy) =>
    `C${xy(inner[0] + s * 7, top * 0.92 + dy + 2)} ${xy(outer[0] - s * 9, top + dy + p.droop * 5)} ${xy(outer[0], outer[1] + dy * 0.4)}`;
  const back = `C${xy(outer[0] - s * 10, low + 1)} ${xy(inner[0] + s * 11, low + 1)} ${xy(...inner)}`;
  const opening = `M${xy(...inner)}${up(0)}${back}Z`;
  const tail = [outer[0] + s * 2.2, outer[1] - 1.4 * lift];
  const lash =
    `M${xy(...inner)}${up(0)}L${xy(...tail)}` +
    `C${xy(outer[0] - s * 8, top - 4.4 + p.droop * 5)} ${xy(inner[0] + s * 8, top * 0.92 - 1.2)} ${xy(...inner)}Z`;
  const crease =
    `M${xy(inner[0] + s * 3, Math.min(-3, top * 0.55) - 7)}` +
    `C${xy(inner[0] + s * 12, Math.min(-12, top * 0.8) - 9)} ${xy(outer[0] - s * 12, Math.min(-12, top * 0.8) - 9)} ${xy(outer[0] + s * 2, -9 + p.droop * 4)}`;
  return { opening, lash, crease, x: cx + p.gazeX * 9 - s * 0.8, y: -3.5 + p.gazeY * 7, iris: 11.6, pupil: 4.4 + p.pupil * 1.7 };
}

/** A brow: a stroke that tapers outwards. */
function brow(s, p) {
  const own = s < 0 ? p.browL : p.browR;
  const y = -35 - own * 10 + (p.lid - 1) * -3 - p.squint * -1.5;
  const a = [s * 17, y + 5 - p.browInner * 12];
  const b = [s * 44, y - 6 - p.browOuter * 7 - p.browInner * 2];
  const c = [s * 73, y + 2 - p.browOuter * 8];
  return (
    `M${xy(a[0], a[1] - 3.4)}C${xy(a[0] + s * 10, a[1] - 8.6)} ${xy(b[0], b[1] - 3.8)} ${xy(c[0], c[1])}` +
    `C${xy(b[0] + s * 4, b[1] + 3)} ${xy(a[0] + s * 12, a[1] + 1)} ${xy(a[0] + s * 1.5, a[1] + 4.2)}` +
    `Q${xy(a[0] - s * 3.4, a[1] + 1)} ${xy(a[0], a[1] - 3.4)}Z`
  );
}

/** The mouth: outer lips, the inside, the upper teeth, and the shade under the lower lip. */
function mouth(p) {
  const open = Math.max(0, p.open);
  const half = 27 + 6 * p.width + 6 * Math.max(0, p.smile) - 11 * p.round - 2 * open;
  const corner = 82 - 9.5 * p.smile + 2 * open;
  const upper = 82 + 3.4 * p.smile - 4 * open * (1 - 0.4 * p.smile);
  const lower = upper + 0.9 + 24 * open;
  const thick = 1 - 0.4 * p.press - 0.16 * Math.max(0, p.smile) + 0.2 * p.round;
  const u = 6.4 * thick;
  const l = 8.6 * thick;
  const k = 0.52 + 0.14 * p.round;
  const lips =
    `M${xy(-half - 1.5, corner)}C${xy(-half * k, upper - u * 0.9)} ${xy(-8, upper - u - 2.4)} ${xy(0, upper - u)}` +
    `C${xy(8, upper - u - 2.4)} ${xy(half * k, upper - u * 0.9)} ${xy(half + 1.5, corner)}` +
    `C${xy(half * 0.66, lower + l * 1.15)} ${xy(half * 0.3, lower + l * 1.32)} ${xy(0, lower + l * 1.3)}` +
    `C${xy(-half * 0.3, lower + l * 1.32)} ${xy(-half * 0.66, lower + l * 1.15)} ${xy(-half - 1.5, corner)}Z`;
  const line = `C${xy(-half * k, upper + 1.2)} ${xy(-half * 0.26, upper - 0.6)} ${xy(0, upper + 0.4)}C${xy(half * 0.26, upper - 0.6)} ${xy(half * k, upper + 1.2)} ${xy(half, corner)}`;
  const sag = lower + open * 5;
  const inside = `M${xy(-half, corner)}${line}C${xy(half * 0.62, sag + 1.2)} ${xy(-half * 0.62, sag + 1.2)} ${xy(-half, corner)}Z`;
  const teeth = `M${xy(-half, corner - 2)}${line}L${xy(half * 0.8, upper + 6.5)}Q${xy(0, upper + 10)} ${xy(-half * 0.8, upper + 6.5)}Z`;
  const shade = { y: lower + l * 1.3 + 7, rx: half * 0.5 };
  return { lips, inside, teeth, shade, line: `M${xy(-half - 1.5, corner)}${line}` };
}
return { REST, EMOTIONS, poseOf, headPath, eye, brow, mouth };
})();

// motion.js
const _motion = (() => {
// Motion of the agent's face: springs that never overshoot wildly, gestures as curves over time, and the
// small involuntary life (breath, blinks, micro-saccades) that makes a still face look awake.

/** A damped spring that follows `target`. `rate` is about 1/seconds to settle; damping 1 never overshoots. */
class Spring {
  constructor(value, rate = 9, damping = 1) {
    this.value = value;
    this.target = value;
    this.speed = 0;
    this.rate = rate;
    this.damping = damping;
  }

  step(dt) {
    const pull = this.rate * this.rate * (this.target - this.value);
    this.speed += (pull - 2 * this.damping * this.rate * this.speed) * dt;
    this.value += this.speed * dt;
    return this.value;
  }

  /** Go there now, without motion. */
  jump(value) {
    this.value = this.target = value;
    this.speed = 0;
  }
}

const ease = (x) => (x <= 0 ? 0 : x >= 1 ? 1 : x * x * (3 - 2 * x));

/** Up within `rise`, stays, down within the last `fall`; all as parts of 1. */
const plateau = (x, rise, fall) => ease(x / rise) * ease((1 - x) / fall);

/** Each gesture: how long it takes (s) and what it adds to the pose at `x` in 0..1. */
const GESTURES = {
  nod: { seconds: 1.25, add: (x) => ({ pitch: Math.sin(x * Math.PI * 4) * (x < 0.5 ? 1 : 0.6) * ease(x / 0.08) * 0.85 }) },
  tilt: { seconds: 2.6, add: (x) => ({ roll: 7 * plateau(x, 0.22, 0.3), yaw: 0.12 * plateau(x, 0.22, 0.3) }) },
  lean_in: { seconds: 3.4, add: (x) => ({ lean: plateau(x, 0.25, 0.35), pitch: 0.16 * plateau(x, 0.25, 0.35) }) },
  look_away: {
    seconds: 2.4,
    add: (x) => ({ yaw: 0.55 * plateau(x, 0.2, 0.25), gazeX: 0.85 * plateau(x, 0.12, 0.2), gazeY: 0.35 * plateau(x, 0.15, 0.2) }),
  },
  blink: { seconds: 0.32, add: (x) => ({ blink: plateau(x, 0.4, 0.5) }) },
};

/** Runs gestures one over the other and sums what they add. */
class Gestures {
  constructor() {
    this.running = [];
  }

  play(name, strength, now) {
    if (!GESTURES[name]) return;
    this.running = this.running.filter((g) => g.name !== name);
    this.running.push({ name, strength, from: now });
  }

  at(now) {
    const sum = { pitch: 0, roll: 0, yaw: 0, lean: 0, gazeX: 0, gazeY: 0, blink: 0 };
    this.running = this.running.filter((g) => now - g.from < GESTURES[g.name].seconds);
    for (const { name, strength, from } of this.running) {
      const added = GESTURES[name].add((now - from) / GESTURES[name].seconds);
      for (const [key, value] of Object.entries(added)) sum[key] += value * strength;
    }
    return sum;
  }
}

/** Blinks: an upper lid falls in 70 ms, rests 30 ms and rises in 150 ms; sometimes twice. */
class Blinks {
  constructor(random = Math.random) {
    this.random = random;
    this.next = 1.2;
    this.from = -1;
  }

  at(now, every = 4.2) {
    if (now >= this.next) {
      this.from = now;
      const twice = this.random() < 0.14;
      this.next = now + (twice ? 0.34 : every * (0.45 + 1.1 * this.random()));
    }
    const x = now - this.from;
    if (this.from < 0 || x > 0.25) return 0;
    if (x < 0.07) return ease(x / 0.07);
    return x < 0.1 ? 1 : 1 - ease((x - 0.1) / 0.15);
  }
}

/** Eyes never rest: a tiny jump every half second to two, mostly between the other's two eyes. */
class Saccades {
  constructor(random = Math.random) {
    this.random = random;
    this.next = 0;
    this.x = 0;
    this.y = 0;
  }

  at(now, size = 0.09) {
    if (now >= this.next) {
      this.next = now + 0.45 + 1.6 * this.random() ** 2;
      this.x = (this.random() * 2 - 1) * size;
      this.y = (this.random() * 2 - 1) * size * 0.6;
    }
    return this;
  }
}
return { Spring, GESTURES, Gestures, Blinks, Saccades };
})();

// avatar.js
const _avatar = (() => {
// The agent's face: builds the SVG once, then every frame moves it towards the shown emotion, adds gestures and
// idle life, and opens the mouth with the sound that arrives. Under prefers-reduced-motion the idle life and the
// head gestures go; the expression and the mouth stay, since they carry meaning.

const { EMOTIONS, REST, brow, eye, headPath, mouth, poseOf } = _face;
const { Blinks, Gestures, Saccades, Spring } = _motion;

const NS = "http://www.w3.org/2000/svg";
const FRAME_MS = 30; // thirty pictures a second are smooth for a face, and half the work of sixty
const RATES = { yaw: 6, pitch: 7, roll: 4.5, lean: 3.5, gazeX: 16, gazeY: 16, lid: 11, open: 26, round: 18, width: 14 };

function make(name, attributes = {}, parent = null, children = []) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  parent?.append(node);
  return node;
}

function gradient(defs, kind, name, attributes, stops) {
  const node = make(kind, { id: `${defs.dataset.own}-${name}`, ...attributes }, defs);
  for (const [offset, color, opacity = 1] of stops) make("stop", { offset, class: color, "stop-opacity": opacity }, node);
}

// The face is not one of a human skin: it is a sculpture lit by the colours of what it shows. Stops with a class
// take their colour from avatar.css, where --light-a and --light-b are blended in.
function paints(defs) {
  gradient(defs, "radialGradient", "skin", { cx: 0.36, cy: 0.28, r: 0.88 }, [[0, "av-s0"], [0.42, "av-s1"], [0.78, "av-s2"], [1, "av-s3"]]);
  gradient(defs, "linearGradient", "neck", { x1: 0, y1: 0, x2: 0, y2: 1 }, [[0, "av-s4"], [0.5, "av-s3"], [1, "av-s2"]]);
  gradient(defs, "linearGradient", "hair", { x1: 0.05, y1: 0.1, x2: 0.9, y2: 0.9 }, [[0, "av-h0"], [0.5, "av-h1"], [1, "av-h2"]]);
  gradient(defs, "linearGradient", "coat", { gradientUnits: "userSpaceOnUse", x1: 0, y1: 178, x2: 0, y2: 280 }, [[0, "av-c0"], [0.45, "av-c1", 0.92], [1, "av-c1", 0]]);
  gradient(defs, "radialGradient", "sun", { cx: 0.36, cy: 0.24, r: 0.95 }, [[0, "av-d0"], [1, "av-d1"]]);
  gradient(defs, "radialGradient", "iris", { cx: 0.5, cy: 0.68, r: 0.62 }, [[0, "av-i0"], [0.62, "av-i1"], [1, "av-i2"]]);
  gradient(defs, "linearGradient", "white", { x1: 0, y1: 0, x2: 0, y2: 1 }, [[0, "av-w0"], [0.45, "av-w1"], [1, "av-w1"]]);
  gradient(defs, "linearGradient", "lips", { x1: 0, y1: 0, x2: 0, y2: 1 }, [[0, "av-l0"], [1, "av-l1"]]);
  gradient(defs, "radialGradient", "blush", {}, [[0, "av-b", 0.55], [1, "av-b", 0]]);
  gradient(defs, "radialGradient", "glow", {}, [[0, "av-g", 0.7], [1, "av-g", 0]]);
}

function build(own) {
  const svg = make("svg", { class: "avatar", viewBox: "-240 -212 480 496", preserveAspectRatio: "xMidYMax meet", role: "img", "aria-label": "The agent's face", focusable: "false" });
  const defs = make("defs", { "data-own": own }, svg);
  const url = (name) => `url(#${own}-${name})`;
  paints(defs);
  const el = { svg };
  const clip = (name) => make("path", {}, make("clipPath", { id: `${own}-${name}` }, defs));
  el.ring = make("circle", { class: "av-ring", cx: 0, cy: 6, r: 196 }, svg);
  make("circle", { fill: url("sun"), cx: 0, cy: 6, r: 196 }, svg);
  el.bust = make("g", {}, svg);
  el.back = make("path", { class: "av-nape", d: "M-108 -30C-120 -112 -74 -168 2 -168C80 -168 122 -112 110 -26C108 4 104 30 96 50C84 78 60 84 0 84C-60 84 -84 78 -96 50C-104 30 -106 4 -108 -30Z" }, el.bust);
  el.body = make("g", {}, el.bust);
  make("path", { d: "M-47 84C-47 148 -50 168 -74 186C-44 218 44 218 74 186C50 168 47 148 47 84Z", fill: url("neck") }, el.body);
  make("path", { d: "M-212 284C-196 236 -146 204 -66 178C-50 214 50 214 66 178C146 204 196 236 212 284Z", fill: url("coat") }, el.body);
  make("path", { class: "av-seam", d: "M-66 178C-50 214 50 214 66 178C73 181 78 185 81 191C58 236 -58 236 -81 191C-78 185 -73 181 -66 178Z" }, el.body);
  el.head = make("g", { class: "av-head" }, el.bust);
  el.ears = make("g", { fill: url("skin") }, el.head);
  for (const s of [-1, 1]) make("path", { d: `M${s * 94} -8C${s * 112} -18 ${s * 117} 6 ${s * 109} 26C${s * 105} 40 ${s * 97} 44 ${s * 91} 38Z` }, el.ears);
  el.skin = make("path", { fill: url("skin") }, el.head);
  el.skinClip = clip("head");
  const onSkin = make("g", { "clip-path": url("head") }, el.head);
  make("ellipse", { cx: -26, cy: -52, rx: 66, ry: 52, fill: url("glow") }, onSkin);
  el.shadow = make("path", { d: "M-108 -4C-100 -72 -72 -96 -30 -96C20 -98 84 -84 100 -8L130 -40L110 -150L-110 -150L-130 -40Z", class: "av-shade" }, onSkin);
  el.features = make("g", {}, onSkin);
  el.cheeks = [-1, 1].map((s) => make("ellipse", { cx: s * 58, cy: 44, rx: 32, ry: 24, fill: url("blush") }, el.features));
  el.nose = make("g", { class: "av-nose" }, el.features);
  make("path", { d: "M12 -22C15 6 22 28 20 42C19 52 10 54 3 55C12 40 10 8 12 -22Z", class: "av-shade" }, el.nose);
  make("path", { d: "M-13 49C-11 56 -4 56 0 58.5C5 56 12 56 14.5 48", class: "av-line", "stroke-width": 2.6 }, el.nose);
  make("ellipse", { cx: -2, cy: 40, rx: 5.5, ry: 7, class: "av-tip" }, el.nose);
  el.eyes = [-1, 1].map((s) => {
    const id = s < 0 ? "left" : "right";
    const part = { s, clip: clip(id) };
    part.white = make("path", { fill: url("white") }, el.features);
    const inside = make("g", { "clip-path": url(id) }, el.features);
    part.iris = make("circle", { fill: url("iris"), class: "av-iris" }, inside);
    part.pupil = make("circle", { class: "av-ink" }, inside);
    part.spark = make("circle", { r: 3.1, fill: "#fff" }, inside);
    part.spark2 = make("circle", { r: 1.5, fill: "#fff", opacity: 0.6 }, inside);
    part.lash = make("path", { class: "av-ink" }, el.features);
    part.crease = make("path", { class: "av-line av-faint", "stroke-width": 1.8 }, el.features);
    part.brow = make("path", { class: "av-brow" }, el.features);
    return part;
  });
  el.lips = make("path", { fill: url("lips") }, el.features);
  el.mouthClip = clip("mouth");
  el.inside = make("path", { class: "av-inside" }, el.features);
  el.teeth = make("path", { class: "av-teeth", "clip-path": url("mouth") }, el.features);
  el.lipline = make("path", { class: "av-line", "stroke-width": 1.9 }, el.features);
  el.chin = make("ellipse", { cx: 0, ry: 4, class: "av-shade" }, el.features);
  el.front = make("g", {}, el.head);
  make("path", {
    d: "M-105 8C-112 -8 -116 -24 -115 -48C-112 -114 -76 -162 -14 -173C28 -182 72 -168 95 -136C114 -108 119 -78 115 -46C113 -24 109 -6 104 8C100 8 98 -8 94 -28C90 -50 82 -68 66 -82C40 -74 4 -84 -18 -106C-30 -84 -62 -78 -82 -56C-92 -42 -95 -14 -97 4C-98 9 -102 12 -105 8Z",
    fill: url("hair"),
  }, el.front);
  make("path", { class: "av-strand", d: "M-16 -108C2 -136 36 -150 70 -134M-22 -112C-50 -108 -84 -86 -98 -44M-12 -104C20 -92 66 -98 98 -52M-8 -122C12 -152 52 -160 80 -144" }, el.front);
  return el;
}

let made = 0;

/** Colours that blend as the emotion changes; only properties with a type do. Known to the whole document, hence the names. */
function blendColours() {
  for (const [name, initialValue] of [["--rapport-light-a", "#d5cff0"], ["--rapport-light-b", "#a7a6dc"]]) {
    try {
      CSS.registerProperty({ name, syntax: "<color>", inherits: true, initialValue });
    } catch {
      // Known already, or not by this browser: then they change at once.
    }
  }
}

class Avatar {
  /**
   * @param {HTMLElement} host where the face is put
   * @param {{sound: () => object?, light: HTMLElement, signal: AbortSignal?}} more `sound()` gives the agent's sound as
   *   {open, round, width, level}; `light` takes the colours of the emotion; after `signal` nothing moves any more
   */
  constructor(host, { sound = () => null, light = host, signal = null, random = Math.random } = {}) {
    made += 1;
    if (made === 1) blendColours();
    this.light = light;
    this.signal = signal;
    this.el = build(`av${made}`);
    host.append(this.el.svg);
    this.sound = sound;
    this.random = random;
    this.emotion = "neutral";
    this.intensity = 0;
    this.state = "idle";
    this.springs = Object.fromEntries(Object.keys(REST).map((key) => [key, new Spring(REST[key], RATES[key] ?? 8, key === "roll" ? 0.8 : 1)]));
    this.gestures = new Gestures();
    this.blinks = new Blinks(random);
    this.saccades = new Saccades(random);
    this.thinkUntil = 0;
    this.now = 0;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.last = performance.now();
    this.frame = this.frame.bind(this);
    this.paintLight();
    requestAnimationFrame(this.frame);
  }

  moveTo(host) {
    host.append(this.el.svg);
  }

  /** Show an emotion, and a gesture over it. Unknown names show as neutral and no gesture. */
  display({ emotion = "neutral", gesture = "none", intensity = 0.6 }) {
    this.emotion = EMOTIONS[emotion] ? emotion : "neutral";
    this.intensity = intensity;
    if (gesture !== "none" && !(this.calm.matches && gesture !== "blink")) this.gestures.play(gesture, 0.6 + 0.5 * intensity, this.now);
    this.paintLight();
  }

  /** `listening`, `thinking`, `speaking`, or anything else for idle. */
  setState(state) {
    if (state === "thinking" && this.state !== "thinking") this.thinkUntil = this.now + 1.6;
    this.state = state;
  }

  describe(text) {
    this.el.svg.setAttribute("aria-label", text);
  }

  paintLight() {
    const [a, b] = EMOTIONS[this.emotion].light;
    this.light.style.setProperty("--rapport-light-a", a);
    this.light.style.setProperty("--rapport-light-b", b);
  }

  frame(stamp) {
    if (this.signal?.aborted) return;
    requestAnimationFrame(this.frame);
    if (!this.el.svg.isConnected || stamp - this.last < FRAME_MS) return;
    // A tab that was hidden must not jump: time passes in small steps only.
    const dt = Math.min(0.05, Math.max(0.001, (stamp - this.last) / 1000));
    this.last = stamp;
    this.now += dt;
    this.aim();
    const steps = Math.ceil(dt / 0.012);
    const p = {};
    for (const [key, spring] of Object.entries(this.springs)) {
      for (let i = 0; i < steps; i += 1) spring.step(dt / steps);
      p[key] = spring.value;
    }
    this.involuntary(p);
    this.draw(p);
  }

  /** Set the springs' targets from emotion, conversation state and sound. */
  aim() {
    const goal = poseOf(this.emotion, this.intensity);
    if (this.state === "thinking" && this.now < this.thinkUntil) {
      goal.gazeX += 0.5;
      goal.gazeY -= 0.55;
      goal.browOuter += 0.15;
    }
    if (this.state === "listening") goal.lean += 0.18;
    const sound = this.sound();
    if (sound && sound.level > 0.001) {
      goal.open = goal.open * 0.35 + sound.open;
      goal.round += sound.round;
      goal.width += sound.width;
      goal.press *= 0.3;
      goal.pitch += this.calm.matches ? 0 : 0.1 * (sound.open - 0.3);
    }
    for (const [key, spring] of Object.entries(this.springs)) spring.target = goal[key];
  }

  involuntary(p) {
    const t = this.now;
    const g = this.gestures.at(t);
    p.blink = Math.max(g.blink, this.blinks.at(t, this.state === "listening" ? 3.6 : 4.6));
    p.breath = 0;
    if (this.calm.matches) return;
    const jump = this.saccades.at(t, this.state === "thinking" ? 0.2 : 0.09);
    p.gazeX += jump.x + g.gazeX;
    p.gazeY += jump.y + g.gazeY;
    p.breath = Math.sin(t * Math.PI * 2 * 0.21);
    p.yaw += g.yaw + 0.035 * Math.sin(t * 0.61) + 0.02 * Math.sin(t * 1.37 + 1);
    p.pitch += g.pitch + 0.03 * Math.sin(t * 0.47 + 2) + p.breath * 0.012;
    p.roll += g.roll + 0.5 * Math.sin(t * 0.39 + 0.6);
    p.lean += g.lean;
  }

  draw(p) {
    const el = this.el;
    const scale = 1 + p.lean * 0.045;
    const sink = p.pitch * 13 + p.lean * 5;
    el.body.setAttribute("transform", `translate(0 ${(-p.breath * 1.6 + p.lean * 3).toFixed(2)}) scale(${(1 + p.lean * 0.02 + p.breath * 0.003).toFixed(4)})`);
    const head = `translate(${(p.yaw * 12).toFixed(2)} ${(sink - p.breath * 1.9).toFixed(2)}) rotate(${p.roll.toFixed(2)} 0 120) scale(${scale.toFixed(4)})`;
    el.head.setAttribute("transform", head);
    el.back.setAttribute("transform", `translate(${(p.yaw * 4).toFixed(2)} ${(sink * 0.7 - p.breath * 1.7).toFixed(2)}) rotate(${(p.roll * 0.8).toFixed(2)} 0 120) scale(${scale.toFixed(4)})`);
    const squeeze = 1 - Math.abs(p.yaw) * 0.05;
    el.features.setAttribute("transform", `translate(${(p.yaw * 26).toFixed(2)} ${(p.pitch * 13).toFixed(2)}) scale(${squeeze.toFixed(4)} ${(1 - Math.abs(p.pitch) * 0.03).toFixed(4)})`);
    el.nose.setAttribute("transform", `translate(${(p.yaw * 8).toFixed(2)} ${(p.pitch * 4).toFixed(2)})`);
    el.front.setAttribute("transform", `translate(${(p.yaw * 5).toFixed(2)} ${(p.pitch * 4).toFixed(2)})`);
    el.ears.setAttribute("transform", `translate(${(-p.yaw * 8).toFixed(2)} ${(-p.pitch * 6).toFixed(2)})`);
    el.shadow.setAttribute("transform", `translate(${(p.yaw * 6).toFixed(2)} ${(p.pitch * 5).toFixed(2)})`);
    const skin = headPath(p);
    el.skin.setAttribute("d", skin);
    el.skinClip.setAttribute("d", skin);
    for (const part of el.eyes) this.drawEye(part, p);
    const m = mouth(p);
    el.lips.setAttribute("d", m.lips);
    el.inside.setAttribute("d", m.inside);
    el.mouthClip.setAttribute("d", m.inside);
    el.teeth.setAttribute("d", m.teeth);
    el.teeth.setAttribute("opacity", Math.min(0.92, Math.max(0, (p.open - 0.05) * 8)).toFixed(2));
    el.lipline.setAttribute("d", m.line);
    el.chin.setAttribute("cy", m.shade.y.toFixed(2));
    el.chin.setAttribute("rx", m.shade.rx.toFixed(2));
    for (const cheek of el.cheeks) cheek.setAttribute("opacity", (0.25 + 0.6 * p.cheek).toFixed(3));
    const level = this.sound()?.level ?? 0;
    el.ring.setAttribute("r", (196 + (this.calm.matches ? 0 : 26 * Math.min(1, level * 2.2))).toFixed(1));
  }

  drawEye(part, p) {
    const e = eye(part.s, p);
    part.white.setAttribute("d", e.opening);
    part.clip.setAttribute("d", e.opening);
    part.lash.setAttribute("d", e.lash);
    part.crease.setAttribute("d", e.crease);
    part.brow.setAttribute("d", brow(part.s, p));
    const put = (node, x, y, r) => {
      node.setAttribute("cx", x.toFixed(2));
      node.setAttribute("cy", y.toFixed(2));
      if (r) node.setAttribute("r", r.toFixed(2));
    };
    put(part.iris, e.x, e.y, e.iris);
    put(part.pupil, e.x, e.y, e.pupil);
    put(part.spark, e.x - 3.6, e.y - 4);
    put(part.spark2, e.x + 3.8, e.y + 4);
  }
}
return { Avatar };
})();

// dom.js
const _dom = (() => {
// Small helpers for elements, words and preferences.

/** An element with attributes, dataset, text and children: h("p", {class: "x", data: {y: 1}}, "text", child). */
function h(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "data") Object.assign(node.dataset, value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set text only when it changes, so that nothing is painted or read out for nothing. */
function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Nodes of a tree as tools/embed.py makes it of HTML: text, or [name, attributes, children]. No HTML is parsed here. */
function grow(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const [name, attributes, children] = tree;
  const node = h(name, attributes, ...children.map(grow));
  // Set on an element that is made by a script, the attribute alone has no effect.
  if (name === "video" && "muted" in attributes) node.muted = true;
  return node;
}

function remember(key, value) {
  try {
    localStorage.setItem(`rapport.${key}`, value);
  } catch {
    // A browser that stores nothing only forgets a preference.
  }
}

function recall(key, fallback = "") {
  try {
    return localStorage.getItem(`rapport.${key}`) ?? fallback;
  } catch {
    return fallback;
  }
}

const clean = (label) => String(label ?? "").replaceAll("_", " ");
const percent = (x) => `${Math.round(100 * Math.max(0, Math.min(1, x)))}%`;
return { h, text, grow, remember, recall, clean, percent };
})();

// captions.js
const _captions = (() => {
// Captions of both sides. Words that are not final are replaced in place; what the agent could not finish is shown as cut.

const { h, text } = _dom;

const KEPT = 60;

class Captions {
  constructor(ui, { readAloud = () => false } = {}) {
    this.ui = ui;
    this.$ = ui.$;
    this.list = this.$("captions");
    // In a smaller frame the newest words stay in sight.
    new ResizeObserver(() => (this.list.scrollTop = this.list.scrollHeight)).observe(this.list);
    this.readAloud = readAloud;
    /** Oldest first: {speaker, text, final, cut, reply, at, updatedAt}; times are performance.now(). */
    this.lines = [];
    this.nodes = new Map();
  }

  /** Take in one caption message. */
  show({ speaker, text: words, final, reply = 0, cut = false }) {
    const now = performance.now();
    let line = this.find(speaker, reply, cut);
    if (!line) {
      if (!words) return;
      line = { speaker, text: "", done: "", final: false, cut: false, reply, at: now };
      this.lines.push(line);
    }
    if (cut) Object.assign(line, { done: words, text: words, cut: true, final: true });
    else {
      // A caption of the same reply may repeat what was said so far, or carry the next clause only.
      const joined = !line.done || words.startsWith(line.done) ? words : `${line.done} ${words}`;
      Object.assign(line, { text: joined, final: Boolean(final), done: final ? joined : line.done });
    }
    line.updatedAt = now;
    if (line.final && speaker === "agent" && this.readAloud()) this.ui.announce(line.text);
    this.paint(line);
  }

  find(speaker, reply, cut) {
    for (let i = this.lines.length - 1; i >= 0 && i >= this.lines.length - 8; i -= 1) {
      const line = this.lines[i];
      if (line.speaker !== speaker) continue;
      if (speaker === "agent" && reply) {
        if (line.reply === reply) return line;
        continue;
      }
      return line.final && !cut ? null : line;
    }
    return null;
  }

  paint(line) {
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    let node = this.nodes.get(line);
    if (!node) {
      node = h("li", { part: `caption caption-${line.speaker}` }, h("span", { class: "who" }, line.speaker === "user" ? "You" : "Agent"), h("span", { class: "text" }));
      this.nodes.set(line, node);
      this.list.append(node);
    }
    node.className = [line.speaker === "user" ? "user" : "agent", line.final ? "" : "open", line.cut ? "cut" : ""].filter(Boolean).join(" ");
    text(node.querySelector(".text"), line.text);
    if (line.cut && !node.querySelector(".tag")) node.append(h("span", { class: "tag" }, "cut off"));
    while (this.lines.length > KEPT) {
      const old = this.lines.shift();
      this.nodes.get(old)?.remove();
      this.nodes.delete(old);
    }
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  clear() {
    this.lines.length = 0;
    this.nodes.clear();
    this.list.replaceChildren();
  }
}
return { Captions };
})();

// icons.js
const _icons = (() => {
// Line icons, 24 x 24, drawn for this page.

const NS = "http://www.w3.org/2000/svg";

const PATHS = {
  mic: "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  "mic-off": "M15.5 9.5v-3a3.5 3.5 0 0 0-6.6-1.6M8.5 8.5v3a3.5 3.5 0 0 0 5.4 2.9M5.5 11.5a6.5 6.5 0 0 0 10.3 5.3M18.5 11.5a6.4 6.4 0 0 1-.5 2.5M12 18v3M4 4l16 16",
  camera: "M4.5 6.5h9A1.5 1.5 0 0 1 15 8v8a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16V8a1.5 1.5 0 0 1 1.5-1.5zM15 10.5l6-3v9l-6-3",
  "camera-off": "M9 6.5h4.5A1.5 1.5 0 0 1 15 8v4.5M15 16a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16V8a1.5 1.5 0 0 1 1.5-1.5M15 10.5l6-3v9l-3-1.5M3 3l18 18",
  hand: "M8 12.5V6.2a1.4 1.4 0 0 1 2.8 0M10.8 11V4.7a1.4 1.4 0 0 1 2.8 0V11M13.6 11V5.9a1.4 1.4 0 0 1 2.8 0v6.6M16.4 10.2a1.4 1.4 0 0 1 2.8 0v4.3a6.5 6.5 0 0 1-6.5 6.5c-3 0-4.6-1.3-6-3.7l-2.4-4.1a1.4 1.4 0 0 1 2.4-1.5L8 13.5",
  captions: "M4.5 5.5h15A1.5 1.5 0 0 1 21 7v10a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17V7a1.5 1.5 0 0 1 1.5-1.5zM7 11h3M12.5 11H17M7 14.5h6M15.5 14.5H17",
  settings: "M4 7h9M17 7h3M4 12h3M11 12h9M4 17h7M15 17h5M15 5v4M9 10v4M13 15v4",
  hangup: "M12 9c3.4 0 6.4 1 8.3 2.6.9.8 1 2 .4 3.1l-.7 1.2c-.4.7-1.3 1-2 .7l-2.6-1a1.6 1.6 0 0 1-1-1.7l.1-1.3a13 13 0 0 0-5 0l.1 1.3a1.6 1.6 0 0 1-1 1.7l-2.6 1c-.7.3-1.6 0-2-.7l-.7-1.2c-.6-1.1-.5-2.3.4-3.1C5.6 10 8.6 9 12 9z",
  send: "M5 12h13M12.5 6.5 18 12l-5.5 5.5",
  close: "M6.5 6.500l11 11M17.5 6.500l-11 11",
  words: "M5 5.500h14A1.5 1.5 0 0 1 20.5 7v8.500A1.5 1.5 0 0 1 19 17h-7l-4.5 3.500V17H5a1.5 1.5 0 0 1-1.5-1.500V7A1.5 1.5 0 0 1 5 5.500zM8 9.500h8M8 13h5",
  voice: "M4 10.500v3M8 7.500v9M12 4.500v15M16 8.500v7M20 10.500v3",
  face: "M12 20.500a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM9 9.500v1M15 9.500v1M8.5 14c.9 1.3 2.1 2 3.5 2s2.6-.7 3.5-2",
  gaze: "M2.5 12c2.4-4 5.6-6 9.5-6s7.1 2 9.5 6c-2.4 4-5.6 6-9.5 6s-7.1-2-9.5-6zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  gesture: "M8 12.500V6.200a1.4 1.4 0 0 1 2.8 0M10.8 11V4.700a1.4 1.4 0 0 1 2.8 0V11M13.6 11V5.900a1.4 1.4 0 0 1 2.8 0v6.600M16.4 10.200a1.4 1.4 0 0 1 2.8 0v4.300a6.5 6.5 0 0 1-6.5 6.500c-3 0-4.6-1.3-6-3.700l-2.4-4.100a1.4 1.4 0 0 1 2.4-1.500L8 13.5",
  people: "M9 11.500a3.250 3.250 0 1 0 0-6.5 3.250 3.250 0 0 0 0 6.500zM3 19c.4-3.3 2.6-5 6-5s5.6 1.7 6 5M15.5 11a2.8 2.8 0 0 0 0-5.400M17.5 14.300c2 .6 3.2 2.2 3.5 4.7",
  spark: "M12 3.500l1.9 5.100a2.5 2.5 0 0 0 1.5 1.500l5.1 1.9-5.1 1.900a2.5 2.5 0 0 0-1.5 1.500L12 20.500l-1.9-5.100a2.5 2.5 0 0 0-1.5-1.500L3.5 12l5.1-1.900a2.5 2.5 0 0 0 1.5-1.500z",
  home: "M4 11l8-6.500L20 11M6 9.500V19h12V9.500M10 19v-5h4v5",
  shield: "M12 3.500l7 2.500v5.500c0 4.3-2.8 7.3-7 9-4.2-1.7-7-4.7-7-9V6zM9 12l2.2 2.200L15.2 10",
  keyboard: "M4.5 6.500h15A1.5 1.5 0 0 1 21 8v8a1.5 1.5 0 0 1-1.5 1.500h-15A1.5 1.5 0 0 1 3 16V8a1.5 1.5 0 0 1 1.5-1.500zM7 10h.01M10.3 10h.01M13.7 10h.01M17 10h.01M8 14h8",
  speaker: "M4 9.500h3.500L12 5.500v13l-4.5-4H4zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.500a7.8 7.8 0 0 1 0 11",
  warn: "M12 4.500l8.5 15h-17zM12 10v4.500M12 17h.01",
  stop: "M7 7h10v10H7z",
};

/** An icon as an SVG element, hidden from screen readers. */
function icon(name) {
  const svg = document.createElementNS(NS, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" })) svg.setAttribute(key, value);
  const path = document.createElementNS(NS, "path");
  path.setAttribute("d", PATHS[name] ?? "");
  svg.append(path);
  return svg;
}

/** Put an icon into every element with a data-icon. */
function fillIcons(root) {
  for (const place of root.querySelectorAll("[data-icon]")) place.prepend(icon(place.dataset.icon));
}

/** Change the icon of a button that has one. */
function setIcon(element, name) {
  if (element.dataset.icon === name) return;
  element.dataset.icon = name;
  element.querySelector("svg.icon")?.replaceWith(icon(name));
}
return { icon, fillIcons, setIcon };
})();

// consent.js
const _consent = (() => {
// The consent view: a switch per sense, an optional look at camera and microphone, and the start. Nothing is asked of
// the browser before the person asks for it here, and no device is asked for that no allowed sense needs.

const { MicMeter } = _audio;
const { h, text } = _dom;
const { icon } = _icons;
const { ALL, SENSES, devicesFor } = _senses;

const GROUPS = [
  ["mic", "From your microphone"],
  ["camera", "From your camera"],
];
const NUMBER = ["none", "one", "two", "three", "four", "five", "six"];

class Consent {
  /** `person` opens devices; `start(senses)` begins the call. */
  constructor(ui, { person, start }) {
    this.ui = ui;
    this.$ = ui.$;
    this.person = person;
    this.start = start;
    this.senses = new Set(ALL);
    /** Ids of what this place offers at all. */
    this.offered = ALL;
    const box = this.$("sense-switches");
    for (const [source, name] of GROUPS) {
      const rows = SENSES.filter((sense) => sense.source === source).map((sense) => this.row(sense));
      box.append(h("fieldset", {}, h("legend", {}, name), ...rows));
    }
    this.$("consent-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.go(this.senses);
    });
    this.$("start-typing").addEventListener("click", () => this.go(new Set()));
    this.$("preview").addEventListener("toggle", () => (this.$("preview").open ? this.look() : this.unlook()));
    person.addEventListener("change", () => this.showPreview());
    this.label();
  }

  row(sense) {
    const flip = h("input", { type: "checkbox", role: "switch", id: `allow-${sense.id}`, checked: true, "aria-describedby": `what-${sense.id}` });
    flip.addEventListener("change", () => {
      if (flip.checked) this.senses.add(sense.id);
      else this.senses.delete(sense.id);
      this.label();
      if (this.$("preview").open) this.look();
    });
    return h("label", { for: flip.id }, icon(sense.icon), h("span", {}, h("b", {}, sense.title), h("small", { id: `what-${sense.id}` }, sense.what)), flip);
  }

  label() {
    const n = this.senses.size;
    const all = NUMBER[this.offered.length];
    const some = n < this.offered.length ? `${NUMBER[n]} of ${all}` : n === 1 ? "this" : `all ${all}`;
    text(this.$("start"), n ? `Allow ${some} and start` : this.offered.length ? "Allow none and start typing" : "Start typing");
    this.$("start-typing").hidden = n === 0;
  }

  /** Ask only for these senses: nothing else is loaded here. */
  offer(ids) {
    this.offered = ids;
    for (const sense of SENSES) {
      const there = ids.includes(sense.id);
      const flip = this.$(`allow-${sense.id}`);
      flip.closest("label").hidden = !there;
      if (there && flip.checked) this.senses.add(sense.id);
      else this.senses.delete(sense.id);
    }
    for (const group of this.$("sense-switches").children) group.hidden = !group.querySelector("label:not([hidden])");
    this.$("preview").hidden = !ids.length;
    this.label();
  }

  /** Show what is allowed now, when the person comes back here after a call. */
  restore(senses) {
    this.senses = new Set([...senses].filter((id) => this.offered.includes(id)));
    for (const sense of SENSES) this.$(`allow-${sense.id}`).checked = this.senses.has(sense.id);
    this.label();
  }

  go(senses) {
    this.unlook();
    this.start(new Set(senses));
  }

  async look() {
    this.$("preview").scrollIntoView({ block: "nearest", behavior: "smooth" });
    const needed = devicesFor(this.senses);
    await this.person.open(needed);
    if (!this.$("preview").open || this.ui.showing !== "consent" || this.ui.signal.aborted) return;
    this.showPreview();
    if (this.person.audio && !this.meter) {
      this.context ??= new AudioContext();
      this.context.resume().catch(() => {});
      this.meter = new MicMeter(this.context, new MediaStream([this.person.audio]));
      this.tick = setInterval(() => {
        const level = this.meter.read();
        this.$("preview-meter").style.setProperty("--level", level.toFixed(3));
        this.$("preview-meter").setAttribute("aria-valuenow", Math.round(level * 100));
      }, 80);
    }
  }

  showPreview() {
    if (this.ui.showing !== "consent") return;
    const video = this.$("preview-video");
    const track = this.person.video;
    video.srcObject = track ? new MediaStream([track]) : null;
    if (track) video.play().catch(() => {});
    this.$("preview-none").hidden = Boolean(track);
    text(this.$("preview-none"), devicesFor(this.senses).camera ? "No picture" : "Camera not needed");
    this.unmeter();
  }

  unmeter() {
    clearInterval(this.tick);
    this.meter?.close();
    this.meter = null;
    this.$("preview-meter").style.setProperty("--level", "0");
  }

  unlook() {
    this.unmeter();
    this.context?.close();
    this.context = null;
    this.$("preview-video").srcObject = null;
    if (this.ui.showing === "consent" && !this.$("preview").open) this.person.release();
  }
}
return { Consent };
})();

// controls.js
const _controls = (() => {
// The dock: microphone, camera, push-to-talk, captions, insight, hang up, typed words; and the keyboard.

const { recall, remember, text } = _dom;
const { setIcon } = _icons;

const typing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

class Controls {
  /** `acts` carries out what is pressed; `inCall()` tells whether there is anything to control. */
  constructor(ui, { acts, settings, inCall }) {
    this.ui = ui;
    this.$ = ui.$;
    this.acts = acts;
    this.settings = settings;
    this.inCall = inCall;
    this.$("mic").addEventListener("click", () => acts.micToggle());
    this.$("camera").addEventListener("click", () => acts.cameraToggle());
    this.$("ptt").addEventListener("click", () => acts.pushToTalk(!acts.person.pushToTalk));
    this.$("cc").addEventListener("click", () => this.captions(this.$("call").dataset.captions === "off"));
    this.$("insight").addEventListener("click", () => this.insight(this.$("call").dataset.side === "closed"));
    this.$("hangup").addEventListener("click", () => acts.hangUp());
    this.$("stop").addEventListener("click", () => acts.stop());
    this.$("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.holdButton();
    // Keys anywhere in the page belong to the page around, unless it gives them away.
    addEventListener("keydown", (event) => this.ours(event) && this.down(event), { signal: ui.signal });
    addEventListener("keyup", (event) => this.up(event), { signal: ui.signal });
    // A key that is released elsewhere must not leave the microphone open.
    addEventListener("blur", () => acts.hold(false), { signal: ui.signal });
    this.captions(recall("captions", "on") === "on", false);
    this.insight(!ui.narrow && recall("insight", "open") === "open", false);
  }

  holdButton() {
    const hold = this.$("hold");
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      this.acts.hold(true);
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) hold.addEventListener(type, () => this.acts.hold(false));
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  send() {
    const words = this.$("words").value.trim();
    if (!words) return;
    if (this.acts.say(words)) this.$("words").value = "";
    else this.ui.announce("Not sent: there is no connection. Your words are still in the field.");
  }

  ours(event) {
    const { keys } = this.ui.host;
    return keys === "page" || (keys === "focus" && event.composedPath().includes(this.ui.host));
  }

  down(event) {
    const target = event.composedPath()[0];
    if (!this.inCall() || this.settings.dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (typing(target)) target.blur();
      else if (!this.$("stop").hidden) this.acts.stop();
      else if (this.ui.narrow) this.insight(false);
      return;
    }
    if (typing(target)) return;
    if (event.key === " " && this.acts.person.pushToTalk) {
      // Space on a button is that button's own, except on the one that it stands for.
      const button = target.closest?.("button, summary, input");
      if (button && button.id !== "hold") return;
      event.preventDefault();
      if (!event.repeat) this.acts.hold(true);
      return;
    }
    if (!this.settings.shortcuts || event.repeat) return;
    const act = {
      m: () => this.acts.micToggle(),
      v: () => this.acts.cameraToggle(),
      p: () => this.acts.pushToTalk(!this.acts.person.pushToTalk),
      c: () => this.captions(this.$("call").dataset.captions === "off"),
      i: () => this.insight(this.$("call").dataset.side === "closed"),
      t: () => this.$("words").focus(),
    }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  up(event) {
    if (event.key === " " && this.acts.person.held) this.acts.hold(false);
  }

  captions(on, say = true) {
    this.$("call").dataset.captions = on ? "on" : "off";
    this.$("cc").setAttribute("aria-pressed", String(on));
    this.$("cc").dataset.state = on ? "" : "off";
    remember("captions", on ? "on" : "off");
    if (on) this.$("captions").scrollTop = this.$("captions").scrollHeight;
    if (say) this.ui.announce(on ? "Captions on" : "Captions off");
  }

  insight(open, say = true) {
    this.$("call").dataset.side = open ? "open" : "closed";
    this.$("insight").setAttribute("aria-expanded", String(open));
    this.$("insight").dataset.state = open ? "on" : "";
    if (say) remember("insight", open ? "open" : "closed");
  }

  /** Show what the person's devices are doing. */
  paint(person, devices) {
    const button = (id, on, available, onIcon, offIcon) => {
      this.$(id).setAttribute("aria-pressed", String(on && available));
      this.$(id).dataset.state = on && available ? "" : "off";
      setIcon(this.$(id), on && available ? onIcon : offIcon);
    };
    button("mic", person.micOn, Boolean(person.audio), "mic", "mic-off");
    button("camera", person.cameraOn, Boolean(person.video), "camera", "camera-off");
    this.$("ptt").setAttribute("aria-pressed", String(person.pushToTalk));
    this.$("ptt").dataset.state = person.pushToTalk ? "on" : "";
    this.$("hold").hidden = !person.pushToTalk || !person.audio || !person.micOn;
    this.$("hold").toggleAttribute("data-held", person.held);
    text(this.$("hold-text"), person.held ? "Listening… release to send" : "Hold to talk");
    this.$("self").dataset.camera = person.cameraLive ? "on" : "off";
    text(this.$("self-none").querySelector("span:last-child"), !devices.camera ? "Camera not used" : person.video || !person.cameraOn ? "Camera off" : "No camera");
    this.$("self-muted").hidden = person.micLive;
  }
}
return { Controls };
})();

// devices.js
const _devices = (() => {
// Microphone, camera and speaker: ask once, cope with each missing alone, notice what is unplugged.

const MIC = {
  channelCount: 1,
  // The agent must not hear itself through the person's speakers.
  echoCancellation: true,
  // Far and soft voices are brought up; slow enough to leave the loud and the quiet of one utterance apart.
  autoGainControl: true,
  // Off on purpose: suppressed noise costs the speech recogniser more words than the noise itself (10 % word errors
  // raw, 13 to 17 % suppressed, at 5 dB of pink noise), and it flattens the breath that the tone of voice rests on.
  noiseSuppression: false,
};

// A face needs no more than this, and decoding costs the server per picture.
const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 15, max: 30 }, facingMode: "user" };

/** What is missing in this browser for a call at all: `insecure`, `webrtc`, or null. */
function obstacle() {
  if (typeof RTCPeerConnection === "undefined" || typeof RTCPeerConnection.prototype.addTransceiver !== "function") return "webrtc";
  return null;
}

/** Whether devices can be asked for; browsers hide them from pages that are neither https nor on this machine. */
const canCapture = () => window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

const constraintsFor = (kind, id) => ({ ...(kind === "mic" ? MIC : CAMERA), ...(id ? { deviceId: { exact: id } } : {}) });

function codeOf(error) {
  return { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "busy", AbortError: "busy" }[error.name] ?? "failed";
}

const asked = (kind) => navigator.permissions.query({ name: kind === "mic" ? "microphone" : "camera" });

/** `granted`, `denied`, `prompt`, or `unknown` where the browser does not say. */
async function permission(kind) {
  try {
    return (await asked(kind)).state;
  } catch {
    return "unknown";
  }
}

/** Call `changed(kind, state)` when the person gives or takes back a permission, until `signal`. */
function onPermission(changed, signal) {
  for (const kind of ["mic", "camera"]) {
    // Some browsers know no such permission; there a track that ends is all there is to see.
    asked(kind).then((status) => status.addEventListener("change", () => changed(kind, status.state), { signal }), () => {});
  }
}

const ask = (mic, camera) => navigator.mediaDevices.getUserMedia({ audio: mic, video: camera });

/**
 * Open the wanted devices: one question if possible, then each alone, so that a missing camera never costs the voice.
 *
 * @returns {{audio: MediaStreamTrack?, video: MediaStreamTrack?, problems: {device: string, code: string}[]}}
 *   code is `denied`, `missing`, `busy`, `insecure` or `failed`.
 */
async function openDevices({ mic, camera, micId = "", cameraId = "" }) {
  const wanted = [mic && "mic", camera && "camera"].filter(Boolean);
  const result = { audio: null, video: null, problems: [] };
  if (!wanted.length) return result;
  if (!canCapture()) return { ...result, problems: wanted.map((device) => ({ device, code: "insecure" })) };
  const take = (stream) => {
    result.audio ??= stream.getAudioTracks()[0] ?? null;
    result.video ??= stream.getVideoTracks()[0] ?? null;
  };
  let first = null;
  try {
    take(await ask(mic && constraintsFor("mic", micId), camera && constraintsFor("camera", cameraId)));
    return prepared(result);
  } catch (error) {
    first = error;
  }
  for (const device of wanted) {
    const state = await permission(device);
    // After a refusal never ask the same again: only what is already granted, or cannot be known.
    if (codeOf(first) === "denied" && (state === "denied" || state === "prompt" || wanted.length === 1)) {
      result.problems.push({ device, code: "denied" });
      continue;
    }
    try {
      take(await openOne(device, device === "mic" ? micId : cameraId));
    } catch (error) {
      result.problems.push({ device, code: codeOf(error) });
    }
  }
  return prepared(result);
}

/** Open one device; one that was remembered but is gone is replaced by any other. */
async function openOne(device, id) {
  const request = (own) => (device === "mic" ? ask(constraintsFor("mic", own), false) : ask(false, constraintsFor("camera", own)));
  try {
    return await request(id);
  } catch (error) {
    if (!id || codeOf(error) !== "missing") throw error;
    return request("");
  }
}

function prepared(result) {
  if (result.audio) result.audio.contentHint = "speech";
  return result;
}

/** The devices there are: {mics, cameras, speakers}, each [{id, label}]. Labels are empty before permission. */
async function listDevices() {
  const lists = { mics: [], cameras: [], speakers: [] };
  if (!navigator.mediaDevices?.enumerateDevices) return lists;
  const name = { audioinput: "mics", videoinput: "cameras", audiooutput: "speakers" };
  const fallback = { audioinput: "Microphone", videoinput: "Camera", audiooutput: "Speaker" };
  for (const device of await navigator.mediaDevices.enumerateDevices()) {
    const list = lists[name[device.kind]];
    if (list && device.deviceId) list.push({ id: device.deviceId, label: device.label || `${fallback[device.kind]} ${list.length + 1}` });
  }
  return lists;
}

const canChooseSpeaker = () => "setSinkId" in HTMLMediaElement.prototype;

function onDeviceChange(callback, signal) {
  navigator.mediaDevices?.addEventListener?.("devicechange", callback, { signal });
}
return { obstacle, canCapture, permission, onPermission, openDevices, listDevices, canChooseSpeaker, onDeviceChange };
})();

// help.js
const _help = (() => {
// Who can help, on a card that stays until the person puts it away, also after the call.

const { h } = _dom;
const { icon } = _icons;
const { HELP } = _messages;

const dial = (number) => number.replace(/[^+\d]/g, "");

class Help {
  constructor(ui) {
    this.ui = ui;
    this.$ = ui.$;
    this.card = null;
    /** The last message shown, or null once it was put away. */
    this.shown = null;
  }

  /** Show one `resource` message; the next replaces it. */
  show({ kind, country, contacts = [], reviewed }) {
    const words = HELP[kind] ?? HELP.self_harm;
    const first = contacts[0];
    const card = h(
      "section",
      { class: "help", part: "help", "aria-labelledby": "help-title", data: { kind } },
      h(
        "header",
        {},
        icon("shield"),
        h("h2", { id: "help-title" }, words.title),
        h("button", { type: "button", class: "quiet", onclick: () => this.hide() }, icon("close"), HELP.hide),
      ),
      h("p", {}, words.text),
      h("ul", { class: "help-contacts" }, ...contacts.map(contact)),
      h("p", { class: "help-note" }, HELP.checked(country, reviewed)),
    );
    if (this.card) this.card.replaceWith(card);
    else this.$("notices").prepend(card);
    this.card = card;
    this.shown = { kind, country, contacts, reviewed };
    this.ui.alarm(`${words.title}. ${first ? `${first.name}: ${first.number || first.text || first.url}` : words.text}`);
  }

  hide() {
    this.card?.remove();
    this.card = null;
    this.shown = null;
    this.ui.app.focus({ preventScroll: true });
  }

  /** A new call begins without the card of the one before. */
  clear() {
    this.card?.remove();
    this.card = null;
    this.shown = null;
  }
}

function contact({ name, number, text, url, hours, note }) {
  const ways = [];
  if (number) ways.push(h("a", { class: "primary", href: `tel:${dial(number)}`, "aria-label": HELP.callName(name, number) }, HELP.call(number)));
  if (text) ways.push(h("a", { class: "quiet", href: `sms:${dial(text)}`, "aria-label": HELP.textName(name, text) }, HELP.text(text)));
  if (url && /^https:\/\//.test(url)) ways.push(h("a", { class: "quiet", href: url, target: "_blank", rel: "noopener noreferrer" }, url.replace("https://", "")));
  const more = [hours, note].filter(Boolean).join(". ");
  return h("li", {}, h("span", { class: "help-name" }, h("b", {}, name), more ? h("small", {}, more) : null), h("span", { class: "help-ways" }, ...ways));
}
return { Help };
})();

// session.js
const _session = (() => {
// What a reload of the page comes back into its call with: the resume token, and what the person had allowed, muted and
// switched. It stays in this tab (sessionStorage), holds no word of the call, and goes when the call ends. `key` tells
// the calls of several elements and servers apart.

const callKey = (key) => `rapport.call ${key}`;
const iceKey = (key) => `rapport.ice ${key}`;

/** Remember a call: {resume, keptS, senses, recording, micOn, cameraOn, pushToTalk}; the time is added. */
function keep(key, call) {
  try {
    sessionStorage.setItem(callKey(key), JSON.stringify({ ...call, at: Date.now() }));
  } catch {
    // A browser that stores nothing only cannot come back after a reload.
  }
}

/** The call that this tab was in, with its age in seconds, or null. */
function kept(key) {
  try {
    const found = JSON.parse(sessionStorage.getItem(callKey(key)));
    if (typeof found?.resume !== "string" || !Array.isArray(found.senses)) return null;
    return { ...found, ageS: Math.max(0, (Date.now() - found.at) / 1000) };
  } catch {
    return null;
  }
}

function drop(key) {
  try {
    sessionStorage.removeItem(callKey(key));
    sessionStorage.removeItem(iceKey(key));
  } catch {
    // There was nothing, then.
  }
}

/** Remember STUN and TURN servers; their credentials are good for this caller and a short while. */
function keepIce(key, servers) {
  try {
    sessionStorage.setItem(iceKey(key), JSON.stringify(servers));
  } catch {
    // Then the next connection goes without.
  }
}

/** Those that were last remembered. */
function keptIce(key) {
  try {
    return JSON.parse(sessionStorage.getItem(iceKey(key))) ?? [];
  } catch {
    return [];
  }
}
return { keep, kept, drop, keepIce, keptIce };
})();

// lifeline.js
const _lifeline = (() => {
// What the person is told of the connection, and how the page comes back into a call: by itself where it can, always in
// sight, and with a button where it cannot. link.js does the connecting.

const { CLOSING, LINK } = _messages;
const { drop, keep, kept } = _session;

const SLACK_S = 5;
const FORGET_S = 600;

class Lifeline {
  constructor(call) {
    this.call = call;
    this.ui = call.ui;
    this.$ = call.ui.$;
    this.stage = call.stage;
    addEventListener("pagehide", () => this.leave(), { signal: this.ui.signal });
  }

  /** Follow a state of the link, see link.js. */
  follow({ state, attempt, nextMs = 0, reason, fresh }) {
    const { call } = this;
    this.stopCounting();
    if (state !== "ready") this.stage.dismiss("link");
    switch (state) {
      case "connecting":
        call.setMood("connecting");
        break;
      case "ready":
        this.ready(fresh);
        break;
      case "lost":
        call.setMood("lost");
        this.count(Math.round(nextMs / 1000), (seconds) => this.lost(attempt, seconds));
        break;
      case "retrying":
        this.lost(attempt, 0);
        this.timer = setInterval(() => this.lost(attempt, 0), 1000);
        break;
      case "refused":
        this.refused(reason);
        break;
      case "expired":
        this.expired();
        break;
      case "gone":
      case "moved":
        call.over(state);
        break;
      case "left":
        if (this.stage.cover !== "fatal") call.over("left");
        break;
      default:
    }
  }

  lost(attempt, seconds) {
    this.stage.show("lost", { attempt, seconds, keptS: this.call.link?.keptS ?? 0 });
  }

  ready(fresh) {
    const again = this.call.recorder.connections > 0 || this.resuming;
    this.resuming = false;
    this.call.ready(fresh);
    this.keep();
    if (!again) this.ui.announce("Connected. The agent is listening.");
    else this.stage.notice("link", { ...(fresh ? LINK.fresh : LINK.back), calm: !fresh, seconds: fresh ? 20 : 4 });
  }

  /** The link answers late, or in time again. */
  weigh(quality) {
    if (quality === "degraded") this.stage.notice("link", LINK.degraded);
    else this.stage.notice("link", { ...LINK.back, calm: true, seconds: 4 });
  }

  /** The server will stop: say when, so that nobody is cut off in the middle of a sentence. */
  closing({ seconds = 0 }) {
    this.stage.notice("closing", CLOSING(Math.round(seconds)));
  }

  refused(reason) {
    const { call } = this;
    call.setMood("ended");
    if (reason.retryAfterS === null) call.over("refused", { title: reason.title, detail: reason.detail });
    else this.count(Math.max(1, reason.retryAfterS), (seconds) => (seconds > 0 ? this.stage.show("busy", { detail: reason.detail, seconds }) : call.connect()));
  }

  /** Call `show` each second with what is left, down to 0. */
  count(seconds, show) {
    this.stopCounting();
    show(seconds);
    if (seconds <= 0) return;
    let left = seconds;
    this.timer = setInterval(() => {
      left -= 1;
      if (left <= 0) this.stopCounting();
      show(left);
    }, 1000);
  }

  stopCounting() {
    clearInterval(this.timer);
  }

  /** Remember what a reload needs to come back. */
  keep() {
    const { link, person, privacy, senses } = this.call;
    if (!link?.resume || this.ui.showing !== "call") return;
    const { micOn, cameraOn, pushToTalk } = person;
    keep(this.ui.key, { resume: link.resume, keptS: link.limits.kept_s, senses: [...senses], recording: privacy.wanted, micOn, cameraOn, pushToTalk });
  }

  /** After a reload: go on with the call that this tab was in, if it can still be there; whether it does. */
  comeBack() {
    const found = kept(this.ui.key);
    if (!found) return false;
    if (found.ageS <= found.keptS + SLACK_S) {
      this.resuming = true;
      this.call.privacy.restore(found.recording);
      this.call.start(new Set(found.senses), found);
      return true;
    }
    drop(this.ui.key);
    if (found.ageS < FORGET_S) this.sayOver(found.senses);
    return false;
  }

  /** The call is over on the server's side. No camera opens again without a new click. */
  expired() {
    const { call } = this;
    const senses = call.senses;
    this.resuming = false;
    call.over("expired");
    this.stage.show(null);
    call.view("consent");
    this.sayOver(senses);
  }

  sayOver(senses) {
    this.call.consent.restore(senses);
    this.stage.notice("link", { ...LINK.over, place: this.$("consent-notices") });
  }

  end() {
    this.stopCounting();
    drop(this.ui.key);
    const { link } = this.call;
    // Where the data channel is dead, this frees the line.
    if (link && (link.state === "lost" || link.state === "retrying")) this.bye(link.pcId, false);
  }

  /** The page goes away: closed or only reloaded, nobody knows. */
  leave() {
    const id = this.call.link?.pcId;
    if (!id) return;
    this.keep();
    this.bye(id, true);
  }

  bye(id, mayReturn) {
    if (!id) return;
    const body = JSON.stringify({ pc_id: id, may_return: mayReturn });
    const url = this.ui.url("api/bye");
    if (this.ui.home) navigator.sendBeacon(url, new Blob([body], { type: "application/json" }));
    // A beacon carries credentials, which a server of another origin has no use for and does not allow.
    else fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: true }).catch(() => {});
  }
}
return { Lifeline };
})();

// peer.js
const _peer = (() => {
// One WebRTC connection to the server: offer and trickle over HTTP, three m-lines (audio, video, application), and the
// data channel "chat". It lives once; staying connected is the business of link.js. The wire is Pipecat's SmallWebRTC.

const { keepIce, keptIce } = _session;

const CONNECT_MS = 15000;
const AGAIN_MS = 6000;
const ICE_MS = 3000;
const DISCONNECTED_MS = 3000;
const VIDEO_BPS = 600_000;

/** The server said no. `retryAfterS` is set when it is only busy. */
class Refused extends Error {
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
class Peer extends EventTarget {
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
return { Refused, Peer };
})();

// link.js
const _link = (() => {
// A call that outlives its connections: RTVI 2.1 over a Peer, with the handshake, the heartbeat, and automatic
// reconnection into the same call. What the person allowed is said first on every new connection, before anything else.
//
// The heartbeat is a `ping` every second that the server answers: an answer proves both directions, and the loop behind
// them. Without one the link is `degraded`, then lost; how long that takes the server says in its answer to the offer.

const { Peer, Refused } = _peer;

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
class Link extends EventTarget {
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
return { Link };
})();

// panel.js
const _panel = (() => {
// "What I perceive": one row per sense, in one of five states: known, unsure, waiting, off (refused by the person), lost.

const { clean, h, percent, text } = _dom;
const { icon } = _icons;
const { SENSES, senseOf } = _senses;

const HISTORY = 48;
const BIN_MS = 625;
/** After this long without a new percept (ms), a value is history and the row waits again. */
const FRESH_MS = { words: 15000, voice: 20000, expression: 4000, gaze: 4000, gesture: 7000, scene: 6000 };
const IDLE = { words: "Listening for words", voice: "Waiting for you to speak", expression: "Looking for a face", gaze: "Looking for a face", gesture: "None just now", scene: "Looking" };
const NEGATIVE = new Set(["angry", "disgust", "fear", "sad"]);
const GAZE = { towards: "Towards me", away: "Away" };
const GESTURE = { nod: "Nod", head_shake: "Head shake", thumb_up: "Thumb up", thumb_down: "Thumb down", open_palm: "Open palm", closed_fist: "Fist", pointing_up: "Pointing up", victory: "Victory sign", iloveyou: "I love you" };
const LIGHT = { dark: "It is dark", bright: "Very bright", cut: "New picture", motion: "Moving", still: "Still" };
const NS = "http://www.w3.org/2000/svg";

const title = (label) => {
  const words = clean(label);
  return words.charAt(0).toUpperCase() + words.slice(1);
};

class Panel {
  /** `toggle(id, on)` is called when the person switches a sense in a row. */
  constructor(ui, { toggle }) {
    this.ui = ui;
    this.$ = ui.$;
    this.rows = new Map();
    this.latest = {};
    this.history = [];
    this.people = 0;
    for (const sense of SENSES) this.$("senses").append(this.row(sense, toggle));
    ui.every(250, () => this.paint());
  }

  row(sense, toggle) {
    const nameId = `sense-${sense.id}`;
    const value = h("p", { class: "sense-value" });
    const more = h("div", { class: "sense-more" });
    const flip = h("input", { type: "checkbox", role: "switch", class: "mini", "aria-label": `Notice: ${sense.title}`, id: `flip-${sense.id}` });
    flip.addEventListener("change", () => toggle(sense.id, flip.checked));
    const bar = h("div", { class: "bar", role: "meter", "aria-label": `${sense.title}: confidence`, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, h("i"));
    const amount = h("span", { class: "percent", "aria-hidden": "true" });
    if (["expression", "voice", "gaze"].includes(sense.id)) more.append(bar, amount);
    const row = { sense, value, more, bar, amount, flip, on: false, lost: false, at: -1e9, shown: null, since: -1e9 };
    if (sense.id === "expression") {
      row.spark = document.createElementNS(NS, "svg");
      for (const [key, v] of Object.entries({ class: "spark", viewBox: `0 0 ${HISTORY * 6} 34`, preserveAspectRatio: "none", role: "img", "aria-label": "Expression of the last half minute" })) row.spark.setAttribute(key, v);
      more.append(row.spark);
    }
    row.node = h("li", { class: "sense", data: { sense: sense.id, state: "waiting" } }, icon(sense.icon), h("div", {}, h("p", { class: "sense-name", id: nameId }, sense.title), value), flip, more);
    this.rows.set(sense.id, row);
    return row.node;
  }

  /** Show which senses are allowed. */
  allow(senses) {
    for (const row of this.rows.values()) {
      if (row.on !== senses.has(row.sense.id)) row.since = performance.now();
      row.on = senses.has(row.sense.id);
      row.flip.checked = row.on;
      if (!row.on) Object.assign(row, { shown: null, at: -1e9, lost: false });
    }
    if (!senses.has("expression")) this.history.length = 0;
    this.paint();
  }

  /** Show rows only for these senses. */
  offer(ids) {
    for (const row of this.rows.values()) row.node.hidden = !ids.includes(row.sense.id);
  }

  /** Sources that give nothing, with the state and the words to show: see Person.silent. */
  without(silent) {
    this.silent = silent;
    this.paint();
  }

  /** In a call or not: outside of one nothing is perceived. */
  wake(inCall) {
    this.inCall = inCall;
    if (!inCall) for (const row of this.rows.values()) Object.assign(row, { shown: null, at: -1e9, lost: false });
    this.paint();
  }

  /** Take in one percept message; returns false if its sense is refused (and was not just now, when some are on the way). */
  perceive(percept) {
    if (percept.kind === "sense_lost" || percept.kind === "sense_back") {
      const name = String(percept.label).toLowerCase();
      for (const row of this.rows.values()) if (row.sense.lost.includes(name)) row.lost = percept.kind === "sense_lost";
      return true;
    }
    this.latest[percept.kind] = percept;
    const id = senseOf(percept.kind);
    if (!id) return true;
    const row = this.rows.get(id);
    const now = performance.now();
    if (!row.on) return now - row.since < 2000;
    row.lost = false;
    const shown = this.describe(percept);
    if (shown) Object.assign(row, { shown, at: now });
    if (percept.kind === "expression") this.remember(percept, now);
    return true;
  }

  /** What a percept changes in its row: {text, soft, state, confidence}, or null for nothing. */
  describe({ kind, label, confidence, data = {} }) {
    // Below this a guess is no better than a throw of dice, whatever its name.
    const unsure = label === "uncertain" || confidence < 0.25;
    switch (kind) {
      case "expression":
        return { text: unsure ? "Unsure" : title(label), state: unsure ? "unsure" : "known", confidence };
      case "prosody":
        return { text: unsure ? "Unsure" : title(label), soft: unsure ? null : "the last words", state: unsure ? "unsure" : "known", confidence };
      case "gaze":
        return { text: unsure ? "Unsure" : (GAZE[label] ?? title(label)), state: unsure ? "unsure" : "known", confidence };
      case "gesture":
        return label === "none" ? null : { text: GESTURE[String(label).toLowerCase()] ?? title(label), state: "known", confidence };
      case "face":
        if (data.count !== undefined || label === "absent") this.people = label === "absent" ? 0 : Math.round(data.count);
        else this.people = Math.max(1, this.people);
        return this.count();
      case "presence":
        if (data.count !== undefined) this.people = Math.round(data.count);
        return { ...this.count(), soft: label === "arrived" ? "someone came" : "someone left" };
      case "scene":
        return label === "still" || label === "motion" ? null : { ...this.count(), soft: LIGHT[label] ?? clean(label) };
      case "speech_started":
        return { text: "Hearing you", state: "known" };
      case "partial":
        return { text: "Hearing you", soft: `“${tail(label)}”`, state: "known" };
      case "speech_ended":
        return { text: "You paused", state: "known" };
      case "transcript":
        return { text: "Heard", soft: `“${tail(label)}”`, state: "known" };
      default:
        return null;
    }
  }

  faceSeen(now) {
    const row = this.rows.get("scene");
    return row.on && this.people > 0 && now - row.at < FRESH_MS.scene;
  }

  count() {
    const n = this.people;
    return { text: n === 0 ? "Nobody" : n === 1 ? "One person" : `${n} people`, state: "known" };
  }

  remember(percept, now) {
    const bin = Math.floor(now / BIN_MS);
    const kind = percept.label === "uncertain" ? "unsure" : NEGATIVE.has(percept.label) ? "negative" : percept.label === "happy" ? "positive" : "neutral";
    const last = this.history.at(-1);
    if (last?.bin === bin) Object.assign(last, { kind, confidence: percept.confidence });
    else this.history.push({ bin, kind, confidence: percept.confidence });
    if (this.history.length > HISTORY) this.history.shift();
  }

  paint() {
    const now = performance.now();
    for (const row of this.rows.values()) this.paintRow(row, now);
    const spark = this.rows.get("expression");
    if (spark.on && !spark.lost) this.paintHistory(spark.spark, now);
  }

  paintRow(row, now) {
    const { id, source } = row.sense;
    const fresh = row.shown && now - row.at < FRESH_MS[id];
    let state = fresh ? row.shown.state : "waiting";
    let words = fresh ? row.shown.text : IDLE[id];
    let soft = fresh ? row.shown.soft : "";
    if (id === "expression" || id === "gaze") words = fresh ? words : this.faceSeen(now) ? "Nothing clear yet" : words;
    if (!row.on) [state, words, soft] = ["off", "Off by you", ""];
    else if (!this.inCall) [state, words, soft] = ["waiting", "Not in a call", ""];
    else if (this.silent?.has(source)) [state, words, soft] = [this.silent.get(source).state, this.silent.get(source).text, ""];
    else if (row.lost) [state, words, soft] = ["lost", "Lost, coming back by itself", ""];
    row.node.dataset.state = state;
    const key = `${words}|${soft ?? ""}`;
    if (row.key !== key) {
      row.key = key;
      row.value.replaceChildren(words, ...(soft ? [" ", h("span", { class: "soft" }, soft)] : []));
    }
    if (state !== "known" && state !== "unsure") return;
    const part = row.shown.confidence ?? 0;
    row.bar.style.setProperty("--part", part.toFixed(3));
    row.bar.setAttribute("aria-valuenow", Math.round(part * 100));
    row.bar.setAttribute("aria-valuetext", state === "unsure" ? `unsure, ${percent(part)}` : percent(part));
    text(row.amount, percent(part));
  }

  paintHistory(svg, now) {
    const newest = Math.floor(now / BIN_MS);
    const bars = [];
    for (const { bin, kind, confidence } of this.history) {
      const x = HISTORY - 1 - (newest - bin);
      if (x < 0) continue;
      const tall = Math.max(3, 30 * confidence);
      const rect = document.createElementNS(NS, "rect");
      for (const [key, value] of Object.entries({ class: kind, x: x * 6 + 0.5, y: (32 - tall).toFixed(1), width: 4, height: tall.toFixed(1), rx: 1.5 })) rect.setAttribute(key, value);
      bars.push(rect);
    }
    svg.replaceChildren(...bars);
  }

  /** The state of every row, for tests and for whoever asks. */
  states() {
    return Object.fromEntries([...this.rows].map(([id, row]) => [id, { state: row.node.dataset.state, text: row.value.textContent }]));
  }
}

function tail(words) {
  const line = String(words);
  return line.length > 48 ? `…${line.slice(-46).replace(/^\S*\s/, "")}` : line;
}
return { Panel };
})();

// person.js
const _person = (() => {
// The person's own side: their microphone and camera tracks, muted or live, push-to-talk, a device that is unplugged.

const { canCapture, listDevices, onDeviceChange, onPermission, openDevices, permission } = _devices;
const { recall, remember } = _dom;

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
class Person extends EventTarget {
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
return { Person };
})();

// privacy.js
const _privacy = (() => {
// What the place of the call changes for the person: whether feelings are read at all, whether their words may be kept
// in writing, where else they go; and what became of their agreement, which is stored before anything is perceived.

const { text } = _dom;
const { AGREEMENT } = _messages;
const { ALL, AFFECT, wireNames } = _senses;

const CONSENT_VERSION = 2;

class Privacy {
  constructor(call) {
    this.call = call;
    this.ui = call.ui;
    this.$ = call.ui.$;
    /** Whether the person wants their words kept; and whether they are, as the server says. */
    this.wanted = false;
    this.kept = false;
    this.possible = ALL;
    text(this.$("fact-host"), this.ui.server);
    this.$("fact-bar").hidden = !this.ui.home;
    this.$("keep-words").addEventListener("change", ({ target }) => (this.wanted = target.checked));
    this.$("keeping").addEventListener("click", () => this.stopKeeping());
    this.ask();
  }

  /** Before anybody consents: what this place does, and which other machines take part. */
  async ask() {
    const answer = await fetch(this.ui.url("status")).catch(() => null);
    const { sends_to: others = [], privacy = {} } = (answer?.ok && (await answer.json().catch(() => null))) || {};
    if (others.length) {
      text(this.$("fact-other"), others.join(", "));
      this.$("fact-here").hidden = true;
      this.$("fact-elsewhere").hidden = false;
    }
    this.ui.tell("place", { host: this.ui.server, others });
    const withheld = privacy.affect === "off" ? AFFECT : [];
    this.$("fact-no-affect").hidden = !withheld.length;
    this.possible = ALL.filter((id) => !withheld.includes(id));
    this.offer();
    this.$("keep-words-row").hidden = privacy.records !== true;
    const notice = typeof privacy.notice === "string" && /^https?:\/\//.test(privacy.notice) ? privacy.notice : "";
    this.$("fact-notice").hidden = !notice;
    if (notice) this.$("notice-link").href = notice;
  }

  /** Offer what this place can do and the page around asks for. */
  offer() {
    const { senses } = this.ui.host;
    this.call.consent.offer(senses ? this.possible.filter((id) => senses.includes(id)) : this.possible);
    this.call.panel.offer(this.call.consent.offered);
  }

  /** What goes into a consent message. */
  consent() {
    return { version: CONSENT_VERSION, senses: this.call.recorder.sent(wireNames(this.call.senses)), locale: this.ui.app.lang, recording: this.wanted };
  }

  restore(wanted) {
    this.wanted = Boolean(wanted);
    this.$("keep-words").checked = this.wanted;
  }

  /** A note about the agreement. */
  note({ event, scopes = [] }) {
    const { stage } = this.call;
    if (event === "consent_not_stored") stage.notice("agreement", AGREEMENT.notStored);
    if (event === "not_erased") stage.notice("erased", AGREEMENT.notErased);
    if (event !== "consent_stored" && event !== "consent_withdrawn") return;
    stage.dismiss("agreement");
    this.show(scopes.includes("recording"));
  }

  show(kept) {
    this.kept = kept;
    this.$("keeping").hidden = !kept;
  }

  stopKeeping() {
    this.restore(false);
    this.call.link?.ask("senses", { senses: this.call.recorder.sent(wireNames(this.call.senses)), recording: false });
    this.ui.announce("Your words are no longer kept.");
  }
}
return { CONSENT_VERSION, Privacy };
})();

// recorder.js
const _recorder = (() => {
// What happened in this page, bounded, for tests and for the curious: `record` of the element.

const KEPT = 2000;
const AUDIO_KEPT = 3000;

function push(list, item, kept = KEPT) {
  list.push(item);
  if (list.length > kept) list.splice(0, list.length - kept);
}

class Recorder {
  constructor(call) {
    this.call = call;
    this.errors = [];
    this.audioLog = [];
    this.clear();
    // Also while the tab is hidden, where no animation frame comes.
    call.ui.every(20, () => {
      if (call.sound.analyser) push(this.audioLog, { at: performance.now(), level: call.sound.read().level }, AUDIO_KEPT);
    });
    this.record = this.expose();
  }

  clear() {
    Object.assign(this, { percepts: {}, perceptLog: [], refusedPercepts: 0, decisions: [], thoughts: [], turns: [], notes: [], metrics: [], display: [], speech: [], received: {}, stats: null, sentSenses: null, connections: 0 });
    this.audioLog.length = 0;
  }

  sent(senses) {
    this.sentSenses = senses;
    return senses;
  }

  count(type, data) {
    const key = type === "server-message" ? `${type}/${data.t}` : type;
    this.received[key] = (this.received[key] ?? 0) + 1;
  }

  take(message) {
    const item = { ...message, received: performance.now() };
    if (message.t === "percept") {
      this.percepts[message.kind] = item;
      push(this.perceptLog, item);
    }
    const list = { decision: this.decisions, thought: this.thoughts, turn: this.turns, note: this.notes, metric: this.metrics, voice: this.speech }[message.t];
    if (list) push(list, item);
  }

  displayed({ emotion, gesture, intensity, reply }) {
    push(this.display, { emotion, gesture, intensity, reply, received: performance.now() });
  }

  expose() {
    const { call } = this;
    const self = this;
    const record = {
      version: 1,
      get view() { return call.ui.showing; },
      get state() { return call.link?.state ?? (call.stage.cover === "ended" ? "closed" : (call.stage.cover ?? "idle")); },
      get mood() { return call.mood; },
      get cover() { return call.stage.cover; },
      get notices() { return [...call.stage.notices.keys()]; },
      get quality() { return call.link?.quality ?? "live"; },
      get keeping() { return call.privacy.kept; },
      get call() { return call.callId; },
      get pcId() { return call.link?.pcId ?? null; },
      get senses() { return [...call.senses]; },
      get captions() { return call.captions.lines.map(({ done, ...line }) => line); },
      get rows() { return call.panel.states(); },
      get lastDecision() { return self.decisions.at(-1) ?? null; },
      get timing() { return { values: call.timing.values, totals: call.timing.totals, roundtrip: call.timing.roundtrip }; },
      get mind() { return call.mind; },
      get help() { return call.help.shown; },
      get emotion() { return call.avatar.emotion; },
      get audio() {
        const { level, peak, heardMs, firstHeardAt, lastHeardAt, analyser, element } = call.sound.read();
        return { level, peak, heardMs, firstHeardAt, lastHeardAt, playing: Boolean(analyser) && !element.paused };
      },
      get person() {
        const { audio, video, micLive, cameraLive, pushToTalk, held } = call.person;
        return { mic: Boolean(audio), camera: Boolean(video), micLive, cameraLive, pushToTalk, held };
      },
    };
    for (const key of ["percepts", "perceptLog", "refusedPercepts", "decisions", "thoughts", "turns", "notes", "metrics", "display", "speech", "received", "stats", "sentSenses", "connections", "audioLog", "errors"]) {
      Object.defineProperty(record, key, { get: () => self[key], enumerable: true });
    }
    return record;
  }
}
return { Recorder };
})();

// settings.js
const _settings = (() => {
// The settings dialog, the device lists wherever they stand, and what the agent is made of.

const { canChooseSpeaker } = _devices;
const { h, recall, remember } = _dom;

const DEVICE = { mics: "mic", cameras: "camera", speakers: "speaker" };

class Settings {
  /** `sound` is the agent's; `person` has the devices. */
  constructor(ui, { person, sound }) {
    this.ui = ui;
    this.$ = ui.$;
    this.person = person;
    this.sound = sound;
    this.dialog = this.$("settings");
    this.$("settings-open").addEventListener("click", () => this.open());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.$("speaker-field").hidden = !canChooseSpeaker();
    for (const id of ["announce", "shortcuts"]) {
      const box = this.$(id);
      box.checked = recall(id, box.checked ? "yes" : "no") === "yes";
      box.addEventListener("change", () => remember(id, box.checked ? "yes" : "no"));
    }
    for (const select of this.ui.root.querySelectorAll("select[data-devices]")) select.addEventListener("change", () => this.choose(select.dataset.devices, select.value));
    person.addEventListener("devices", ({ detail }) => this.list(detail));
    person.addEventListener("change", () => this.mark());
    this.list({ mics: [], cameras: [], speakers: [] });
    this.restoreSpeaker();
  }

  get announces() {
    return this.$("announce").checked;
  }

  get shortcuts() {
    return this.$("shortcuts").checked;
  }

  open() {
    this.person.list();
    this.dialog.showModal();
  }

  list(lists) {
    this.lists = lists;
    for (const select of this.ui.root.querySelectorAll("select[data-devices]")) {
      const found = lists[select.dataset.devices];
      const options = found.map(({ id, label }) => h("option", { value: id }, label));
      if (!options.length) options.push(h("option", { value: "" }, select.dataset.devices === "speakers" ? "The system’s speaker" : "None found, or not allowed yet"));
      select.replaceChildren(...options);
      select.disabled = !found.length;
    }
    this.mark();
  }

  /** Select in each list what is really in use. */
  mark() {
    const used = {
      mics: this.person.audio?.getSettings().deviceId ?? this.person.chosen.mic,
      cameras: this.person.video?.getSettings().deviceId ?? this.person.chosen.camera,
      speakers: this.sound.element.sinkId || "default",
    };
    for (const select of this.ui.root.querySelectorAll("select[data-devices]")) {
      const id = used[select.dataset.devices];
      if ([...select.options].some((option) => option.value === id)) select.value = id;
    }
  }

  choose(kind, id) {
    if (kind !== "speakers") {
      this.person.choose(DEVICE[kind], id);
      return;
    }
    remember("speaker", id);
    this.sound.setSpeaker(id).catch(() => this.ui.announce("That speaker cannot be used."));
  }

  restoreSpeaker() {
    const id = recall("speaker");
    if (id && canChooseSpeaker()) this.sound.setSpeaker(id).catch(() => remember("speaker", ""));
  }

  /** Tell what the agent is made of: a flat object of names. */
  about(agent) {
    const rows = Object.entries(agent).filter(([, value]) => value !== null && value !== "" && typeof value !== "object" || Array.isArray(value));
    this.$("about").replaceChildren(...rows.flatMap(([key, value]) => [h("dt", {}, key.charAt(0).toUpperCase() + key.slice(1).replaceAll("_", " ")), h("dd", {}, Array.isArray(value) ? value.join(", ") : String(value))]));
  }
}
return { Settings };
})();

// stage.js
const _stage = (() => {
// What lies over the agent's picture: its state in words, passing notices, and the cover when there is no call.

const { h, text } = _dom;
const { icon } = _icons;
const { COVERS } = _messages;

const MOODS = { listening: "Listening", thinking: "Thinking", speaking: "Speaking", connecting: "Connecting", lost: "Reconnecting", ended: "Not in a call", held: "Holding on" };
const IN_CALL = new Set(["connecting", "lost"]);
const MARKS = { busy: null, refused: "warn", gone: "warn", lost: null, ended: "hangup", left: "hangup", moved: "hangup", expired: "hangup", fatal: "warn", webrtc: "warn" };

class Stage {
  /** `act(name)` is called with the name of a cover's button: retry, leave, now. */
  constructor(ui, { act }) {
    this.ui = ui;
    this.$ = ui.$;
    this.act = act;
    this.cover = null;
    this.notices = new Map();
  }

  mood(state) {
    this.$("stage").dataset.mood = state;
    text(this.$("mood-text"), MOODS[state] ?? MOODS.listening);
  }

  /** Show a full-stage message by name, or hide it with null. The same one again only changes its words. */
  show(name, more = {}) {
    const cover = this.$("cover");
    if (!name) {
      if (this.cover) cover.hidden = true;
      this.cover = null;
      delete this.$("stage").dataset.away;
      delete this.$("call").dataset.over;
      this.$("mood").hidden = false;
      return;
    }
    const { title, text: words, actions = [], spin = false, tone = "", count } = COVERS[name]({ host: this.ui.server, home: this.ui.home, name: this.ui.url("").hostname, ...more });
    const fresh = this.cover !== name;
    this.cover = name;
    cover.hidden = false;
    this.$("mood").hidden = true;
    cover.dataset.tone = tone;
    cover.dataset.name = name;
    this.$("stage").dataset.away = "";
    this.$("call").toggleAttribute("data-over", !IN_CALL.has(name));
    text(this.$("cover-title"), title);
    text(this.$("cover-text"), words);
    const mark = this.$("cover-mark");
    mark.classList.toggle("spin", spin);
    if (count !== undefined) text(mark, String(count));
    else if (fresh) mark.replaceChildren(...(MARKS[name] ? [icon(MARKS[name])] : []));
    if (!fresh) return;
    if (count === undefined && spin) mark.replaceChildren();
    this.$("cover-actions").replaceChildren(...actions.map(([id, label], i) => h("button", { type: "button", class: i ? "quiet" : "primary", data: { act: id }, onclick: () => this.act(id) }, label)));
    if (tone) this.ui.alarm(`${title}. ${words}`);
    else this.ui.announce(`${title}. ${words}`);
    if (actions.length) this.$("cover-card").focus({ preventScroll: true });
  }

  /**
   * A passing notice under a key; the same key replaces. `retry` adds a button, `actions` more of them as [label, act];
   * `calm` is for what needs no act.
   */
  notice(key, { title, text: words, retry = null, actions = [], seconds = 0, calm = false, place = this.$("notices") }) {
    this.dismiss(key);
    const node = h(
      "div",
      { class: calm ? "notice calm" : "notice", part: "notice", data: { key } },
      icon(calm ? "spark" : "warn"),
      h("p", {}, h("b", {}, title), words),
      ...actions.map(([label, act]) => h("button", { type: "button", class: "quiet", onclick: act }, label)),
      retry ? h("button", { type: "button", class: "quiet", onclick: retry }, "Try again") : null,
      h("button", { type: "button", class: "quiet round", "aria-label": "Dismiss", onclick: () => this.dismiss(key) }, icon("close")),
    );
    this.notices.set(key, node);
    place.append(node);
    if (calm) this.ui.announce(`${title}. ${words}`);
    else this.ui.alarm(`${title}. ${words}`);
    if (seconds) setTimeout(() => this.notices.get(key) === node && this.dismiss(key), seconds * 1000);
  }

  dismiss(key) {
    this.notices.get(key)?.remove();
    this.notices.delete(key);
  }

  dismissAll() {
    for (const key of [...this.notices.keys()]) this.dismiss(key);
  }
}
return { Stage };
})();

// telling.js
const _telling = (() => {
// What the page around the element is told, as events of the element.

const PASSED = new Set(["caption", "percept", "decision", "display", "resource"]);

class Telling {
  constructor(call) {
    this.call = call;
    this.ui = call.ui;
    this.told = JSON.stringify(this.where());
  }

  where() {
    const { call } = this;
    return { state: call.recorder.record.state, mood: call.mood, quality: call.link?.quality ?? "live", call: call.callId ?? null };
  }

  /** Tell where the call is, when that has changed. */
  state() {
    const detail = this.where();
    const key = JSON.stringify(detail);
    if (key === this.told) return;
    this.told = key;
    this.ui.tell("state", detail);
  }

  /** Pass on what the server told, without the words that only frame it. */
  pass({ v, t, ...detail }) {
    if (PASSED.has(t)) this.ui.tell(t, detail);
  }

  /** Tell that something went wrong; `fatal` if the call is over by it. */
  fail(kind, { title = "", detail = "", fatal = true } = {}) {
    this.ui.tell("error", { kind, title, detail, fatal });
  }
}
return { Telling };
})();

// timing.js
const _timing = (() => {
// "How fast": where the time between the person's last word and the agent's first sound went.

const { h, text } = _dom;

const STAGES = [
  ["end_of_turn", "Sure you were done"],
  ["words", "Your words"],
  ["decision", "Decision"],
  ["voice", "Voice"],
  ["rest", "Rest"],
];

const ms = (seconds) => (seconds === undefined || seconds === null ? "–" : `${Math.round(seconds * 1000)} ms`);

class Timing {
  constructor(ui) {
    this.ui = ui;
    this.$ = ui.$;
    /** By reply number: the metrics of it, in seconds. */
    this.replies = new Map();
    this.totals = [];
    this.values = {};
    this.words = null;
    this.roundtrip = null;
    this.build();
  }

  build() {
    this.total = h("b", {});
    this.note = h("span", { class: "hint" }, "No reply yet.");
    this.stages = h("div", { class: "stages", "aria-hidden": "true" });
    this.key = h("dl", { class: "key" });
    this.cells = {};
    for (const [stage, label] of STAGES) {
      this.cells[stage] = this.cell(label, stage);
      this.stages.append(h("i", { data: { stage } }));
    }
    this.cells.behind = this.cell("Captions behind you");
    this.cells.roundtrip = this.cell("Round trip");
    this.cells.barge = this.cell("Quiet after cut-in");
    this.cells.median = this.cell("Median total");
    this.$("timing").append(h("p", { class: "total" }, this.total, this.note), this.stages, this.key);
  }

  cell(label, stage) {
    const value = h("dd", {}, "–");
    this.key.append(h("div", stage ? { data: { stage } } : {}, h("dt", {}, label), value));
    return value;
  }

  /** Take in one metric message. Stages count up: `decide` and `voice` run from when the turn was given. */
  measure({ name, value, reply = 0 }) {
    this.values[name] = value;
    if (name === "partial_lag") text(this.cells.behind, ms(value));
    if (name === "barge_in") text(this.cells.barge, ms(value));
    if (!reply || !["end_of_turn", "words", "decide", "voice", "voice_to_voice"].includes(name)) return;
    const found = this.replies.get(reply) ?? {};
    found[name] = value;
    this.replies.set(reply, found);
    if (this.replies.size > 50) this.replies.delete(this.replies.keys().next().value);
    if (name === "voice_to_voice") this.totals.push(value);
    this.paint(found);
  }

  /** The stages of a reply, one after the other, in seconds. */
  static split({ end_of_turn: waited = 0, words = 0, decide = 0, voice = 0, voice_to_voice: total }) {
    const spoken = Math.max(0, voice - decide);
    const known = waited + words + decide + spoken;
    return { end_of_turn: waited, words, decision: decide, voice: spoken, rest: total === undefined ? 0 : Math.max(0, total - known), total: total ?? known };
  }

  paint(found) {
    const parts = Timing.split(found);
    text(this.note, "from your last word to my first sound");
    text(this.total, parts.total < 0.9995 ? `${Math.round(parts.total * 1000)} ms` : `${parts.total.toFixed(2)} s`);
    for (const bar of this.stages.children) bar.style.setProperty("--share", parts[bar.dataset.stage].toFixed(4));
    for (const [stage] of STAGES) text(this.cells[stage], ms(parts[stage]));
    const sorted = [...this.totals].sort((a, b) => a - b);
    text(this.cells.median, sorted.length ? `${ms(sorted[Math.floor((sorted.length - 1) / 2)])} of ${sorted.length}` : "–");
  }

  /** Round trip over the data channel in seconds. */
  trip(seconds) {
    this.roundtrip = seconds;
    text(this.cells.roundtrip, ms(seconds));
  }
}
return { Timing };
})();

// why.js
const _why = (() => {
// "Why": the last decision of the agent, in words, with what it rests on and what was thought first; and the few before it.

const { clean, h, percent, text } = _dom;
const { EMOTIONS } = _face;

const ACTION = { speak: "Spoke", backchannel: "Listening sound", express: "Showed", wait: "Waited" };
const STRATEGY = { question: "asks", restatement: "says it back", reflection: "reflects the feeling", affirmation: "affirms", suggestion: "suggests", information: "informs", other: "", safety: "keeps you safe" };
const KIND = { expression: "face", prosody: "voice", transcript: "words", partial: "words", gaze: "gaze", gesture: "gesture", face: "face", presence: "people", scene: "scene", speech_ended: "pause", speech_started: "speech", end_of_turn: "turn" };
const EARLIER = 5;
const LONGEST_THOUGHT = 4000;

class Why {
  constructor(ui) {
    this.ui = ui;
    this.$ = ui.$;
    this.box = this.$("why");
    this.decisions = [];
    this.open = false;
    this.thoughtOpen = false;
    this.thought = null;
    this.spoken = null;
    this.box.append(h("p", { class: "empty" }, "No decision yet. Keeping quiet and listening is one too, and it will be shown here."));
    ui.every(1000, () => this.age());
  }

  /** Take in a piece of what a mind thinks before it decides; it is shown with what it decides. */
  think({ reply, mind, text: piece }) {
    const known = this.thought?.reply === reply && this.thought.mind === mind ? `${this.thought.text} ` : "";
    this.thought = { reply, mind, text: `${known}${piece}`.slice(-LONGEST_THOUGHT) };
  }

  /** Take in one decision message. */
  show(message) {
    const at = performance.now();
    const { thought } = this;
    const decision = thought && thought.reply === message.reply && thought.mind === message.mind ? { ...message, thought: thought.text } : message;
    // A reply is a run of clauses: they share one reason, so they are one line here.
    const last = this.decisions[0];
    const same = last && decision.action === "speak" && last.action === "speak" && decision.reply && last.reply === decision.reply;
    if (same) this.decisions[0] = { ...decision, text: `${last.text ?? ""} ${decision.text ?? ""}`.trim(), evidence: decision.evidence?.length ? decision.evidence : last.evidence, at };
    else this.decisions.unshift({ ...decision, at });
    if (decision.action === "speak") this.spoken = this.decisions[0];
    this.decisions.length = Math.min(this.decisions.length, EARLIER + 1);
    this.paint();
  }

  paint() {
    const [now, ...before] = this.decisions;
    const parts = this.tell(now);
    // A nod comes and goes in a moment: why the last words were said stays in sight.
    if (now.action !== "speak" && this.spoken) parts.push(h("div", { class: "spoken" }, h("h3", {}, "My last words"), ...this.tell(this.spoken)));
    if (before.length) {
      const details = h("details", { class: "earlier", open: this.open }, h("summary", {}, "Earlier"), h("ul", {}, ...before.map((d) => h("li", {}, h("b", {}, ACTION[d.action] ?? clean(d.action)), ` ${d.reason}`))));
      details.addEventListener("toggle", () => (this.open = details.open));
      parts.push(details);
    }
    this.box.replaceChildren(...parts);
    this.age();
  }

  tell(d) {
    const parts = [this.badges(d), h("p", { class: "reason" }, d.reason || "No reason was given.")];
    if (d.evidence?.length) parts.push(h("ul", { class: "evidence", "aria-label": "Evidence" }, ...d.evidence.map(chip)));
    if (d.thought) {
      const details = h("details", { class: "earlier thought", open: this.thoughtOpen }, h("summary", {}, "What I thought first"), h("p", {}, d.thought));
      details.addEventListener("toggle", () => (this.thoughtOpen = details.open));
      parts.push(details);
    }
    return parts;
  }

  badges(d) {
    const found = [h("span", { class: "badge action" }, ACTION[d.action] ?? clean(d.action))];
    const strategy = STRATEGY[d.strategy] ?? clean(d.strategy);
    if (strategy) found.push(h("span", { class: "badge strategy", title: `Strategy: ${clean(d.strategy)}` }, strategy));
    if (d.emotion) {
      const badge = h("span", { class: "badge emotion", title: `Shown emotion: ${d.emotion}` }, clean(d.emotion));
      badge.style.setProperty("--dot", (EMOTIONS[d.emotion] ?? EMOTIONS.neutral).light[1]);
      found.push(badge);
    }
    if (d.gesture && d.gesture !== "none") found.push(h("span", { class: "badge" }, clean(d.gesture)));
    if (d.token) found.push(h("span", { class: "badge" }, `“${d.token}”`));
    if (d.confidence !== undefined && d.confidence < 1) found.push(h("span", { class: "badge" }, `${percent(d.confidence)} sure`));
    if (d.mind) found.push(h("span", { class: "badge mind", title: "Which mind decided this" }, `mind: ${clean(d.mind)}`));
    return h("p", { class: "line" }, ...found);
  }

  age() {
    if (!this.decisions.length) return;
    const seconds = Math.round((performance.now() - this.decisions[0].at) / 1000);
    text(this.$("why-when"), seconds < 2 ? "just now" : seconds < 90 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`);
  }

  clear() {
    this.decisions.length = 0;
    this.spoken = null;
    this.thought = null;
    text(this.$("why-when"), "");
    this.box.replaceChildren(h("p", { class: "empty" }, "No decision yet. Keeping quiet and listening is one too, and it will be shown here."));
  }
}

function chip({ kind, label, confidence }) {
  const words = clean(label);
  const short = words.length > 42 ? `${words.slice(0, 40)}…` : words;
  const quoted = kind === "transcript" || kind === "partial" ? `“${short}”` : short;
  const name = KIND[kind] ?? clean(kind);
  return h("li", { title: words || null }, ...(quoted ? [`${name} `, h("b", {}, quoted)] : [h("b", {}, name)]), confidence !== undefined && confidence < 1 ? ` ${percent(confidence)}` : null);
}
return { Why };
})();

// call.js
const _call = (() => {
// The call: ties the person's devices, the link to the server, the agent's face and the panels together.
//
// For tests and for the curious, `record` of the element shows what is going on (read it, do not write it):
//
//   version        1
//   view           "consent" | "call"
//   state          link: "idle" | "connecting" | "ready" | "lost" | "retrying" | "gone" | "refused" | "closed" | "left" | "moved" | "expired"
//   quality        of a link that is ready: "live" | "degraded"
//   keeping        whether the words of the person are kept in writing, as the server says
//   call           the server's name of the call, the same after a reconnection, or null
//   mood           agent: "connecting" | "listening" | "thinking" | "speaking" | "lost" | "ended" (as shown on the page)
//   cover          name of the full-stage message (see messages.js COVERS), or null
//   notices        keys of the notices shown: "mic", "camera", "devices", "sound", "error", "mind", "link", "closing", "agreement"
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
//   errors         [string] what the page around puts there: its uncaught errors
//
// Times called `at`, `received` and `...At` are performance.now() in ms; `at` inside a received message is the
// server's, in seconds of the call.

const { Acts } = _acts;
const { AgentSound, MicMeter } = _audio;
const { Avatar } = _avatar;
const { Captions } = _captions;
const { Consent } = _consent;
const { Controls } = _controls;
const { obstacle } = _devices;
const { clean } = _dom;
const { Help } = _help;
const { Lifeline } = _lifeline;
const { Link } = _link;
const { duration, mindMessage } = _messages;
const { Panel } = _panel;
const { Person } = _person;
const { Privacy } = _privacy;
const { Recorder } = _recorder;
const { devicesFor } = _senses;
const { Settings } = _settings;
const { Stage } = _stage;
const { Telling } = _telling;
const { Timing } = _timing;
const { Why } = _why;

const DEVICES_MS = 1500;
const FAILED = new Set(["refused", "gone", "expired", "fatal"]);

class Call {
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
    this.recorder = new Recorder(this);
    this.senses = new Set();
    this.mood = "ended";
    this.reply = 0;
    this.mind = null;
    this.usual = null;
    this.link = null;
    this.telling = new Telling(this);
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
    this.reset();
    this.view("call");
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
    this.avatar.display({ emotion: "warm", intensity: 0.5 });
    this.reply = 0;
    this.mind = null;
    this.callId = null;
    this.beganAt = performance.now();
  }

  async connect(resume = null) {
    this.lifeline.stopCounting();
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

  /** The connection stands: in a new call, or in the one there was. */
  ready(fresh) {
    this.recorder.connections += 1;
    this.stage.show(null);
    this.panel.wake(true);
    this.setMood("listening");
    if (fresh) {
      this.beganAt = performance.now();
      this.reply = 0;
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
        if (message.event === "closing") this.lifeline.closing(message);
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
    if (this.ui.showing === "call" && this.link) this.ui.host.muted = !this.person.micOn;
    this.panel.without(this.person.silent());
    if (this.ui.showing !== "call") return;
    const self = this.$("self-video");
    if (self.srcObject?.getVideoTracks()[0] !== (video ?? undefined)) {
      self.srcObject = video ? new MediaStream([video]) : null;
      if (video) self.play().catch(() => {});
    }
    this.watchMic(audio);
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
    this.panel.wake(false);
    this.person.release();
    this.setMood("ended");
    this.avatar.display({ emotion: name === "ended" || name === "left" ? "warm" : "concern", intensity: 0.4 });
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
    this.sound.detach();
    this.sound.context?.close();
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
return { Call };
})();

// look.js
const _look = (() => {
// How the element looks: its style sheets, which a content security policy does not forbid, and its letters.

const AVATAR = `/* The agent's face. --rapport-light-a and --rapport-light-b are the two colours of the emotion it shows (set and made known by avatar.js). */

.avatar { display: block; position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.av-ring { fill: var(--rapport-light-b); opacity: 0.28; }
.av-d0 { stop-color: color-mix(in oklab, var(--rapport-light-a) 88%, #fff); }
.av-d1 { stop-color: var(--rapport-light-b); }
.av-s0 { stop-color: color-mix(in oklab, var(--rapport-light-a) 18%, #fff4ec); }
.av-s1 { stop-color: color-mix(in oklab, var(--rapport-light-a) 22%, #f9d0c6); }
.av-s2 { stop-color: color-mix(in oklab, var(--rapport-light-b) 22%, #dc97a2); }
.av-s3 { stop-color: color-mix(in oklab, var(--rapport-light-b) 22%, #ae6a8c); }
.av-s4 { stop-color: color-mix(in oklab, var(--rapport-light-b) 22%, #7d4a74); }
.av-h0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 30%, #5b4478); }
.av-h1 { stop-color: #3a2a56; }
.av-h2 { stop-color: #241a3a; }
.av-c0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 24%, #54467f); }
.av-c1 { stop-color: color-mix(in oklab, var(--rapport-light-b) 12%, #3a2f5e); }
.av-i0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 40%, #a97b8c); }
.av-i1 { stop-color: #5a3b5e; }
.av-i2 { stop-color: #2a1b36; }
.av-w0 { stop-color: #d6c6d6; }
.av-w1 { stop-color: #fffaf6; }
.av-l0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 18%, #a35670); }
.av-l1 { stop-color: color-mix(in oklab, var(--rapport-light-b) 24%, #c9788a); }
.av-b { stop-color: color-mix(in oklab, var(--rapport-light-b) 20%, #f0747c); }
.av-g { stop-color: #fff8f0; }
.av-nape { fill: #261b3c; }
.av-seam { fill: color-mix(in oklab, var(--rapport-light-b) 45%, #6d5c9c); }
.av-strand { fill: none; stroke: color-mix(in oklab, var(--rapport-light-a) 45%, #7d66a0); stroke-width: 2.2; stroke-linecap: round; opacity: 0.4; }
.av-shade { fill: #7d3f6c; opacity: 0.17; }
.av-line { fill: none; stroke: #7c3a5c; stroke-linecap: round; opacity: 0.78; }
.av-faint { opacity: 0.4; }
.av-tip { fill: #fff6ec; opacity: 0.32; }
.av-iris { stroke: #241630; stroke-width: 1.3; }
.av-ink { fill: #23152e; }
.av-brow { fill: #3a2850; }
.av-inside { fill: #43162f; }
.av-teeth { fill: #fff8f2; }
`;
const BASE = `/* Tokens, type, and the parts that every view uses. The page around gives the element its size, and may give it colours. */
:host { display: block; position: relative; min-inline-size: 280px; block-size: 680px; container: rapport / size; text-align: start; }
:host([hidden]) { display: none; }

.app {
  --bg: var(--rapport-background, #f6f4f9);
  --surface: var(--rapport-surface, #ffffff);
  --raised: #ffffff;
  --soft: #efecf4;
  --ink: var(--rapport-ink, #1f1930);
  --ink-2: var(--rapport-ink-soft, #5a5269);
  --line: #e1dbe9;
  --edge: #8c839c;
  --accent: var(--rapport-accent, #5a43b8);
  --accent-soft: #ece7fb;
  --on-accent: var(--rapport-on-accent, #ffffff);
  --danger: #bf2f49;
  --on-danger: #ffffff;
  --warn: #8a5300;
  --warn-soft: #fdf1dc;
  --bad-soft: #fdeaed;
  --good: #1c7a52;
  --shadow: 0 1px 2px rgb(40 25 70 / 6%), 0 8px 28px rgb(40 25 70 / 8%);
  --radius: var(--rapport-radius, 24px);
  --font: var(--rapport-font, "Rapport Figtree", Figtree, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", sans-serif);
  color-scheme: light;
}
.app[data-theme="dark"] {
  --bg: var(--rapport-background, #14111b);
  --surface: var(--rapport-surface, #1d1927);
  --raised: #262132;
  --soft: #2a2437;
  --ink: var(--rapport-ink, #f4f1f9);
  --ink-2: var(--rapport-ink-soft, #b9b1c8);
  --line: #352e44;
  --edge: #7d7490;
  --accent: var(--rapport-accent, #b4a3ff);
  --accent-soft: #332a52;
  --on-accent: var(--rapport-on-accent, #1a1330);
  --danger: #ff8093;
  --on-danger: #2a0710;
  --warn: #f3c06b;
  --warn-soft: #3a2c17;
  --bad-soft: #3d1f29;
  --good: #6fd3a5;
  --shadow: 0 1px 2px rgb(0 0 0 / 30%), 0 10px 34px rgb(0 0 0 / 32%);
  color-scheme: dark;
}

*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.app { position: absolute; inset: 0; display: flex; flex-direction: column; overflow: hidden auto; overscroll-behavior: contain; border-radius: inherit; background: var(--bg); color: var(--ink); font: 400 1rem/1.5 var(--font); letter-spacing: normal; text-transform: none; word-spacing: normal; white-space: normal; transition: --rapport-light-a 0.9s ease, --rapport-light-b 0.9s ease; outline: none; -webkit-text-size-adjust: 100%; }
.app { padding-top: var(--rapport-inset, 12px); }
.app[data-view="call"] { overflow: hidden; }
h1, h2, h3, p, ul, ol, dl, dd, fieldset { margin: 0; padding: 0; border: 0; }
ul, ol { list-style: none; }
h1 { font-size: clamp(1.9rem, 1.4rem + 2cqw, 2.75rem); line-height: 1.08; font-weight: 650; letter-spacing: -0.022em; text-wrap: balance; }
h2 { font-size: 1rem; font-weight: 650; letter-spacing: -0.008em; }
button, input, select { font: inherit; color: inherit; }
b, strong { font-weight: 620; }
small { font-size: 0.8125rem; color: var(--ink-2); }
kbd { font: 550 0.72rem/1 var(--font); padding: 0.2em 0.42em; border: 1px solid var(--edge); border-radius: 5px; color: var(--ink-2); background: var(--surface); }
a { color: var(--accent); }

:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
/* Focused by the page, to say where one is: nothing to press there. */
[tabindex="-1"]:focus-visible { outline: none; }
.hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.icon { width: 1.4em; height: 1.4em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
span[data-icon] { display: inline-flex; flex: none; }

button { cursor: pointer; border: 0; border-radius: 14px; background: none; padding: 0; touch-action: manipulation; }
button:disabled { cursor: default; opacity: 0.5; }
.primary { min-height: 52px; padding: 0 26px; border-radius: 26px; background: var(--accent); color: var(--on-accent); font-weight: 620; font-size: 1.0625rem; transition: filter 0.15s, transform 0.15s; }
.primary:hover { filter: brightness(1.08); }
.primary:active { transform: scale(0.985); }
.quiet { min-height: 44px; padding: 0 16px; color: var(--ink); font-weight: 560; }
@media (hover: hover) { .quiet:hover { background: color-mix(in oklab, var(--ink) 7%, transparent); } }
.round { width: 44px; padding: 0; border-radius: 22px; display: inline-flex; align-items: center; justify-content: center; flex: none; }
.chip { display: inline-flex; align-items: center; gap: 6px; min-height: 36px; padding: 0 12px; border-radius: 18px; font-size: 0.875rem; font-weight: 560; background: var(--raised); box-shadow: var(--shadow); }
.chip:hover { filter: brightness(0.97); }
.card { background: var(--surface); border-radius: var(--radius); padding: 18px 20px; box-shadow: var(--shadow); }
.card > header { display: flex; align-items: baseline; justify-content: space-between; gap: 12px; margin-bottom: 10px; }
.hint { font-size: 0.8125rem; color: var(--ink-2); }

.field { display: grid; gap: 4px; font-size: 0.875rem; color: var(--ink-2); min-width: 0; }
.field select { width: 100%; min-height: 44px; padding: 0 12px; border-radius: 12px; border: 1px solid var(--edge); background: var(--surface); color: var(--ink); text-overflow: ellipsis; }

input[role="switch"] { appearance: none; flex: none; width: 46px; height: 28px; margin: 0; border-radius: 14px; background: transparent; border: 2px solid var(--edge); position: relative; cursor: pointer; transition: background 0.18s, border-color 0.18s; }
input[role="switch"]::after { content: ""; position: absolute; left: 4px; top: 4px; width: 16px; height: 16px; border-radius: 50%; background: var(--edge); transition: transform 0.18s, background 0.18s; }
input[role="switch"]:checked { background: var(--accent); border-color: var(--accent); }
input[role="switch"]:checked::after { transform: translateX(18px); background: var(--on-accent); }
input[role="switch"].mini { width: 36px; height: 22px; }
input[role="switch"].mini::after { width: 12px; height: 12px; left: 3px; top: 3px; }
input[role="switch"].mini:checked::after { transform: translateX(14px); }

.level { display: block; height: 8px; border-radius: 4px; background: var(--soft); overflow: hidden; }
.level i { display: block; height: 100%; width: 100%; border-radius: 4px; background: var(--good); transform: scaleX(var(--level, 0)); transform-origin: left; }

.notice { display: flex; gap: 12px; align-items: flex-start; padding: 12px 12px 12px 16px; border-radius: 16px; background: var(--warn-soft); color: var(--ink); font-size: 0.9375rem; line-height: 1.4; box-shadow: var(--shadow); }
.notice > .icon { color: var(--warn); margin-top: 1px; }
.notice.calm { background: var(--accent-soft); }
.notice.calm > .icon { color: var(--accent); }
.notice b { display: block; }
.notice p { flex: 1; min-width: 0; }
.notice .quiet { min-height: 36px; padding: 0 12px; border-radius: 12px; }
.notice .round { width: 36px; padding: 0; }
.notices-inline:not(:empty) { margin-top: 16px; display: grid; gap: 10px; }
.notices-inline .notice { box-shadow: none; }

@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation-duration: 0.01ms !important; animation-iteration-count: 1 !important; transition-duration: 0.01ms !important; scroll-behavior: auto !important; }
}
@media (forced-colors: active) {
  .card, .chip, .notice, input[role="switch"] { border: 1px solid; }
}
`;
const CALL = `/* The call view: stage with the agent, dock with the controls, side with what it perceives and why. */
.call { flex: 1; min-height: 0; display: grid; grid-template: auto minmax(0, 1fr) auto / minmax(0, 1fr) 384px; grid-template-areas: "news side" "stage side" "dock side"; gap: 14px 20px; padding: 0 clamp(12px, 1.8cqw, 24px) max(16px, env(safe-area-inset-bottom)); }
.call[data-side="closed"] { grid-template-columns: minmax(0, 1fr); grid-template-areas: "news" "stage" "dock"; }
.call[data-side="closed"] .side { display: none; }
.stage { grid-area: stage; position: relative; min-height: 0; display: grid; grid-template-rows: minmax(0, 1fr) auto; border-radius: 32px; overflow: hidden; isolation: isolate; }
.stage-top { position: absolute; z-index: 3; left: 18px; top: 18px; display: flex; gap: 10px; align-items: center; }
.mood { display: inline-flex; align-items: center; gap: 9px; min-height: 36px; padding: 0 14px 0 12px; border-radius: 18px; background: color-mix(in oklab, var(--surface) 82%, transparent); font-size: 0.875rem; font-weight: 580; }
.mood-dot { width: 10px; height: 10px; border-radius: 50%; background: var(--edge); }
.stage[data-mood="listening"] .mood-dot { background: var(--good); }
.stage[data-mood="thinking"] .mood-dot { background: var(--warn); animation: pulse 1s ease-in-out infinite alternate; }
.stage[data-mood="speaking"] .mood-dot { background: var(--accent); animation: pulse 0.5s ease-in-out infinite alternate; }
@keyframes pulse { from { opacity: 0.45; } to { opacity: 1; } }
.stage, .hello { background: radial-gradient(95% 85% at 50% 34%, color-mix(in oklab, var(--rapport-light-a) 46%, var(--surface)), color-mix(in oklab, var(--rapport-light-b) 22%, var(--surface))); }
.app[data-theme="dark"] :is(.stage, .hello) { background: radial-gradient(95% 85% at 50% 34%, color-mix(in oklab, var(--rapport-light-b) 32%, #191424), color-mix(in oklab, var(--rapport-light-b) 10%, #191424)); }
.stage-face { position: relative; min-height: 0; margin: 20px 0 -84px; transition: filter 0.5s, opacity 0.5s; }
.call[data-captions="off"] .stage-face { margin-bottom: 0; }
.stage[data-away] .stage-face { filter: saturate(0.35) blur(1px); opacity: 0.55; }

.self { position: absolute; z-index: 3; right: 18px; top: 18px; width: clamp(112px, 15cqw, 208px); aspect-ratio: 4 / 3; border-radius: 20px; overflow: hidden; background: var(--soft); box-shadow: var(--shadow); }
.self video { width: 100%; height: 100%; object-fit: cover; transform: scaleX(-1); display: block; }
.self[data-camera="off"] video { visibility: hidden; }
.self-none { position: absolute; inset: 0; display: none; align-content: center; justify-items: center; gap: 4px; font-size: 0.8125rem; color: var(--ink-2); }
.self[data-camera="off"] .self-none { display: grid; }
.level.small { position: absolute; left: 10px; right: 10px; bottom: 9px; height: 4px; background: rgb(255 255 255 / 35%); opacity: 0.9; }
.level.small i { background: #fff; }
.self[data-camera="off"] .level.small { background: var(--line); }
.self[data-camera="off"] .level.small i { background: var(--good); }
.self-muted { position: absolute; left: 8px; top: 8px; width: 30px; height: 30px; border-radius: 15px; display: grid; place-items: center; background: var(--danger); color: var(--on-danger); font-size: 0.8rem; }

.captions { position: relative; z-index: 2; padding: 0 clamp(14px, 5%, 64px) 20px; }
.captions ol { display: flex; flex-direction: column; gap: 8px; height: clamp(120px, 31cqh, 248px); overflow-y: auto; padding: 44px 4px 2px; border-radius: 14px; scrollbar-width: thin; overscroll-behavior: contain; mask-image: linear-gradient(transparent 22px, #000 46px); }
.captions li { max-width: min(46em, 92%); padding: 9px 15px; border-radius: 18px; line-height: 1.42; font-size: 1.0625rem; overflow-wrap: anywhere; text-wrap: pretty; }
.captions li:first-child { margin-top: auto; }
.captions .agent { align-self: flex-start; border-bottom-left-radius: 6px; background: color-mix(in oklab, var(--surface) 90%, transparent); }
.captions .user { align-self: flex-end; border-bottom-right-radius: 6px; background: color-mix(in oklab, var(--accent) 88%, #000 4%); color: var(--on-accent); }
.captions .who { display: block; font-size: 0.75rem; font-weight: 600; opacity: 0.86; line-height: 1.3; }
.captions .user.open .text::after { content: "…"; }
.captions .cut .text { color: var(--ink-2); }
.captions .cut .text::after { content: " —"; }
.captions .tag { display: inline-block; margin-left: 8px; font-size: 0.75rem; font-weight: 600; color: var(--warn); }
.call[data-captions="off"] .captions { display: none; }

.notices { grid-area: news; display: grid; gap: 10px; }
.notices:empty { display: none; }
.notices .notice { box-shadow: none; }
.help { padding: 16px 18px; border-radius: 20px; background: var(--surface); border: 2px solid var(--danger); max-height: 46cqh; overflow-y: auto; }
.help header { display: flex; align-items: center; gap: 10px; }
.help header .quiet { display: inline-flex; align-items: center; gap: 6px; min-height: 40px; }
.help header > .icon { color: var(--danger); flex: none; }
.help h2 { flex: 1; font-size: 1.125rem; letter-spacing: -0.01em; }
.help p { margin-top: 6px; line-height: 1.45; text-wrap: pretty; }
.help-contacts { display: grid; gap: 8px; margin: 12px 0 0; padding: 0; list-style: none; }
.help-contacts li { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; justify-content: space-between; }
.help-name { flex: 1 1 14em; min-width: 0; overflow-wrap: anywhere; }
.help-name small { display: block; color: var(--ink-2); }
.help-ways { display: flex; flex-wrap: wrap; gap: 8px; }
.help-ways a { display: inline-flex; align-items: center; min-height: 44px; padding: 0 16px; border-radius: 14px; font-weight: 600; text-decoration: none; font-variant-numeric: tabular-nums; }
.help-ways a.primary { background: var(--danger); color: var(--on-danger); }
.help-ways a.quiet { background: var(--bad-soft); color: var(--ink); }
.help-note { color: var(--ink-2); font-size: 0.875rem; }
/* With no call there is nothing to control. */
.call[data-over] .dock { visibility: hidden; }
.call:has(#notices:empty) { grid-template-rows: 0 minmax(0, 1fr) auto; row-gap: 0; }
.call:has(#notices:empty) .dock { margin-top: 14px; }
.cover { position: absolute; inset: 0; z-index: 4; display: grid; place-items: center; padding: 20px; background: color-mix(in oklab, var(--bg) 42%, transparent); backdrop-filter: blur(6px); }
.cover-card { width: min(440px, 100%); padding: 28px; border-radius: 28px; background: var(--surface); box-shadow: var(--shadow); text-align: center; outline: none; }
.cover-card h2 { font-size: 1.375rem; letter-spacing: -0.015em; }
.cover-card p { margin-top: 8px; color: var(--ink-2); text-wrap: pretty; overflow-wrap: anywhere; }
.cover-actions { display: flex; flex-wrap: wrap; gap: 10px; justify-content: center; margin-top: 20px; }
.cover-actions:empty { display: none; }
.cover-mark { display: grid; place-items: center; width: 52px; height: 52px; margin: 0 auto 14px; border-radius: 26px; background: var(--accent-soft); color: var(--accent); font-weight: 650; font-variant-numeric: tabular-nums; }
.cover[data-tone="warn"] .cover-mark { background: var(--warn-soft); color: var(--warn); }
.cover[data-tone="bad"] .cover-mark { background: var(--bad-soft); color: var(--danger); }
.cover-mark .icon { width: 26px; height: 26px; }
.cover-mark.spin::after { content: ""; width: 26px; height: 26px; border-radius: 50%; border: 3px solid currentColor; border-right-color: transparent; animation: spin 0.9s linear infinite; }
@keyframes spin { to { transform: rotate(1turn); } }

.dock { grid-area: dock; display: flex; flex-wrap: wrap; gap: 10px 16px; align-items: center; justify-content: center; }
.composer { flex: 1 1 220px; max-width: 460px; display: flex; align-items: center; padding: 3px 3px 3px 18px; min-width: 0; border-radius: 27px; background: var(--surface); box-shadow: var(--shadow); border: 1px solid var(--line); }
.composer:focus-within { outline: 3px solid var(--accent); outline-offset: 1px; }
.composer input { flex: 1; min-width: 0; height: 46px; border: 0; background: none; outline: none; }
.composer input::placeholder { color: var(--ink-2); opacity: 1; }
.hold { display: inline-flex; align-items: center; justify-content: center; gap: 10px; min-height: 54px; padding: 0 22px; border-radius: 27px; background: var(--accent); color: var(--on-accent); font-weight: 620; user-select: none; touch-action: none; }
.hold kbd { background: none; color: inherit; border-color: currentColor; }
.hold[data-held] { background: var(--danger); color: var(--on-danger); }
.controls { display: flex; gap: 6px; padding: 5px; border-radius: 32px; background: var(--surface); box-shadow: var(--shadow); border: 1px solid var(--line); }
.control { display: grid; place-items: center; align-content: center; gap: 1px; min-width: 52px; height: 52px; padding: 0 8px; border-radius: 26px; }
.control span { font-size: 0.6875rem; font-weight: 560; color: var(--ink-2); line-height: 1.2; white-space: nowrap; }
@media (hover: hover) { .control:hover { background: color-mix(in oklab, var(--ink) 7%, transparent); } }
.control[data-state="off"] { background: var(--bad-soft); color: var(--danger); }
.control[data-state="off"] span { color: inherit; }
.control[data-state="on"] { background: var(--accent-soft); color: var(--accent); }
.control[data-state="on"] span { color: inherit; }
.control.danger { background: var(--danger); color: var(--on-danger); }
.control.danger span { color: inherit; }
.control.danger:hover { filter: brightness(1.08); }

dialog { border: 0; padding: 0; width: min(520px, calc(100vw - 24px)); max-height: min(760px, calc(100dvh - 24px)); border-radius: 28px; background: var(--surface); color: var(--ink); box-shadow: var(--shadow); }
dialog::backdrop { background: rgb(20 12 40 / 45%); }
dialog form { padding: 20px 24px 24px; display: grid; gap: 20px; }
dialog header { display: flex; justify-content: space-between; align-items: center; }
dialog header h2 { font-size: 1.25rem; }
dialog fieldset { display: grid; gap: 12px; min-width: 0; }
dialog legend { float: left; width: 100%; padding: 0; font-weight: 620; margin-bottom: 10px; }
dialog .row { clear: both; display: flex; gap: 16px; justify-content: space-between; align-items: center; }
dialog .row small { display: block; line-height: 1.9; }
dialog dl { clear: both; display: grid; grid-template-columns: auto 1fr; gap: 4px 18px; font-size: 0.875rem; }
dialog dt { color: var(--ink-2); }
dialog dd { overflow-wrap: anywhere; }

@container rapport (max-width: 1240px) and (min-width: 901px) {
  .call { grid-template-columns: minmax(0, 1fr) 340px; }
  .control { min-width: 46px; padding: 0 4px; }
  .control span { display: none; }
}
@container rapport (max-width: 900px) {
  .call, .call[data-side="closed"] { grid-template: auto minmax(0, 1fr) auto / minmax(0, 1fr); grid-template-areas: "news" "stage" "dock"; gap: 10px; padding-inline: 10px; padding-bottom: max(10px, env(safe-area-inset-bottom)); }
  .stage { border-radius: 26px; }
  .stage-top, .self { top: 12px; }
  .stage-top { left: 12px; flex-direction: column; align-items: flex-start; }
  .self { right: 12px; border-radius: 16px; }
  .captions { padding: 0 10px 12px; }
  .captions li { font-size: 1rem; }
  .dock { gap: 8px; }
  .composer { flex: 1 1 100%; max-width: none; }
  .hold { flex: 1 1 100%; }
  .hold kbd { display: none; }
  .controls { width: 100%; flex-wrap: wrap; justify-content: space-between; gap: 2px; }
  .control { min-width: 44px; height: 46px; padding: 0; flex: 1 1 44px; }
  .control span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .chip kbd { display: none; }
  .captions ol { height: clamp(132px, 35cqh, 280px); }
  .call .side { grid-area: stage; z-index: 6; align-self: end; max-height: 66%; margin: 0; padding: 12px; border-radius: 26px; background: var(--bg); box-shadow: 0 -8px 30px rgb(20 10 40 / 24%); }
  .call .side .card { box-shadow: none; padding: 14px 16px; }
  .call[data-side="open"] .stage { padding-bottom: calc(60cqh - 84px); }
  .call[data-side="open"] .stage-face { margin-bottom: 0; }
  .call[data-side="open"] .captions { display: none; }
  .call:has(#cover:not([hidden])) .side { display: none; }
  .call[data-side="open"]:has(#cover:not([hidden])) .stage { padding-bottom: 0; }
  .call:has(#notices:empty) .dock { margin-top: 10px; }
  .notice { flex-wrap: wrap; }
}
@container rapport (max-width: 350px) {
  .control { min-width: 32px; flex-basis: 32px; }
  .self { width: 84px; }
}
@container rapport (max-height: 620px) and (min-width: 901px) {
  .captions ol { height: 96px; }
}
`;
const CONSENT = `/* The consent view: the face on one side, what it asks for on the other. */
.consent { flex: 1; display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 560px); gap: clamp(24px, 5cqw, 88px); align-items: start; width: 100%; max-width: 1280px; margin: 0 auto; padding: clamp(4px, 1cqh, 16px) clamp(16px, 4cqw, 56px) 28px; }
.hello { position: sticky; top: 16px; height: min(calc(100cqh - 40px), 720px); border-radius: 36px; overflow: hidden; }
.hello-face { position: absolute; inset: 24px 0 0; }
.ask { padding-top: 4px; min-width: 0; }
.lead { margin-top: 10px; text-wrap: pretty; color: var(--ink-2); max-width: 34em; }
.lead strong { color: var(--ink); }
.groups { display: grid; gap: 12px; margin-top: 16px; }
.groups fieldset { min-width: 0; background: var(--surface); border-radius: 22px; box-shadow: var(--shadow); padding: 4px 0; }
.groups legend { float: left; width: 100%; padding: 10px 18px 2px; font-size: 0.8125rem; font-weight: 600; color: var(--ink-2); }
.groups label { clear: both; display: grid; grid-template-columns: auto 1fr auto; gap: 2px 14px; align-items: center; padding: 6px 18px; cursor: pointer; }
.groups label .icon { color: var(--accent); width: 1.5rem; height: 1.5rem; }
.groups label b { display: block; line-height: 1.3; }
.groups label small { display: block; line-height: 1.35; }
.groups label:hover { background: color-mix(in oklab, var(--ink) 3.5%, transparent); }
.keep { display: flex; gap: 14px; align-items: center; margin-top: 12px; padding: 10px 18px; border-radius: 22px; background: var(--surface); box-shadow: var(--shadow); cursor: pointer; }
.keep > span:nth-child(2) { flex: 1; min-width: 0; }
.keep small { display: block; line-height: 1.35; }
.facts a { color: inherit; }
.preview { margin-top: 12px; scroll-margin-bottom: 96px; border-radius: 22px; background: var(--surface); box-shadow: var(--shadow); }
.preview summary { display: flex; gap: 14px; align-items: center; min-height: 52px; padding: 0 18px; border-radius: 22px; cursor: pointer; font-weight: 560; list-style: none; }
.preview summary::-webkit-details-marker { display: none; }
.preview summary::after { content: ""; margin-left: auto; width: 9px; height: 9px; border: solid var(--ink-2); border-width: 0 2px 2px 0; transform: rotate(45deg) translate(-3px, -3px); }
.preview[open] summary::after { transform: rotate(225deg) translate(-3px, -3px); }
.preview-body { display: grid; grid-template-columns: 200px 1fr; gap: 18px; padding: 4px 18px 18px; }
.preview-video { position: relative; aspect-ratio: 4 / 3; border-radius: 16px; overflow: hidden; background: var(--soft); display: grid; place-items: center; align-self: start; color: var(--ink-2); font-size: 0.875rem; }
.preview-video video { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; transform: scaleX(-1); }
.preview-side { display: grid; gap: 12px; align-content: start; min-width: 0; font-size: 0.875rem; color: var(--ink-2); }
.meter-line { display: grid; gap: 6px; }
.go { position: sticky; bottom: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: 10px 12px; align-items: center; margin: 6px -12px 0; padding: 14px 12px max(14px, env(safe-area-inset-bottom)); background: linear-gradient(transparent, var(--bg) 14px); }
.facts { display: grid; gap: 10px; margin-top: 8px; font-size: 0.875rem; color: var(--ink-2); }
.facts li { display: grid; grid-template-columns: auto 1fr; gap: 12px; line-height: 1.42; }
.facts b { color: var(--ink); overflow-wrap: anywhere; }

@container rapport (max-width: 900px) {
  .consent { grid-template-columns: minmax(0, 1fr); gap: 18px; max-width: 640px; padding-bottom: 0; }
  .hello { position: relative; top: 0; border-radius: 28px; height: clamp(150px, 26cqh, 260px); }
  .hello-face { inset: 8px 0 0; }
  .go { margin-inline: calc(-1 * clamp(16px, 4cqw, 56px)); padding-inline: clamp(16px, 4cqw, 56px); }
  .go .primary { flex: 1; padding: 0 16px; }
  .facts { padding-bottom: 24px; }
  .groups label { padding: 10px 16px; gap: 2px 12px; }
}
@container rapport (max-width: 520px) {
  .preview-body { grid-template-columns: 1fr; }
}
`;
const PANEL = `/* The side: senses, reasons, timing. */
.side { grid-area: side; min-height: 0; overflow-y: auto; display: flex; flex-direction: column; gap: 14px; padding: 0 4px 8px; margin: 0 -4px; scrollbar-width: thin; }
.side .card { flex: none; }
.senses { display: grid; }
.sense { display: grid; grid-template-columns: 24px minmax(0, 1fr) auto; gap: 0 12px; padding: 8px 0; border-top: 1px solid var(--line); }
.sense:first-child { border-top: 0; padding-top: 2px; }
.sense:last-child { padding-bottom: 0; }
.sense > .icon { color: var(--accent); width: 22px; height: 22px; margin-top: 1px; }
.sense-name { font-size: 0.8125rem; color: var(--ink-2); line-height: 1.35; }
.sense-value { font-size: 1rem; font-weight: 600; line-height: 1.35; overflow-wrap: anywhere; }
.sense-value .soft { font-weight: 450; font-size: 0.8125rem; color: var(--ink-2); }
.sense[data-state="unsure"] .sense-value, .sense[data-state="waiting"] .sense-value, .sense[data-state="off"] .sense-value { color: var(--ink-2); font-weight: 500; }
.sense[data-state="lost"] .sense-value { color: var(--warn); }
.sense[data-state="lost"] > .icon { color: var(--warn); }
.sense[data-state="off"] > .icon, .sense[data-state="unsure"] > .icon, .sense[data-state="waiting"] > .icon { color: var(--edge); }
.sense input { align-self: start; margin-top: 2px; }
.sense-more { grid-column: 2 / -1; display: grid; grid-template-columns: minmax(0, 1fr) 44px; gap: 10px; align-items: center; margin-top: 6px; }
.bar { height: 8px; border-radius: 4px; background: var(--soft); overflow: hidden; }
.bar i { display: block; height: 100%; border-radius: 4px; background: var(--accent); transform: scaleX(var(--part, 0)); transform-origin: left; transition: transform 0.25s; }
.sense[data-state="unsure"] .bar i { background: repeating-linear-gradient(115deg, var(--edge) 0 4px, transparent 4px 8px); }
.percent { font-size: 0.8125rem; color: var(--ink-2); text-align: right; font-variant-numeric: tabular-nums; }
.spark { grid-column: 1 / -1; width: 100%; height: 34px; display: block; }
.spark rect { fill: var(--edge); }
.spark .positive { fill: #e0982f; }
.spark .negative { fill: #6a7fd0; }
.spark .neutral { fill: color-mix(in oklab, var(--edge) 60%, transparent); }
.spark .unsure { fill: none; stroke: var(--edge); stroke-width: 1; }
[data-theme="dark"] .spark .positive { fill: #f4bd62; }
[data-theme="dark"] .spark .negative { fill: #93a7f5; }
.sense[data-state="off"] .sense-more, .sense[data-state="lost"] .sense-more, .sense[data-state="waiting"] .sense-more, .sense-more:empty { display: none; }

.why .line { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
.badge { display: inline-flex; align-items: center; min-height: 26px; padding: 0 10px; border-radius: 13px; font-size: 0.8125rem; font-weight: 600; background: var(--soft); color: var(--ink); }
.badge.action { background: var(--accent); color: var(--on-accent); }
.badge.emotion::before { content: ""; width: 10px; height: 10px; margin-right: 6px; border-radius: 50%; background: var(--dot, var(--edge)); }
.reason { margin-top: 10px; font-size: 1.0625rem; line-height: 1.4; text-wrap: pretty; }
.spoken { margin-top: 14px; padding-top: 12px; border-top: 1px solid var(--line); }
.spoken h3 { margin-bottom: 8px; font-size: 0.8125rem; font-weight: 500; color: var(--ink-2); }
.spoken .reason { font-size: 0.9375rem; }
.evidence { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 10px; }
.evidence li { display: inline-flex; gap: 6px; align-items: baseline; max-width: 100%; padding: 3px 10px; border-radius: 13px; border: 1px solid var(--line); font-size: 0.8125rem; color: var(--ink-2); }
.evidence b { color: var(--ink); font-weight: 560; overflow-wrap: anywhere; }
.earlier { margin-top: 12px; border-top: 1px solid var(--line); padding-top: 8px; font-size: 0.875rem; }
.earlier summary { cursor: pointer; color: var(--ink-2); min-height: 28px; border-radius: 8px; }
.earlier li { padding: 4px 0; color: var(--ink-2); }
.earlier b { color: var(--ink); }
.thought p { padding: 4px 0; color: var(--ink-2); overflow-wrap: anywhere; }
.empty { color: var(--ink-2); font-size: 0.9375rem; }

.total { display: flex; align-items: baseline; gap: 8px; }
.total b { font-size: 1.75rem; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; line-height: 1.1; }
.stages { display: flex; gap: 2px; height: 12px; margin: 10px 0 8px; border-radius: 6px; overflow: hidden; background: var(--soft); }
.stages i { display: block; flex: var(--share, 0) 0 0; min-width: 0; }
.key { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 4px 18px; font-size: 0.8125rem; }
.key div { display: flex; align-items: center; gap: 7px; }
.key dt { color: var(--ink-2); }
.key dd { margin-left: auto; font-variant-numeric: tabular-nums; font-weight: 560; }
.key div::before { content: ""; width: 9px; height: 9px; border-radius: 3px; background: var(--dot, transparent); box-shadow: inset 0 0 0 1px var(--ring, transparent); }
[data-stage="end_of_turn"] { --dot: #8f7bea; background: #8f7bea; }
[data-stage="words"] { --dot: #5b8def; background: #5b8def; }
[data-stage="decision"] { --dot: #e6935a; background: #e6935a; }
[data-stage="voice"] { --dot: #3fa793; background: #3fa793; }
[data-stage="rest"] { --dot: #b3abc2; background: #b3abc2; }
.key [data-stage] { background: none; }
`;

const FAMILY = "Rapport Figtree";
const FILES = [
  ["figtree.woff2", "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122, U+2191, U+2193, U+2212, U+2215"],
  ["figtree-ext.woff2", "U+0100-02BA, U+1E00-1E9F, U+1EF2-1EFF, U+20A0-20AB, U+20AD-20C0"],
];

let made = null;
let asked = false;

/** The style sheets, one object each for all elements of a page. */
function styles() {
  made ??= [BASE, AVATAR, CONSENT, CALL, PANEL].map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  return made;
}

/**
 * Get the letters from the server, once a page; without them the system's are used. They are fetched like everything
 * else, so the page's policy needs no word about fonts, and not at all where `--rapport-font` names others.
 */
function useFont(ui) {
  if (asked || getComputedStyle(ui.host).getPropertyValue("--rapport-font")) return;
  asked = true;
  for (const [file, unicodeRange] of FILES) {
    fetch(ui.url(file), { signal: ui.signal })
      .then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(answer.statusText))))
      .then((bytes) => new FontFace(FAMILY, bytes, { weight: "300 900", unicodeRange }).load())
      .then((face) => document.fonts.add(face))
      .catch(() => {});
  }
}
return { styles, useFont };
})();

// ui.js
const _ui = (() => {
// What the parts of one element share: its shadow tree, where its server is, and an end that stops what they started.

const { grow } = _dom;
const { fillIcons } = _icons;
const TREE = [["div", {"class": "app", "id": "app", "data-view": "consent", "data-theme": "light", "lang": "en", "tabindex": "-1", "part": "app"}, [["section", {"id": "consent", "class": "consent", "part": "consent", "aria-labelledby": "consent-title"}, [["div", {"class": "hello", "part": "stage"}, [["div", {"class": "hello-face", "id": "hello-face", "part": "face"}, []]]], ["form", {"id": "consent-form", "class": "ask", "novalidate": ""}, [["h1", {"id": "consent-title", "part": "title"}, [["slot", {"name": "title"}, ["Before we talk"]]]], ["p", {"class": "lead"}, ["You are about to talk with ", ["strong", {}, ["an AI, not a person"]], ". It answers with a voice and a face, and it fits its answers to what it notices about you. What may it notice?"]], ["slot", {"name": "intro"}, []], ["div", {"class": "groups", "id": "sense-switches"}, []], ["label", {"class": "keep", "id": "keep-words-row", "for": "keep-words", "hidden": ""}, [["span", {"data-icon": "words"}, []], ["span", {}, [["b", {}, ["Keep a written record of what I say"]], ["small", {}, ["On the server, as text. You can stop it in the call; what was kept until then is erased."]]]], ["input", {"type": "checkbox", "role": "switch", "id": "keep-words"}, []]]], ["details", {"class": "preview", "id": "preview"}, [["summary", {}, [["span", {"data-icon": "camera"}, []], ["span", {}, ["Check camera and microphone first"]]]], ["div", {"class": "preview-body"}, [["div", {"class": "preview-video"}, [["video", {"id": "preview-video", "playsinline": "", "muted": "", "aria-label": "Your camera"}, []], ["p", {"id": "preview-none"}, ["No picture yet"]]]], ["div", {"class": "preview-side"}, [["p", {"class": "meter-line"}, [["span", {"id": "mic-label"}, ["Microphone level"]], ["span", {"class": "level", "id": "preview-meter", "role": "meter", "aria-labelledby": "mic-label", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0"}, [["i", {}, []]]]]], ["label", {"class": "field"}, [["span", {}, ["Microphone"]], ["select", {"data-devices": "mics"}, []]]], ["label", {"class": "field"}, [["span", {}, ["Camera"]], ["select", {"data-devices": "cameras"}, []]]]]]]]]], ["div", {"id": "consent-notices", "class": "notices-inline"}, []], ["div", {"class": "go"}, [["button", {"type": "submit", "class": "primary", "id": "start", "part": "button start"}, ["Allow these and start"]], ["button", {"type": "button", "class": "quiet", "id": "start-typing", "part": "button start-typing"}, ["Only type"]]]], ["ul", {"class": "facts"}, [["li", {"id": "fact-here"}, [["span", {"data-icon": "home"}, []], ["span", {}, ["Everything is computed on ", ["b", {"id": "fact-host"}, []], ["span", {"id": "fact-bar"}, [", the machine in your address bar"]], ". Nothing goes anywhere else."]]]], ["li", {"id": "fact-elsewhere", "hidden": ""}, [["span", {"data-icon": "warn"}, []], ["span", {}, ["What you say, and the sound and the pictures that you allow, are also sent to ", ["b", {"id": "fact-other"}, []], ", which thinks for the agent."]]]], ["li", {"id": "fact-no-affect", "hidden": ""}, [["span", {"data-icon": "shield"}, []], ["span", {}, ["This place does not read feelings from faces or voices."]]]], ["li", {}, [["span", {"data-icon": "shield"}, []], ["span", {}, ["No sound and no picture is recorded. You can refuse any sense again during the call."]]]], ["li", {}, [["span", {"data-icon": "warn"}, []], ["span", {}, ["It guesses, and it can be wrong; it says when it is unsure. It is no doctor. In an emergency call your local emergency number."]]]], ["li", {"id": "fact-notice", "hidden": ""}, [["span", {"data-icon": "words"}, []], ["span", {}, [["a", {"id": "notice-link", "target": "_blank", "rel": "noopener noreferrer"}, ["Privacy notice"]], " of whoever runs this."]]]]]], ["slot", {"name": "terms"}, []]]]]], ["section", {"id": "call", "class": "call", "part": "call", "aria-label": "Call", "hidden": ""}, [["div", {"class": "notices", "id": "notices"}, []], ["div", {"class": "stage", "id": "stage", "part": "stage"}, [["div", {"class": "stage-top"}, [["p", {"class": "mood", "id": "mood", "part": "mood"}, [["span", {"class": "mood-dot", "aria-hidden": "true"}, []], ["span", {"id": "mood-text"}, ["Connecting"]]]], ["button", {"type": "button", "class": "chip", "id": "keeping", "hidden": "", "title": "Your words are kept in writing. Press to stop it and to erase them."}, [["span", {"data-icon": "words"}, []], "Words are kept"]], ["button", {"type": "button", "class": "chip", "id": "stop", "hidden": ""}, [["span", {"data-icon": "stop"}, []], "Stop ", ["kbd", {}, ["Esc"]]]]]], ["div", {"class": "stage-face", "id": "stage-face", "part": "face"}, []], ["div", {"class": "self", "id": "self", "part": "self"}, [["video", {"id": "self-video", "playsinline": "", "muted": "", "aria-label": "Your own picture, mirrored"}, []], ["p", {"class": "self-none", "id": "self-none"}, [["span", {"data-icon": "camera-off"}, []], ["span", {}, ["Camera off"]]]], ["span", {"class": "level small", "id": "self-meter", "aria-hidden": "true"}, [["i", {}, []]]], ["span", {"class": "self-muted", "id": "self-muted", "hidden": ""}, [["span", {"data-icon": "mic-off"}, []]]]]], ["div", {"class": "captions", "id": "captions-box", "part": "captions"}, [["ol", {"id": "captions", "tabindex": "0", "aria-label": "Captions of both sides"}, []]]], ["div", {"class": "cover", "id": "cover", "hidden": ""}, [["div", {"class": "cover-card", "part": "cover", "role": "group", "aria-labelledby": "cover-title", "aria-describedby": "cover-text", "tabindex": "-1", "id": "cover-card"}, [["span", {"class": "cover-mark", "id": "cover-mark", "aria-hidden": "true"}, []], ["h2", {"id": "cover-title"}, []], ["p", {"id": "cover-text"}, []], ["div", {"class": "cover-actions", "id": "cover-actions"}, []], ["slot", {"name": "ended"}, []]]]]]]], ["div", {"class": "dock", "id": "dock", "part": "dock"}, [["form", {"class": "composer", "id": "composer", "part": "composer", "autocomplete": "off"}, [["label", {"class": "hidden", "for": "words"}, ["Type to the agent"]], ["input", {"id": "words", "type": "text", "maxlength": "2000", "placeholder": "Type instead of talking", "enterkeyhint": "send"}, []], ["button", {"type": "submit", "class": "round quiet", "aria-label": "Send", "id": "send"}, [["span", {"data-icon": "send"}, []]]]]], ["button", {"type": "button", "class": "hold", "id": "hold", "hidden": ""}, [["span", {"data-icon": "mic"}, []], ["span", {"id": "hold-text"}, ["Hold to talk"]], " ", ["kbd", {}, ["Space"]]]], ["div", {"class": "controls", "part": "controls", "role": "toolbar", "aria-label": "Call controls"}, [["button", {"type": "button", "class": "control", "part": "button", "id": "mic", "aria-pressed": "true", "data-icon": "mic"}, [["span", {}, ["Mic"]]]], ["button", {"type": "button", "class": "control", "part": "button", "id": "camera", "aria-pressed": "true", "data-icon": "camera"}, [["span", {}, ["Camera"]]]], ["button", {"type": "button", "class": "control", "part": "button", "id": "ptt", "aria-pressed": "false", "data-icon": "hand"}, [["span", {}, ["Push to talk"]]]], ["button", {"type": "button", "class": "control", "part": "button", "id": "cc", "aria-pressed": "true", "data-icon": "captions"}, [["span", {}, ["Captions"]]]], ["button", {"type": "button", "class": "control", "part": "button", "id": "insight", "aria-expanded": "true", "aria-controls": "side", "data-icon": "spark"}, [["span", {}, ["Insight"]]]], ["button", {"type": "button", "class": "control", "part": "button", "id": "settings-open", "aria-haspopup": "dialog", "data-icon": "settings"}, [["span", {}, ["Settings"]]]], ["button", {"type": "button", "class": "control danger", "part": "button hangup", "id": "hangup", "data-icon": "hangup"}, [["span", {}, ["Hang up"]]]], ["slot", {"name": "controls"}, []]]]]], ["aside", {"class": "side", "id": "side", "part": "side", "aria-label": "What the agent perceives and why it acts"}, [["section", {"class": "card", "part": "card", "aria-labelledby": "perceive-title"}, [["header", {}, [["h2", {"id": "perceive-title"}, ["What I perceive"]], ["p", {"class": "hint", "id": "perceive-hint"}, ["Guesses, not facts"]]]], ["ul", {"class": "senses", "id": "senses"}, []]]], ["section", {"class": "card why", "part": "card", "aria-labelledby": "why-title"}, [["header", {}, [["h2", {"id": "why-title"}, ["Why"]], ["p", {"class": "hint", "id": "why-when"}, []]]], ["div", {"id": "why"}, []]]], ["section", {"class": "card", "part": "card", "aria-labelledby": "timing-title"}, [["header", {}, [["h2", {"id": "timing-title"}, ["How fast"]], ["p", {"class": "hint", "id": "timing-hint"}, ["Last reply"]]]], ["div", {"id": "timing"}, []]]], ["slot", {"name": "side"}, []]]]]], ["dialog", {"id": "settings", "part": "settings", "aria-labelledby": "settings-title"}, [["form", {"method": "dialog"}, [["header", {}, [["h2", {"id": "settings-title"}, ["Settings"]], ["button", {"class": "round quiet", "aria-label": "Close settings", "value": "close"}, [["span", {"data-icon": "close"}, []]]]]], ["fieldset", {}, [["legend", {}, ["Devices"]], ["label", {"class": "field"}, [["span", {}, ["Microphone"]], ["select", {"data-devices": "mics"}, []]]], ["label", {"class": "field"}, [["span", {}, ["Camera"]], ["select", {"data-devices": "cameras"}, []]]], ["label", {"class": "field", "id": "speaker-field"}, [["span", {}, ["Speaker"]], ["select", {"data-devices": "speakers"}, []]]]]], ["fieldset", {}, [["legend", {}, ["Reading and typing"]], ["label", {"class": "row"}, [["span", {}, ["Read the agent’s captions to my screen reader", ["small", {}, ["Off by default, since it also speaks."]]]], ["input", {"type": "checkbox", "role": "switch", "id": "announce"}, []]]], ["label", {"class": "row"}, [["span", {}, ["Keyboard shortcuts", ["small", {}, [["kbd", {}, ["M"]], " mute · ", ["kbd", {}, ["V"]], " camera · ", ["kbd", {}, ["P"]], " push to talk · ", ["kbd", {}, ["C"]], " captions · ", ["kbd", {}, ["I"]], " insight · ", ["kbd", {}, ["T"]], " type · ", ["kbd", {}, ["Space"]], " hold to talk · ", ["kbd", {}, ["Esc"]], " stop the agent"]]]], ["input", {"type": "checkbox", "role": "switch", "id": "shortcuts", "checked": ""}, []]]]]], ["fieldset", {}, [["legend", {}, ["About this agent"]], ["dl", {"id": "about"}, []]]]]]]], ["audio", {"id": "agent-audio", "autoplay": ""}, []], ["div", {"class": "hidden", "id": "announcer", "role": "status", "aria-live": "polite"}, []], ["div", {"class": "hidden", "id": "alarm", "role": "alert"}, []]]]];

const NARROW_PX = 900;
const CLEARED_MS = 4000;

class Ui {
  /**
   * @param {HTMLElement} host the element
   * @param {ShadowRoot} root its shadow tree, which is filled here
   * @param {{server: () => string, token: () => string | undefined}} place
   */
  constructor(host, root, place) {
    this.host = host;
    this.root = root;
    this.place = place;
    this.ending = new AbortController();
    root.replaceChildren(...TREE.map(grow));
    fillIcons(root);
    this.$ = (id) => root.getElementById(id);
    this.app = this.$("app");
  }

  /** Aborted when the element goes away. */
  get signal() {
    return this.ending.signal;
  }

  /** "consent" or "call". */
  get showing() {
    return this.app.dataset.view;
  }

  set showing(name) {
    this.app.dataset.view = name;
  }

  /** Whether there is no room for the side beside the stage. */
  get narrow() {
    return this.app.clientWidth > 0 && this.app.clientWidth <= NARROW_PX;
  }

  /** The address of something on the server; throws a TypeError where `server` is no address. */
  url(path) {
    return new URL(path, this.place.server());
  }

  token() {
    return this.place.token();
  }

  /** Name and port of the server. */
  get server() {
    return this.url("").host || "this machine";
  }

  /** Whether the person sees the server's address in the address bar. */
  get home() {
    return this.url("").origin === location.origin;
  }

  /** What this element's call is remembered under in this tab: there may be others, and other servers. */
  get key() {
    return `${this.url("").href}#${this.host.id}`;
  }

  every(ms, act) {
    const timer = setInterval(act, ms);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** Tell a screen reader, politely; what came before is not repeated. */
  announce(words) {
    const region = this.$("announcer");
    clearTimeout(this.clearing);
    region.textContent = words;
    this.clearing = setTimeout(() => (region.textContent = ""), CLEARED_MS);
  }

  /** Interrupt a screen reader: for what the person has to act on. */
  alarm(words) {
    const region = this.$("alarm");
    region.textContent = "";
    setTimeout(() => (region.textContent = words), 30);
  }

  /** Tell the page around the element. */
  tell(type, detail) {
    this.host.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
return { Ui };
})();

// element.js
const _element = (() => {
// <rapport-call>: a call with the agent as an element of any page. docs/embedding.md has its attributes, events, slots,
// parts and colours; rapport-call.d.ts its types.

const { Call } = _call;
const { ALL } = _senses;
const { styles, useFont } = _look;
const { Ui } = _ui;

// A page that is rendered without a browser may import this; the element then does nothing.
const Base = globalThis.HTMLElement ?? class {};
const THEMES = ["auto", "light", "dark"];
const KEYS = ["focus", "page", "off"];

/** The server that this file came from, which has it as embed/rapport-call.js; null where a bundler put it elsewhere. */
const HOME = (() => {
  const found = String(import.meta.url);
  return /^https?:/.test(found) ? new URL("../", found).href : null;
})();

const PROPERTIES = ["server", "token", "senses", "theme", "keys", "muted", "autostart"];

const address = (text) => {
  try {
    return new URL(text, document.baseURI);
  } catch {
    return null;
  }
};

class RapportCall extends Base {
  static observedAttributes = ["server", "senses", "theme", "muted"];

  #call = null;
  #ui = null;
  #token;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = styles();
  }

  connectedCallback() {
    // Moved within the page: it goes on as it was.
    if (this.#call) return;
    this.#adopt();
    const server = this.server;
    const ui = new Ui(this, this.shadowRoot, { server: () => server, token: () => this.token });
    this.#ui = ui;
    this.#theme();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#theme(), { signal: ui.signal });
    useFont(ui);
    this.#call = new Call(ui);
    // Later: whoever put the element there or loaded this file has listeners by then.
    setTimeout(() => {
      if (this.#ui !== ui) return;
      this.#check();
      this.#call.begin();
    });
  }

  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.#end());
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.#call) return;
    if (name === "theme") this.#theme();
    if (name === "muted") this.#call.person.set({ micOn: !this.muted });
    if (name === "senses") this.#call.privacy.offer();
    if (name === "server") {
      this.#end();
      if (this.isConnected) this.connectedCallback();
    }
    this.#check();
  }

  /** Address of the server: an absolute URL, or one relative to the page. By default the server that this file is from. */
  get server() {
    const url = address(this.getAttribute("server") ?? HOME ?? "./") ?? new URL(HOME ?? "./", document.baseURI);
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    return url.href;
  }

  set server(url) {
    this.#put("server", url);
  }

  /** The join token, where the server wants one. As a property it does not show in the page's source. */
  get token() {
    return this.#token ?? this.getAttribute("token") ?? undefined;
  }

  set token(text) {
    this.#token = text ?? undefined;
  }

  /** Ids of the senses that are offered, or null for all: words voice expression gaze gesture scene. */
  get senses() {
    const given = this.getAttribute("senses");
    return given === null ? null : given.split(/[\s,]+/).filter((id) => ALL.includes(id));
  }

  set senses(ids) {
    this.#put("senses", ids === null || ids === undefined ? null : [...ids].join(" "));
  }

  /** "light", "dark", or "auto" for the system's. */
  get theme() {
    const given = this.getAttribute("theme");
    return THEMES.includes(given) ? given : "auto";
  }

  set theme(name) {
    this.#put("theme", name);
  }

  /** Whether the person's microphone is muted; follows the button in the call. */
  get muted() {
    return this.hasAttribute("muted");
  }

  set muted(on) {
    this.toggleAttribute("muted", Boolean(on));
  }

  /** Whether the call begins by itself, with exactly the senses named in `senses`: the page has asked for them. */
  get autostart() {
    return this.hasAttribute("autostart") && this.getAttribute("autostart") !== "false";
  }

  set autostart(on) {
    this.toggleAttribute("autostart", Boolean(on));
  }

  /** Where keyboard shortcuts work: "focus" (inside the element), "page" or "off". */
  get keys() {
    const given = this.getAttribute("keys");
    return KEYS.includes(given) ? given : "focus";
  }

  set keys(name) {
    this.#put("keys", name);
  }

  /** State of the link; see docs/embedding.md. */
  get state() {
    return this.#call?.recorder.record.state ?? "idle";
  }

  /** What the agent does: connecting, listening, thinking, speaking, lost, ended. */
  get mood() {
    return this.#call?.mood ?? "ended";
  }

  /** The server's name of the call, or null. */
  get call() {
    return this.#call?.callId ?? null;
  }

  /** What happened here, for tests and for the curious; described in src/call.js. */
  get record() {
    return this.#call?.recorder.record ?? null;
  }

  /**
   * Begin a call, best from a click. What the person has allowed is said by `senses`; without them the element asks.
   *
   * @param {Iterable<string>} [senses] ids; an empty one is a call in which the person types
   * @throws {TypeError} a sense is not known
   * @throws {DOMException} InvalidStateError: the element is in no page, or the browser cannot make calls
   */
  async start(senses) {
    const call = this.#running();
    if (senses === undefined) {
      if (!call.link) call.view("consent");
      return;
    }
    const ids = [...senses];
    const unknown = ids.find((id) => !ALL.includes(id));
    if (unknown !== undefined) throw new TypeError(`${JSON.stringify(unknown)} is no sense; there are ${ALL.join(", ")}`);
    await call.start(new Set(ids.filter((id) => call.privacy.possible.includes(id))));
  }

  /** End the call. */
  hangUp() {
    if (this.#call?.link) this.#call.hangUp();
  }

  /** Send words as if the person had typed them; whether they went out. */
  say(words) {
    return Boolean(this.#call?.acts.say(String(words)));
  }

  /** Let the agent stop talking. */
  stop() {
    this.#call?.acts.stop();
  }

  #running() {
    if (!this.#call) throw new DOMException("the element is in no page", "InvalidStateError");
    if (!this.#call.possible) throw new DOMException("this browser cannot make calls", "InvalidStateError");
    return this.#call;
  }

  /** Take over what was set on the element before this file was there to hear of it. */
  #adopt() {
    for (const name of PROPERTIES) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
  }

  #end() {
    this.#call?.dispose();
    this.#call = this.#ui = null;
  }

  #put(name, value) {
    if (value === null || value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  #theme() {
    const dark = this.theme === "dark" || (this.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    this.#ui.app.dataset.theme = dark ? "dark" : "light";
  }

  /** Say which attributes cannot be used. */
  #check() {
    const wrong = (name, words) => this.#call.telling.fail("attribute", { title: name, detail: words, fatal: false });
    const given = (name) => this.getAttribute(name);
    const server = given("server");
    if (server !== null && !address(server)) wrong("server", `${server} is no address; ${this.server} is used`);
    const unknown = given("senses")?.split(/[\s,]+/).filter((id) => id && !ALL.includes(id)) ?? [];
    if (unknown.length) wrong("senses", `${unknown.join(", ")}: no such sense; there are ${ALL.join(", ")}`);
    if (given("theme") !== null && !THEMES.includes(given("theme"))) wrong("theme", `${given("theme")} is none of ${THEMES.join(", ")}`);
    if (given("keys") !== null && !KEYS.includes(given("keys"))) wrong("keys", `${given("keys")} is none of ${KEYS.join(", ")}`);
  }
}

/** The senses there are, by id. */
const SENSES = ALL;

if (globalThis.customElements && !customElements.get("rapport-call")) customElements.define("rapport-call", RapportCall);
return { RapportCall, SENSES };
})();

export const { RapportCall, SENSES } = _element;
