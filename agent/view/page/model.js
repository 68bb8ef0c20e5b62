// What is known of the calls, and what is looked at: one instant, one stretch of time, some kinds, some words.

const { journals: count_, medium: mediumKind } = data("data");
const calls = Array.from({ length: count_ }, (_, n) => ({ letter: "AB"[n], ...data(`journal-${n}`) }));
const total = Math.max(0.001, ...calls.map((call) => call.length));

const GROUPS = {
  speech: { name: "Speech", lanes: ["person", "agent"] },
  decisions: { name: "Decisions", lanes: ["decisions", "thoughts"] },
  display: { name: "Display", lanes: ["display"] },
  percepts: { name: "Percepts", lanes: ["expression", "gaze", "voice", "gesture", "people", "scene", "other"] },
  safety: { name: "Safety", lanes: ["safety"] },
  latency: { name: "Latency", lanes: ["latency"] },
  runtime: { name: "Runtime", lanes: ["state", "notes"] },
};
const groupOfLane = Object.fromEntries(Object.entries(GROUPS).flatMap(([id, { lanes }]) => lanes.map((lane) => [lane, id])));

/** Which group an event belongs to. */
function groupOf(event) {
  switch (event.type) {
    case "turn": return "speech";
    case "percept": return ["transcript", "partial", "speech_started", "speech_ended", "end_of_turn"].includes(event.kind) ? "speech" : "percepts";
    case "thought": return "decisions";
    case "decision": return event.action === "express" ? "display" : "decisions";
    case "metric": return "latency";
    case "note": return String(event.event ?? "").startsWith("safety") ? "safety" : "runtime";
    default: return "runtime";
  }
}

const hidden = (event) => (typeof event.words_count === "number" ? `${some(event.words_count, "word")}, withheld` : "words withheld");
const percent = (x) => (typeof x === "number" ? `${Math.round(100 * x)} %` : "");

/** What an event is, and what it says. */
function told(event) {
  switch (event.type) {
    case "turn": return [event.speaker === "agent" ? "agent says" : "person says", `${event.text || hidden(event)}${event.cut ? " — cut off" : ""}`];
    case "percept": return [clean(event.kind), [clean(event.label), percent(event.confidence)].filter(Boolean).join(" · ")];
    case "thought": return ["thinks", event.text || hidden(event)];
    case "decision": {
      const what = [event.action, event.strategy, event.token, event.emotion, event.gesture !== "none" && event.gesture].filter(Boolean).map(clean).join(" · ");
      return ["decides", event.reason ? `${what}: ${event.reason}` : what];
    }
    case "metric": return ["measures", `${clean(event.name)} ${/_(count|bytes)$/.test(event.name ?? "") ? count(event.value ?? 0) : seconds(event.value)}`];
    case "note": return ["notes", [clean(event.event), event.kind, event.state, event.why].filter((x) => typeof x === "string" && x).join(" · ")];
    default: return [clean(event.type), ""];
  }
}

// One list of all events in the order of their times; each knows its call, its group and its words in small letters.
const events = calls.flatMap((call, n) => call.events.map((event, i) => ({ event, call: n, i, t: event.t, group: groupOf(event), low: null })));
if (calls.length > 1) events.sort((a, b) => a.t - b.t);
// What is searched is what the list shows, and the words and names that it leaves out; not the evidence, which is elsewhere.
const lowOf = (row) => (row.low ??= [...told(row.event), row.event.text, row.event.type, row.event.kind, row.event.worker, row.event.cue, row.event.mind].join(" ").toLowerCase());

const view = { at: 0, from: 0, to: total, groups: new Set(Object.keys(GROUPS)), words: "", chosen: null, rows: events, matching: [] };

/** The first place in a sorted list from which on pick(x) >= value. */
function place(list, value, pick) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pick(list[middle]) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Choose the rows that the list and the steps from event to event go by. */
function sift() {
  const words = view.words.toLowerCase().split(/\s+/).filter(Boolean);
  view.rows = events.filter((row) => view.groups.has(row.group) && words.every((word) => lowOf(row).includes(word)));
  view.matching = words.length ? calls.map((_, n) => new Set(view.rows.filter((row) => row.call === n).map((row) => row.i))) : [];
}

/** What held at an instant in one call: the latest event of each sort that still counts. */
function holding(call, at) {
  const found = {};
  for (const { id, spans } of call.lanes) {
    const until = place(spans, at + 1e-6, (span) => span.s);
    for (let n = until - 1; n >= 0 && n >= until - 60; n--) {
      const span = spans[n];
      if (span.k === "sound") continue;
      const lasts = span.e > span.s ? span.e : span.s + 1.5;
      if (lasts < at) continue;
      found[id] ??= span;
      break;
    }
  }
  return found;
}
