// The dock: microphone, camera, push-to-talk, captions, insight, hang up, typed words; and the keyboard.

import { recall, remember, text } from "./dom.js";
import { setIcon } from "./icons.js";

const typing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

export class Controls {
  /** `acts` carries out what is pressed; `inCall()` tells whether there is anything to control. */
  constructor(ui, { acts, settings, inCall }) {
    this.ui = ui;
    this.$ = ui.$;
    this.acts = acts;
    this.settings = settings;
    this.inCall = inCall;
    this.$("mic").addEventListener("click", () => acts.micToggle());
    this.$("camera").addEventListener("click", () => acts.cameraToggle());
    this.$("voice").addEventListener("click", () => acts.voiceToggle());
    this.$("more").addEventListener("click", () => this.more(!this.$("controls").hasAttribute("data-more")));
    this.$("further").addEventListener("click", () => this.more(false));
    ui.app.addEventListener("click", (event) => event.target.closest?.("#further, #more") || this.more(false));
    this.$("ptt").addEventListener("click", () => acts.pushToTalk(!acts.person.pushToTalk));
    this.$("cc").addEventListener("click", () => this.captions(this.$("call").dataset.captions === "off"));
    this.$("insight").addEventListener("click", () => this.insight(this.$("call").dataset.side === "closed"));
    this.$("hangup").addEventListener("click", () => acts.hangUp());
    this.$("stop").addEventListener("click", () => acts.stop());
    this.$("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.holdButton();
    // Keys anywhere in the page belong to the page around, unless it gives them away.
    addEventListener("keydown", (event) => this.ours(event) && this.down(event), { signal: ui.signal });
    addEventListener("keyup", (event) => this.up(event), { signal: ui.signal });
    // A key that is released elsewhere must not leave the microphone open.
    addEventListener("blur", () => acts.hold(false), { signal: ui.signal });
    const inside = this.$("inside");
    inside.open = recall("inside", "closed") === "open";
    inside.addEventListener("toggle", () => remember("inside", inside.open ? "open" : "closed"));
    this.captions(recall("captions", "on") === "on", false);
    this.insight(!ui.narrow && recall("insight", "open") === "open", false);
  }

  holdButton() {
    const hold = this.$("hold");
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      this.acts.hold(true);
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) hold.addEventListener(type, () => this.acts.hold(false));
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  send() {
    const words = this.$("words").value.trim();
    if (!words) return;
    if (this.acts.say(words)) this.$("words").value = "";
    else this.ui.announce("Not sent: there is no connection. Your words are still in the field.");
  }

  ours(event) {
    const { keys } = this.ui.host;
    return keys === "page" || (keys === "focus" && event.composedPath().includes(this.ui.host));
  }

  down(event) {
    const target = event.composedPath()[0];
    if (!this.inCall() || this.settings.dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (this.$("controls").hasAttribute("data-more")) {
        this.more(false);
        this.$("more").focus();
      } else if (typing(target)) target.blur();
      else if (!this.$("stop").hidden) this.acts.stop();
      else if (this.ui.narrow) this.insight(false);
      return;
    }
    if (typing(target)) return;
    if (event.key === " " && this.acts.person.pushToTalk) {
      // Space on a button is that button's own, except on the one that it stands for.
      const button = target.closest?.("button, summary, input");
      if (button && button.id !== "hold") return;
      event.preventDefault();
      if (!event.repeat) this.acts.hold(true);
      return;
    }
    if (!this.settings.shortcuts || event.repeat) return;
    const act = {
      m: () => this.acts.micToggle(),
      v: () => this.acts.cameraToggle(),
      a: () => this.acts.voiceToggle(),
      p: () => this.acts.pushToTalk(!this.acts.person.pushToTalk),
      c: () => this.captions(this.$("call").dataset.captions === "off"),
      i: () => this.insight(this.$("call").dataset.side === "closed"),
      t: () => this.$("words").focus(),
    }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  up(event) {
    if (event.key === " " && this.acts.person.held) this.acts.hold(false);
  }

  /** Where there is no room for all controls, show or hide the lesser ones. */
  more(open) {
    this.$("controls").toggleAttribute("data-more", open);
    this.$("more").setAttribute("aria-expanded", String(open));
    if (open) this.$("ptt").focus();
  }

  /** Show whether the agent is heard. */
  voice(on) {
    this.$("voice").setAttribute("aria-pressed", String(on));
    this.$("voice").dataset.state = on ? "" : "unused";
    setIcon(this.$("voice"), on ? "speaker" : "speaker-off");
  }

  captions(on, say = true) {
    this.$("call").dataset.captions = on ? "on" : "off";
    this.$("cc").setAttribute("aria-pressed", String(on));
    this.$("cc").dataset.state = on ? "" : "off";
    remember("captions", on ? "on" : "off");
    if (say) this.ui.announce(on ? "Captions on" : "Captions off");
  }

  insight(open, say = true) {
    this.$("call").dataset.side = open ? "open" : "closed";
    this.$("insight").setAttribute("aria-expanded", String(open));
    this.$("insight").dataset.state = open ? "on" : "";
    if (say) remember("insight", open ? "open" : "closed");
  }

  /** Show what the person's devices are doing. */
  paint(person, devices) {
    // What the person chose to do without is no fault, and looks like none.
    const button = (id, on, available, wanted, onIcon, offIcon) => {
      this.$(id).setAttribute("aria-pressed", String(on && available));
      this.$(id).dataset.state = on && available ? "" : wanted ? "off" : "unused";
      setIcon(this.$(id), on && available ? onIcon : offIcon);
    };
    button("mic", person.micOn, Boolean(person.audio), devices.mic, "mic", "mic-off");
    button("camera", person.cameraOn, Boolean(person.video), devices.camera, "camera", "camera-off");
    this.$("ptt").setAttribute("aria-pressed", String(person.pushToTalk));
    this.$("ptt").dataset.state = person.pushToTalk ? "on" : "";
    this.$("hold").hidden = !person.pushToTalk || !person.audio;
    this.$("hold").toggleAttribute("data-held", person.held);
    text(this.$("hold-text"), person.held ? "Listening… release to send" : person.micOn ? "Hold to talk" : "Hold to unmute and talk");
    this.$("self").hidden = !devices.mic && !devices.camera;
    this.$("self-meter").hidden = !devices.mic;
    this.$("self").dataset.camera = person.cameraLive ? "on" : "off";
    text(this.$("self-none").querySelector("span:last-child"), !devices.camera ? "Not used" : person.video || !person.cameraOn ? "Camera off" : "No camera");
    this.$("self-muted").hidden = person.micLive || !devices.mic;
  }
}
