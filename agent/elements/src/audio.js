// Sound in the page: plays the agent's stream, measures it for the mouth and for tests, and meters the microphone.

/**
 * Plays and measures the agent's sound.
 *
 * Chromium only feeds a remote WebRTC stream into WebAudio while a media element plays it too, so the element makes
 * the sound (and can choose the speaker) and the analyser only watches.
 */
export class AgentSound {
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

  close() {
    this.detach();
    this.context?.close();
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

  /** Mute or unmute the voice for the person; the mouth goes on. */
  set muted(on) {
    this.element.muted = on;
  }

  get muted() {
    return this.element.muted;
  }

  /** Loudness, 0..1. Returns whether the browser takes it: some leave it to the keys of the device. */
  setVolume(part) {
    this.element.volume = part;
    return Math.abs(this.element.volume - part) < 0.01;
  }

  async setSpeaker(deviceId) {
    if (this.element.setSinkId) await this.element.setSinkId(deviceId);
  }
}

/** The loudness of a local microphone stream, 0..1, for the meter. */
export class MicMeter {
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
