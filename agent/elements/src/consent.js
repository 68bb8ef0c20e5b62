// The consent view: a switch per sense, an optional look at camera and microphone, and the start. Nothing is asked of
// the browser before the person asks for it here, and no device is asked for that no allowed sense needs. What was not
// on the screen cannot be agreed to: until each sense has been in sight, the button leads to the next ones.

import { MicMeter } from "./audio.js";
import { h, text } from "./dom.js";
import { icon } from "./icons.js";
import { ALL, SENSES, devicesFor } from "./senses.js";

const GROUPS = [
  ["mic", "From your microphone"],
  ["camera", "From your camera"],
];
/** What a row may lose of its empty border (px). */
const EDGE_PX = 4;
const NUMBER = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const named = (n) => NUMBER[n] ?? String(n);

export class Consent {
  /** `person` opens devices; `start(senses)` begins the call. */
  constructor(ui, { person, start }) {
    this.ui = ui;
    this.$ = ui.$;
    this.person = person;
    this.start = start;
    this.senses = new Set(ALL);
    /** Ids of the senses that were in sight, whole, since this view is shown. */
    this.seen = new Set();
    /** Ids of what this place offers at all. */
    this.offered = ALL;
    const box = this.$("sense-switches");
    for (const [source, name] of GROUPS) {
      const rows = SENSES.filter((sense) => sense.source === source).map((sense) => this.row(sense));
      box.append(h("fieldset", {}, h("legend", {}, name), ...rows));
    }
    this.$("consent-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.unseen().length) this.further();
      else this.go(this.senses);
    });
    const look = () => this.see();
    for (const [target, type] of [[ui.app, "scroll"], [window, "scroll"], [window, "resize"]]) target.addEventListener(type, look, { passive: true, capture: true, signal: ui.signal });
    const resized = new ResizeObserver(look);
    for (const node of [ui.app, this.$("consent-form")]) resized.observe(node);
    ui.signal.addEventListener("abort", () => resized.disconnect());
    this.$("start-typing").addEventListener("click", () => this.go(new Set()));
    this.$("preview").addEventListener("toggle", () => (this.$("preview").open ? this.look() : this.unlook()));
    person.addEventListener("change", () => this.showPreview());
    this.label();
    this.see();
  }

  row(sense) {
    const flip = h("input", { type: "checkbox", role: "switch", id: `allow-${sense.id}`, checked: true, "aria-describedby": `what-${sense.id}` });
    flip.addEventListener("change", () => {
      if (flip.checked) this.senses.add(sense.id);
      else this.senses.delete(sense.id);
      this.label();
      if (this.$("preview").open) this.look();
    });
    return h("label", { for: flip.id }, icon(sense.icon), h("span", {}, h("b", {}, sense.title), h("small", { id: `what-${sense.id}` }, sense.what)), flip);
  }

  /** Ids of what is offered and allowed and was not in sight yet. */
  unseen() {
    return this.offered.filter((id) => this.senses.has(id) && !this.seen.has(id));
  }

  /** Take note of what is in sight now: between the upper edge and the bar with the buttons. */
  see() {
    if (this.ui.showing !== "consent") return;
    const { top, bottom } = this.ui.app.getBoundingClientRect();
    const upper = Math.max(top, 0);
    const lower = Math.min(bottom, innerHeight, this.$("go").getBoundingClientRect().top);
    const before = this.seen.size;
    for (const id of this.offered) {
      const row = this.$(`allow-${id}`).closest("label").getBoundingClientRect();
      if (row.height && row.top >= upper - EDGE_PX && row.bottom <= lower + EDGE_PX) this.seen.add(id);
      // A row that is taller than what there is to see it in is seen at its end.
      else if (row.height > lower - upper && row.bottom > upper && row.bottom <= lower + EDGE_PX) this.seen.add(id);
    }
    if (this.seen.size !== before) this.label();
  }

  /** Bring the next senses into sight. */
  further() {
    const [first] = this.unseen();
    const flip = this.$(`allow-${first}`);
    flip.closest("label").scrollIntoView({ block: "start" });
    flip.focus({ preventScroll: true });
    this.see();
  }

  label() {
    const n = this.senses.size;
    const left = this.unseen().length;
    this.$("start-mark").hidden = !left;
    if (left) {
      text(this.$("start-text"), left === this.offered.length ? `See ${left === 1 ? "it" : `all ${named(left)}`} first` : `See ${named(left)} more first`);
      this.$("start-typing").hidden = false;
      return;
    }
    const all = named(this.offered.length);
    const some = n < this.offered.length ? `${named(n)} of ${all}` : n === 1 ? "this" : `all ${all}`;
    text(this.$("start-text"), n ? `Allow ${some} and start` : this.offered.length ? "Allow none and start typing" : "Start typing");
    this.$("start-typing").hidden = n === 0;
  }

  /** Ask only for these senses: nothing else is loaded here. */
  offer(ids) {
    this.offered = ids;
    for (const sense of SENSES) {
      const there = ids.includes(sense.id);
      if (!this.$(`allow-${sense.id}`)) this.$("sense-switches").children[sense.source === "mic" ? 0 : 1].append(this.row(sense));
      const flip = this.$(`allow-${sense.id}`);
      flip.closest("label").hidden = !there;
      if (there && flip.checked) this.senses.add(sense.id);
      else this.senses.delete(sense.id);
    }
    for (const group of this.$("sense-switches").children) group.hidden = !group.querySelector("label:not([hidden])");
    this.$("preview").hidden = !ids.length;
    this.label();
    this.see();
  }

  /** Show what is allowed now, when the person comes back here after a call. */
  restore(senses) {
    this.seen.clear();
    this.senses = new Set([...senses].filter((id) => this.offered.includes(id)));
    for (const id of this.offered) this.$(`allow-${id}`).checked = this.senses.has(id);
    this.label();
  }

  go(senses) {
    this.unlook();
    this.start(new Set(senses));
  }

  async look() {
    this.$("preview").scrollIntoView({ block: "nearest", behavior: "smooth" });
    const needed = devicesFor(this.senses);
    await this.person.open(needed);
    if (!this.$("preview").open || this.ui.showing !== "consent" || this.ui.signal.aborted) return;
    this.showPreview();
    if (this.person.audio && !this.meter) {
      this.context ??= new AudioContext();
      this.context.resume().catch(() => {});
      this.meter = new MicMeter(this.context, new MediaStream([this.person.audio]));
      this.tick = setInterval(() => {
        const level = this.meter.read();
        this.$("preview-meter").style.setProperty("--level", level.toFixed(3));
        this.$("preview-meter").setAttribute("aria-valuenow", Math.round(level * 100));
      }, 80);
    }
  }

  showPreview() {
    if (this.ui.showing !== "consent") return;
    const video = this.$("preview-video");
    const track = this.person.video;
    video.srcObject = track ? new MediaStream([track]) : null;
    if (track) video.play().catch(() => {});
    this.$("preview-none").hidden = Boolean(track);
    text(this.$("preview-none"), devicesFor(this.senses).camera ? "No picture" : "Camera not needed");
    this.unmeter();
  }

  unmeter() {
    clearInterval(this.tick);
    this.meter?.close();
    this.meter = null;
    this.$("preview-meter").style.setProperty("--level", "0");
  }

  unlook() {
    this.unmeter();
    this.context?.close();
    this.context = null;
    this.$("preview-video").srcObject = null;
    if (this.ui.showing === "consent" && !this.$("preview").open) this.person.release();
  }
}
