// The consent view: a switch per sense, an optional look at camera and microphone, and the start. Nothing is asked of
// the browser before the person asks for it here, and no device is asked for that no allowed sense needs.

import { MicMeter } from "./audio.js";
import { $, h, text } from "./dom.js";
import { icon } from "./icons.js";
import { ALL, SENSES, devicesFor } from "./senses.js";

const GROUPS = [
  ["mic", "From your microphone"],
  ["camera", "From your camera"],
];
const NUMBER = ["none", "one", "two", "three", "four", "five", "six"];

export class Consent {
  /** `person` opens devices; `start(senses)` begins the call. */
  constructor({ person, start }) {
    this.person = person;
    this.start = start;
    this.senses = new Set(ALL);
    const box = $("sense-switches");
    for (const [source, name] of GROUPS) {
      const rows = SENSES.filter((sense) => sense.source === source).map((sense) => this.row(sense));
      box.append(h("fieldset", {}, h("legend", {}, name), ...rows));
    }
    $("consent-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.go(this.senses);
    });
    $("start-typing").addEventListener("click", () => this.go(new Set()));
    $("preview").addEventListener("toggle", () => ($("preview").open ? this.look() : this.unlook()));
    person.addEventListener("change", () => this.showPreview());
    this.label();
  }

  row(sense) {
    const flip = h("input", { type: "checkbox", role: "switch", id: `allow-${sense.id}`, checked: true, "aria-describedby": `what-${sense.id}` });
    flip.addEventListener("change", () => {
      if (flip.checked) this.senses.add(sense.id);
      else this.senses.delete(sense.id);
      this.label();
      if ($("preview").open) this.look();
    });
    return h("label", { for: flip.id }, icon(sense.icon), h("span", {}, h("b", {}, sense.title), h("small", { id: `what-${sense.id}` }, sense.what)), flip);
  }

  label() {
    const n = this.senses.size;
    text($("start"), n === ALL.length ? "Allow all six and start" : n ? `Allow ${NUMBER[n]} of six and start` : "Allow none and start typing");
    $("start-typing").hidden = n === 0;
  }

  /** Show what is allowed now, when the person comes back here after a call. */
  restore(senses) {
    this.senses = new Set(senses);
    for (const sense of SENSES) $(`allow-${sense.id}`).checked = this.senses.has(sense.id);
    this.label();
  }

  go(senses) {
    this.unlook();
    this.start(new Set(senses));
  }

  async look() {
    $("preview").scrollIntoView({ block: "nearest", behavior: "smooth" });
    const needed = devicesFor(this.senses);
    await this.person.open(needed);
    if (!$("preview").open || document.body.dataset.view !== "consent") return;
    this.showPreview();
    if (this.person.audio && !this.meter) {
      this.context ??= new AudioContext();
      this.context.resume().catch(() => {});
      this.meter = new MicMeter(this.context, new MediaStream([this.person.audio]));
      this.tick = setInterval(() => {
        const level = this.meter.read();
        $("preview-meter").style.setProperty("--level", level.toFixed(3));
        $("preview-meter").setAttribute("aria-valuenow", Math.round(level * 100));
      }, 80);
    }
  }

  showPreview() {
    if (document.body.dataset.view !== "consent") return;
    const video = $("preview-video");
    const track = this.person.video;
    video.srcObject = track ? new MediaStream([track]) : null;
    if (track) video.play().catch(() => {});
    $("preview-none").hidden = Boolean(track);
    text($("preview-none"), devicesFor(this.senses).camera ? "No picture" : "Camera not needed");
    this.unmeter();
  }

  unmeter() {
    clearInterval(this.tick);
    this.meter?.close();
    this.meter = null;
    $("preview-meter").style.setProperty("--level", "0");
  }

  unlook() {
    this.unmeter();
    $("preview-video").srcObject = null;
    if (document.body.dataset.view === "consent" && !$("preview").open) this.person.release();
  }
}
