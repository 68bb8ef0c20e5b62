// "How fast": where the time between the person's last word and the agent's first sound went.

import { h, text } from "./dom.js";

const STAGES = [
  ["end_of_turn", "Sure you were done"],
  ["words", "Your words"],
  ["decision", "Decision"],
  ["voice", "Voice"],
  ["rest", "Rest"],
];

const ms = (seconds) => (seconds === undefined || seconds === null ? "–" : `${Math.round(seconds * 1000)} ms`);

export class Timing {
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
