// The settings dialog, the device lists wherever they stand, and what the agent is made of.

import { canChooseSpeaker } from "./devices.js";
import { h, recall, remember } from "./dom.js";

const DEVICE = { mics: "mic", cameras: "camera", speakers: "speaker" };

export class Settings {
  /** `sound` is the agent's; `person` has the devices. */
  constructor(ui, { person, sound }) {
    this.ui = ui;
    this.$ = ui.$;
    this.person = person;
    this.sound = sound;
    this.dialog = this.$("settings");
    this.$("settings-open").addEventListener("click", () => this.open());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.$("speaker-field").hidden = !canChooseSpeaker();
    for (const id of ["announce", "shortcuts"]) {
      const box = this.$(id);
      box.checked = recall(id, box.checked ? "yes" : "no") === "yes";
      box.addEventListener("change", () => remember(id, box.checked ? "yes" : "no"));
    }
    for (const select of this.ui.root.querySelectorAll("select[data-devices]")) select.addEventListener("change", () => this.choose(select.dataset.devices, select.value));
    person.addEventListener("devices", ({ detail }) => this.list(detail));
    person.addEventListener("change", () => this.mark());
    this.volume();
    this.list({ mics: [], cameras: [], speakers: [] });
    this.restoreSpeaker();
  }

  get announces() {
    return this.$("announce").checked;
  }

  get shortcuts() {
    return this.$("shortcuts").checked;
  }

  /** How loud the agent is, kept for the next call. */
  volume() {
    const slider = this.$("volume");
    slider.value = recall("volume", "100");
    if (!(Number(slider.value) >= 0)) slider.value = "100";
    this.$("volume-field").hidden = !this.sound.setVolume(slider.value / 100);
    slider.addEventListener("input", () => {
      this.sound.setVolume(slider.value / 100);
      remember("volume", slider.value);
    });
  }

  open() {
    this.person.list();
    this.dialog.showModal();
  }

  list(lists) {
    this.lists = lists;
    for (const select of this.ui.root.querySelectorAll("select[data-devices]")) {
      const found = lists[select.dataset.devices];
      const options = found.map(({ id, label }) => h("option", { value: id }, label));
      if (!options.length) options.push(h("option", { value: "" }, select.dataset.devices === "speakers" ? "The system’s speaker" : "None found, or not allowed yet"));
      select.replaceChildren(...options);
      select.disabled = !found.length;
    }
    this.mark();
  }

  /** Select in each list what is really in use. */
  mark() {
    const used = {
      mics: this.person.audio?.getSettings().deviceId ?? this.person.chosen.mic,
      cameras: this.person.video?.getSettings().deviceId ?? this.person.chosen.camera,
      speakers: this.sound.element.sinkId || "default",
    };
    for (const select of this.ui.root.querySelectorAll("select[data-devices]")) {
      const id = used[select.dataset.devices];
      if ([...select.options].some((option) => option.value === id)) select.value = id;
    }
  }

  choose(kind, id) {
    if (kind !== "speakers") {
      this.person.choose(DEVICE[kind], id);
      return;
    }
    remember("speaker", id);
    this.sound.setSpeaker(id).catch(() => this.ui.announce("That speaker cannot be used."));
  }

  restoreSpeaker() {
    const id = recall("speaker");
    if (id && canChooseSpeaker()) this.sound.setSpeaker(id).catch(() => remember("speaker", ""));
  }

  /** Tell what the agent is made of: a flat object of names. */
  about(agent) {
    const rows = Object.entries(agent).filter(([, value]) => value !== null && value !== "" && typeof value !== "object" || Array.isArray(value));
    this.$("about").replaceChildren(...rows.flatMap(([key, value]) => [h("dt", {}, key.charAt(0).toUpperCase() + key.slice(1).replaceAll("_", " ")), h("dd", {}, Array.isArray(value) ? value.join(", ") : String(value))]));
  }
}
