// Captions of both sides. Words that are not final are replaced in place; what the agent could not finish ends in a dash.

import { h, text } from "./dom.js";

const KEPT = 60;
/** Nearer to its end than this, the list shows the newest words (px); farther from it, the person is reading back. */
const NEAR_PX = 60;
/** What a line may lose of its empty border (px). */
const EDGE_PX = 3;

export class Captions {
  constructor(ui, { readAloud = () => false } = {}) {
    this.ui = ui;
    this.$ = ui.$;
    this.list = this.$("captions");
    // In a smaller frame, or in larger letters, the newest words stay in sight, unless the person is reading back.
    this.follows = true;
    this.resized = new ResizeObserver(() => (this.follows ? this.toEnd() : this.trim()));
    this.resized.observe(this.list);
    this.list.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.readAloud = readAloud;
    /** Oldest first: {speaker, text, final, cut, reply, at, updatedAt}; times are performance.now(). */
    this.lines = [];
    this.nodes = new Map();
  }

  /** Take in a message: one caption, or all there were. */
  take(message) {
    if (message.t === "captions") this.restore(message.lines ?? []);
    else this.show(message);
  }

  /** Take in one caption. */
  show({ speaker, text: words, final, reply = 0, cut = false }) {
    const now = performance.now();
    let line = this.find(speaker, reply, cut);
    if (!line) {
      if (!words) return;
      line = { speaker, text: "", done: "", final: false, cut: false, reply, at: now };
      this.lines.push(line);
    }
    if (cut) Object.assign(line, { done: words, text: words, cut: true, final: true });
    else {
      // A caption of the same reply may repeat what was said so far, or carry the next clause only.
      const joined = !line.done || words.startsWith(line.done) ? words : `${line.done} ${words}`;
      Object.assign(line, { text: joined, final: Boolean(final), done: final ? joined : line.done });
    }
    line.updatedAt = now;
    if (line.final && speaker === "agent" && this.readAloud()) this.ui.announce(line.text);
    this.paint(line);
  }

  /** Take in all that was said in a call that goes on: it takes the place of what is here. */
  restore(lines) {
    const now = performance.now();
    this.clear();
    for (const { speaker, text: words, final, reply = 0, cut = false } of lines) {
      const line = { speaker, text: words, done: final ? words : "", final: Boolean(final), cut, reply, at: now, updatedAt: now };
      this.lines.push(line);
      this.paint(line);
    }
  }

  find(speaker, reply, cut) {
    for (let i = this.lines.length - 1; i >= 0 && i >= this.lines.length - 8; i -= 1) {
      const line = this.lines[i];
      if (line.speaker !== speaker) continue;
      if (speaker === "agent" && reply) {
        if (line.reply === reply) return line;
        continue;
      }
      return line.final && !cut ? null : line;
    }
    return null;
  }

  paint(line) {
    let node = this.nodes.get(line);
    if (!node) {
      node = h("li", { part: `caption caption-${line.speaker}` }, h("span", { class: "who" }, line.speaker === "user" ? "You" : "Agent"), h("span", { class: "text" }));
      this.nodes.set(line, node);
      this.list.append(node);
      this.resized.observe(node);
    }
    node.className = [line.speaker === "user" ? "user" : "agent", line.final ? "" : "open", line.cut ? "cut" : ""].filter(Boolean).join(" ");
    text(node.querySelector(".text"), line.text);
    while (this.lines.length > KEPT) {
      const old = this.lines.shift();
      this.drop(this.nodes.get(old));
      this.nodes.delete(old);
    }
    if (this.follows) this.toEnd();
  }

  drop(node) {
    if (!node) return;
    this.resized.unobserve(node);
    node.remove();
  }

  measure() {
    return `${this.list.clientHeight} ${this.list.scrollHeight}`;
  }

  scrolled() {
    // A list that has changed its size scrolls by itself; that is no wish of the person.
    if (this.size !== this.measure()) return;
    this.follows = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR_PX;
    this.trim();
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.trim();
  }

  /** Show no slice of a line that the upper edge cuts, unless it is the newest one or the person is reading back. */
  trim() {
    this.size = this.measure();
    const { scrollTop, clientHeight, lastElementChild: newest } = this.list;
    for (const node of this.list.children) node.classList.toggle("past", this.follows && node !== newest && node.offsetTop < scrollTop - EDGE_PX);
    this.list.toggleAttribute("data-tall", (newest?.offsetHeight ?? 0) > clientHeight);
  }

  clear() {
    this.lines.length = 0;
    for (const node of this.nodes.values()) this.drop(node);
    this.nodes.clear();
    this.follows = true;
  }
}
