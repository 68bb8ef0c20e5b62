// What happened in this page, bounded, for tests and for the curious: `record` of the element.

const KEPT = 2000;
const AUDIO_KEPT = 3000;

function push(list, item, kept = KEPT) {
  list.push(item);
  if (list.length > kept) list.splice(0, list.length - kept);
}

export class Recorder {
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
      get state() {
        const { cover } = call.stage;
        if (cover === "busy") return cover; // the link was refused, and another will be tried
        return call.link?.state ?? (cover === "ended" ? "closed" : (cover ?? "idle"));
      },
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
        return { level, peak, heardMs, firstHeardAt, lastHeardAt, playing: Boolean(analyser) && !element.paused, muted: element.muted, volume: element.volume };
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
