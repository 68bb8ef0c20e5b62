// The senses a person can allow or refuse, one by one, and how percepts of the runtime belong to them.

/**
 * `wire` are the names that go into `consent` and `senses` messages: the workers that the sense needs, and the kinds of
 * percept it stands for where one worker serves two senses (`face` runs for `expression` and for `gaze`, and a kind that
 * is not in the list must not be reported). `source` is the device it needs; `kinds` are the percept kinds it shows;
 * `lost` the names in a `sense_lost` percept that silence it.
 */
export const SENSES = [
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
    what: "How many faces, who comes and goes, and the light. Not who they are.",
    kinds: ["face", "presence", "scene", "talking"],
    lost: ["scene", "people", "camera", "video", "sight", "vision"],
  },
];

export const ALL = SENSES.map((sense) => sense.id);

/** Those that read feelings, which some places must not offer. */
export const AFFECT = ["voice", "expression"];

/**
 * Learn of senses of the server's own, as `/status` tells them: [{id, title, what, needs}], `needs` of "mic" and "camera".
 * Returns their ids. What such a worker reports is shown under its own name.
 */
export function learn(found) {
  const ids = [];
  for (const { id, title, what, needs } of Array.isArray(found) ? found : []) {
    if (typeof id !== "string" || !Array.isArray(needs) || !["mic", "camera"].includes(needs[0])) continue;
    ids.push(id);
    if (ALL.includes(id)) continue;
    const lost = needs.flatMap((need) => (need === "mic" ? ["microphone", "audio", "hearing"] : ["camera", "video", "sight"]));
    SENSES.push({ id, wire: [id], source: needs[0], needs, title: String(title), icon: "spark", what: String(what), kinds: [], lost: [id, ...lost], own: true });
    ALL.push(id);
  }
  return ids;
}

/** What to send for a set of sense ids. A tab that comes back may know one of the server's own by its id alone. */
export const wireNames = (senses) => [...new Set([...senses].flatMap((id) => SENSES.find((sense) => sense.id === id)?.wire ?? [id]))].sort();

export const sourceOf = (id) => SENSES.find((sense) => sense.id === id)?.source;

/** The sense that a percept belongs to, by its kind or by its worker, or undefined for one this page does not know. */
export const senseOf = (kind, worker) => SENSES.find((sense) => sense.kinds.includes(kind) || (sense.own && sense.id === worker))?.id;

/** The devices that a set of senses needs: {mic, camera}. A device that nothing needs is never asked for. */
export function devicesFor(senses) {
  const needed = { mic: false, camera: false };
  for (const sense of SENSES) if (senses.has(sense.id)) for (const need of sense.needs ?? [sense.source]) needed[need] = true;
  return needed;
}
