// A media manager for Pipecat's transport made of what every browser has: the transport's own one loads code from a
// host of others before a call can begin. It is passed in by the public option `mediaManager`.

const NONE = {};

export class NativeMediaManager {
  constructor({ audio = true, video = { width: 320, height: 240, frameRate: 10 } } = {}) {
    this.wanted = { audio, video };
    this.stream = null;
    this.lent = [];
    this.callbacks = {};
    this.mic = true;
    this.cam = false;
    this.supportsScreenShare = false;
  }

  setClientOptions({ callbacks = {}, enableMic = true, enableCam = false }) {
    this.callbacks = callbacks;
    this.mic = enableMic;
    this.cam = enableCam;
  }

  async initialize() {
    const { audio, video } = this.wanted;
    this.stream = await navigator.mediaDevices.getUserMedia(this.cam ? { audio, video } : { audio });
    const me = { id: "local", name: "", local: true };
    for (const track of this.stream.getTracks()) this.callbacks.onTrackStarted?.(track, me);
    this.apply();
  }

  apply() {
    this.lent = this.lent.filter((track) => track.readyState === "live");
    for (const track of [...(this.stream?.getTracks() ?? []), ...this.lent])
      track.enabled = track.kind === "audio" ? this.mic : this.cam;
  }

  // The transport stops what it was given when it leaves a connection for a new one, so it gets a copy each time.
  lend(track) {
    const copy = track.clone();
    this.lent.push(copy);
    this.apply();
    return copy;
  }

  async connect() {
    if (!this.stream) await this.initialize();
  }

  async disconnect() {
    for (const track of [...(this.stream?.getTracks() ?? []), ...this.lent]) track.stop();
    this.stream = null;
    this.lent = [];
  }

  enableMic(enabled) {
    this.mic = enabled;
    this.apply();
  }

  enableCam(enabled) {
    this.cam = enabled;
    this.apply();
  }

  tracks() {
    const [audio] = this.stream?.getAudioTracks() ?? [];
    const [video] = this.stream?.getVideoTracks() ?? [];
    return { local: { ...(audio && { audio: this.lend(audio) }), ...(video && { video: this.lend(video) }) } };
  }

  get isMicEnabled() {
    return this.mic;
  }

  get isCamEnabled() {
    return this.cam;
  }

  get isSharingScreen() {
    return false;
  }

  // Choice of devices and sound that comes otherwise than by a track: not needed here.
  getAllMics() {
    return Promise.resolve([]);
  }
  getAllCams() {
    return Promise.resolve([]);
  }
  getAllSpeakers() {
    return Promise.resolve([]);
  }
  get selectedMic() {
    return NONE;
  }
  get selectedCam() {
    return NONE;
  }
  get selectedSpeaker() {
    return NONE;
  }
  setUserAudioCallback() {}
  updateMic() {}
  updateCam() {}
  updateSpeaker() {}
  enableScreenShare() {}
  bufferBotAudio() {}
  async userStartedSpeaking() {}
}
