// What lies over the agent's picture: its state in words, passing notices, and the cover when there is no call.

import { h, text } from "./dom.js";
import { icon } from "./icons.js";
import { COVERS } from "./messages.js";

const MOODS = { listening: "Listening", thinking: "Thinking", speaking: "Speaking", connecting: "Connecting", lost: "Reconnecting", ended: "Not in a call", held: "Holding on", muted: "You are muted", deaf: "Cannot hear you" };
const IN_CALL = new Set(["connecting", "lost"]);
const MARKS = { busy: null, refused: "warn", gone: "warn", lost: null, ended: "hangup", left: "hangup", moved: "hangup", expired: "hangup", fatal: "warn", webrtc: "warn" };

export class Stage {
  /** `act(name)` is called with the name of a cover's button: retry, leave, now. */
  constructor(ui, { act }) {
    this.ui = ui;
    this.$ = ui.$;
    this.act = act;
    this.cover = null;
    this.notices = new Map();
    this.state = "ended";
    this.muted = false;
    this.deaf = false;
  }

  mood(state) {
    this.state = state;
    this.$("stage").dataset.mood = state;
    if (this.deaf && state === "listening") text(this.$("mood-text"), MOODS.deaf);
    else text(this.$("mood-text"), this.muted && state === "listening" ? MOODS.muted : (MOODS[state] ?? MOODS.listening));
  }

  /** Say whether the person has muted themselves: nobody listens then, whatever the agent does. */
  mute(on) {
    this.muted = on;
    this.$("stage").toggleAttribute("data-muted", on);
    this.mood(this.state);
  }

  /** Say whether the agent has lost its hearing. */
  deafen(on) {
    this.deaf = on;
    this.mood(this.state);
  }

  /** Show a full-stage message by name, or hide it with null. The same one again only changes its words. */
  show(name, more = {}) {
    const cover = this.$("cover");
    if (!name) {
      if (this.cover) cover.hidden = true;
      this.cover = null;
      delete this.$("stage").dataset.away;
      delete this.$("call").dataset.over;
      delete this.$("call").dataset.connecting;
      this.$("mood").hidden = false;
      return;
    }
    const { title, text: words, actions = [], spin = false, tone = "", count } = COVERS[name]({ host: this.ui.server, home: this.ui.home, name: this.ui.url("").hostname, ...more });
    const fresh = this.cover !== name;
    this.cover = name;
    cover.hidden = false;
    this.$("mood").hidden = true;
    cover.dataset.tone = tone;
    cover.dataset.name = name;
    this.$("stage").dataset.away = "";
    this.$("call").toggleAttribute("data-over", !IN_CALL.has(name));
    this.$("call").toggleAttribute("data-connecting", name === "connecting");
    text(this.$("cover-title"), title);
    text(this.$("cover-text"), words);
    const mark = this.$("cover-mark");
    mark.classList.toggle("spin", spin);
    if (count !== undefined) text(mark, String(count));
    else if (fresh) mark.replaceChildren(...(MARKS[name] ? [icon(MARKS[name])] : []));
    if (!fresh) return;
    if (count === undefined && spin) mark.replaceChildren();
    this.$("cover-actions").replaceChildren(...actions.map(([id, label], i) => h("button", { type: "button", class: i ? "quiet" : "primary", data: { act: id }, onclick: () => this.act(id) }, label)));
    if (tone) this.ui.alarm(`${title}. ${words}`);
    else this.ui.announce(`${title}. ${words}`);
    if (actions.length) this.$("cover-card").focus({ preventScroll: true });
  }

  /**
   * A passing notice under a key; the same key replaces. `retry` adds a button, `actions` more of them as [label, act];
   * `calm` is for what needs no act.
   */
  notice(key, { title, text: words, retry = null, actions = [], seconds = 0, calm = false, place = this.$("notices") }) {
    this.dismiss(key);
    const node = h(
      "div",
      { class: calm ? "notice calm" : "notice", part: "notice", data: { key } },
      icon(calm ? "info" : "warn"),
      h("p", {}, h("b", {}, title), words),
      ...actions.map(([label, act]) => h("button", { type: "button", class: "quiet", onclick: act }, label)),
      retry ? h("button", { type: "button", class: "quiet", onclick: retry }, "Try again") : null,
      h("button", { type: "button", class: "quiet round", "aria-label": "Dismiss", onclick: () => this.dismiss(key) }, icon("close")),
    );
    this.notices.set(key, node);
    place.append(node);
    if (calm) this.ui.announce(`${title}. ${words}`);
    else this.ui.alarm(`${title}. ${words}`);
    if (seconds) setTimeout(() => this.notices.get(key) === node && this.dismiss(key), seconds * 1000);
  }

  dismiss(key) {
    this.notices.get(key)?.remove();
    this.notices.delete(key);
  }

  dismissAll() {
    for (const key of [...this.notices.keys()]) this.dismiss(key);
  }
}
