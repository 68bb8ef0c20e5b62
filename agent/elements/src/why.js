// "Why": the last decision of the agent, in words, with what it rests on and what was thought first; and the few before it.

import { clean, h, percent, text } from "./dom.js";
import { EMOTIONS } from "./face.js";

const ACTION = { speak: "Spoke", backchannel: "Listening sound", express: "Showed", wait: "Waited" };
const STRATEGY = { question: "asks", restatement: "says it back", reflection: "reflects the feeling", affirmation: "affirms", suggestion: "suggests", information: "informs", other: "", safety: "keeps you safe" };
const KIND = { expression: "face", prosody: "voice", transcript: "words", partial: "words", gaze: "gaze", gesture: "gesture", face: "face", presence: "people", scene: "scene", speech_ended: "pause", speech_started: "speech", end_of_turn: "turn" };
const EARLIER = 5;
const LONGEST_THOUGHT = 4000;

export class Why {
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
