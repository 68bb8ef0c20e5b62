// Captions of both sides. Words that are not final are replaced in place; what the agent could not finish is shown as cut.

import { h, text } from "./dom.js";

const KEPT = 60;

export class Captions {
  constructor(ui, { readAloud = () => false } = {}) {
    this.ui = ui;
    this.$ = ui.$;
    this.list = this.$("captions");
    // In a smaller frame the newest words stay in sight.
    new ResizeObserver(() => (this.list.scrollTop = this.list.scrollHeight)).observe(this.list);
    this.readAloud = readAloud;
    /** Oldest first: {speaker, text, final, cut, reply, at, updatedAt}; times are performance.now(). */
    this.lines = [];
    this.nodes = new Map();
  }

  /** Take in one caption message. */
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
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    let node = this.nodes.get(line);
    if (!node) {
      node = h("li", { part: `caption caption-${line.speaker}` }, h("span", { class: "who" }, line.speaker === "user" ? "You" : "Agent"), h("span", { class: "text" }));
      this.nodes.set(line, node);
      this.list.append(node);
    }
    node.className = [line.speaker === "user" ? "user" : "agent", line.final ? "" : "open", line.cut ? "cut" : ""].filter(Boolean).join(" ");
    text(node.querySelector(".text"), line.text);
    if (line.cut && !node.querySelector(".tag")) node.append(h("span", { class: "tag" }, "cut off"));
    while (this.lines.length > KEPT) {
      const old = this.lines.shift();
      this.nodes.get(old)?.remove();
      this.nodes.delete(old);
    }
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  clear() {
    this.lines.length = 0;
    this.nodes.clear();
    this.list.replaceChildren();
  }
}
