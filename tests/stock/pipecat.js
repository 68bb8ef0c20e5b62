// A page of a developer who knows Pipecat and nothing of Rapport: the stock client, and what it tells kept for a test.

import { PipecatClient } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { NativeMediaManager } from "./media.js";

const seen = { states: [], ready: null, words: [], said: [], messages: [], errors: [], peak: 0, heardAfter: 0 };
let client = null;

function listen(track) {
  const context = new AudioContext();
  const meter = context.createAnalyser();
  meter.fftSize = 2048;
  const source = context.createMediaStreamSource(new MediaStream([track]));
  // Chromium decodes a remote track only for an element that plays it.
  const player = new Audio();
  player.muted = true;
  player.srcObject = source.mediaStream;
  player.play();
  source.connect(meter);
  const samples = new Float32Array(meter.fftSize);
  setInterval(() => {
    meter.getFloatTimeDomainData(samples);
    seen.peak = Math.max(seen.peak, ...samples.map(Math.abs));
  }, 40);
}

const callbacks = {
  onTransportStateChanged: (state) => seen.states.push(state),
  onBotReady: (data) => {
    seen.ready = data;
  },
  onUserTranscript: (data) => seen.words.push(data),
  onBotOutput: (data) => seen.said.push(data),
  onServerMessage: (data) => seen.messages.push(data),
  onError: (message) => seen.errors.push(message),
  onMessageError: (message) => seen.errors.push(message),
  onTrackStarted: (track, participant) => {
    if (!participant?.local && track.kind === "audio") listen(track);
  },
};

window.stock = {
  seen,
  connect(endpoint) {
    const transport = new SmallWebRTCTransport({ mediaManager: new NativeMediaManager() });
    client = new PipecatClient({ transport, enableMic: true, enableCam: true, callbacks });
    return client.connect({ webrtcRequestParams: { endpoint } });
  },
  ask: (t, d) => client.sendClientRequest(t, d),
  write: (text) => client.sendText(text),
  leave: () => client.disconnect(),
};
