// "What I perceive": one row per sense, in one of five states: known, unsure, waiting, off (refused by the person), lost.

import { clean, h, percent, text } from "./dom.js";
import { icon } from "./icons.js";
import { SENSES, senseOf } from "./senses.js";

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

export class Panel {
  /** `toggle(id, on)` is called when the person switches a sense in a row. */
  constructor(ui, { toggle }) {
    this.ui = ui;
    this.$ = ui.$;
    this.rows = new Map();
    this.latest = {};
    this.history = [];
    this.people = 0;
    this.toggle = toggle;
    this.inCall = false;
    this.asleep = "Not in a call";
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
      const on = senses.has(row.sense.id);
      if (row.on !== on || !this.inCall) Object.assign(row, { since: performance.now(), taken: Boolean(this.inCall) && !on, erased: false });
      row.on = on;
      row.flip.checked = row.on;
      if (!row.on) Object.assign(row, { shown: null, at: -1e9, lost: false });
    }
    if (!senses.has("expression")) this.history.length = 0;
    this.paint();
  }

  /** What was taken back in this call is erased, as the server says; or could not be. */
  erased(done) {
    for (const row of this.rows.values()) row.erased = done && row.taken;
    this.paint();
  }

  /** Show rows only for these senses. */
  offer(ids) {
    for (const sense of SENSES) if (!this.rows.has(sense.id)) this.$("senses").append(this.row(sense, this.toggle));
    for (const row of this.rows.values()) row.node.hidden = !ids.includes(row.sense.id);
  }

  /** Sources that give nothing, with the state and the words to show: see Person.silent. */
  without(silent) {
    this.silent = silent;
    this.paint();
  }

  /** In a call or not: outside of one nothing is perceived, for the reason `why`. */
  wake(inCall, why = "Not in a call") {
    this.inCall = inCall;
    this.asleep = why;
    if (!inCall) for (const row of this.rows.values()) Object.assign(row, { shown: null, at: -1e9, lost: false });
    this.paint();
  }

  /** Senses whose workers are away, by name; told also where no percepts are. */
  miss(names) {
    for (const row of this.rows.values()) row.lost = row.sense.wire.some((name) => names.includes(name));
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
    const id = senseOf(percept.kind, percept.worker);
    if (!id) return true;
    const row = this.rows.get(id);
    const now = performance.now();
    if (!row.on) return now - row.since < 2000;
    row.lost = false;
    const shown = row.sense.own ? { text: title(percept.label || percept.kind), state: "known" } : this.describe(percept);
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
    const fresh = row.shown && now - row.at < (FRESH_MS[id] ?? 8000);
    let state = fresh ? row.shown.state : "waiting";
    let words = fresh ? row.shown.text : (IDLE[id] ?? "Nothing just now");
    let soft = fresh ? row.shown.soft : "";
    if (id === "expression" || id === "gaze") words = fresh ? words : this.faceSeen(now) ? "Nothing clear yet" : words;
    if (!row.on) [state, words, soft] = ["off", "Off by you", row.erased ? "what it noticed is erased" : ""];
    else if (!this.inCall) [state, words, soft] = ["waiting", this.asleep, ""];
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
    row.bar.setAttribute("aria-valuetext", percent(part));
    // What is unsure has no number: it would only seem to say something.
    row.more.toggleAttribute("data-bare", state === "unsure");
    text(row.amount, state === "unsure" ? "" : percent(part));
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
