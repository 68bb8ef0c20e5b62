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
export function obstacle() {
  if (typeof RTCPeerConnection === "undefined" || typeof RTCPeerConnection.prototype.addTransceiver !== "function") return "webrtc";
  return null;
}

/** Whether devices can be asked for; browsers hide them from pages that are neither https nor on this machine. */
export const canCapture = () => window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

const constraintsFor = (kind, id) => ({ ...(kind === "mic" ? MIC : CAMERA), ...(id ? { deviceId: { exact: id } } : {}) });

function codeOf(error) {
  return { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "busy", AbortError: "busy" }[error.name] ?? "failed";
}

const asked = (kind) => navigator.permissions.query({ name: kind === "mic" ? "microphone" : "camera" });

/** `granted`, `denied`, `prompt`, or `unknown` where the browser does not say. */
export async function permission(kind) {
  try {
    return (await asked(kind)).state;
  } catch {
    return "unknown";
  }
}

/** Call `changed(kind, state)` when the person gives or takes back a permission, until `signal`. */
export function onPermission(changed, signal) {
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
export async function openDevices({ mic, camera, micId = "", cameraId = "" }) {
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
export async function listDevices() {
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

export const canChooseSpeaker = () => "setSinkId" in HTMLMediaElement.prototype;

export function onDeviceChange(callback, signal) {
  navigator.mediaDevices?.addEventListener?.("devicechange", callback, { signal });
}
