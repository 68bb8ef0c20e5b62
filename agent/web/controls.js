// The dock: microphone, camera, push-to-talk, captions, insight, hang up, typed words; and the keyboard.

import { $, announce, recall, remember, text } from "./dom.js";
import { setIcon } from "./icons.js";

const typing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

export class Controls {
  /** `acts` carries out what is pressed; `inCall()` tells whether there is anything to control. */
  constructor({ acts, settings, inCall }) {
    this.acts = acts;
    this.settings = settings;
    this.inCall = inCall;
    $("mic").addEventListener("click", () => acts.micToggle());
    $("camera").addEventListener("click", () => acts.cameraToggle());
    $("ptt").addEventListener("click", () => acts.pushToTalk(!acts.person.pushToTalk));
    $("cc").addEventListener("click", () => this.captions($("call").dataset.captions === "off"));
    $("insight").addEventListener("click", () => this.insight($("call").dataset.side === "closed"));
    $("hangup").addEventListener("click", () => acts.hangUp());
    $("stop").addEventListener("click", () => acts.stop());
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.holdButton();
    addEventListener("keydown", (event) => this.down(event));
    addEventListener("keyup", (event) => this.up(event));
    // A key that is released elsewhere must not leave the microphone open.
    addEventListener("blur", () => acts.hold(false));
    this.captions(recall("captions", "on") === "on", false);
    this.insight(matchMedia("(min-width: 901px)").matches && recall("insight", "open") === "open", false);
  }

  holdButton() {
    const hold = $("hold");
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      this.acts.hold(true);
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) hold.addEventListener(type, () => this.acts.hold(false));
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  send() {
    const words = $("words").value.trim();
    if (!words) return;
    if (this.acts.say(words)) $("words").value = "";
    else announce("Not sent: there is no connection. Your words are still in the field.");
  }

  down(event) {
    if (!this.inCall() || this.settings.dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (typing(event.target)) event.target.blur();
      else if (!$("stop").hidden) this.acts.stop();
      else if (matchMedia("(max-width: 900px)").matches) this.insight(false);
      return;
    }
    if (typing(event.target)) return;
    if (event.key === " " && this.acts.person.pushToTalk) {
      // Space on a button is that button's own, except on the one that it stands for.
      const button = event.target.closest?.("button, summary, input");
      if (button && button.id !== "hold") return;
      event.preventDefault();
      if (!event.repeat) this.acts.hold(true);
      return;
    }
    if (!this.settings.shortcuts || event.repeat) return;
    const act = {
      m: () => this.acts.micToggle(),
      v: () => this.acts.cameraToggle(),
      p: () => this.acts.pushToTalk(!this.acts.person.pushToTalk),
      c: () => this.captions($("call").dataset.captions === "off"),
      i: () => this.insight($("call").dataset.side === "closed"),
      t: () => $("words").focus(),
    }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  up(event) {
    if (event.key === " " && this.acts.person.held) this.acts.hold(false);
  }

  captions(on, say = true) {
    $("call").dataset.captions = on ? "on" : "off";
    $("cc").setAttribute("aria-pressed", String(on));
    $("cc").dataset.state = on ? "" : "off";
    remember("captions", on ? "on" : "off");
    if (on) $("captions").scrollTop = $("captions").scrollHeight;
    if (say) announce(on ? "Captions on" : "Captions off");
  }

  insight(open, say = true) {
    $("call").dataset.side = open ? "open" : "closed";
    $("insight").setAttribute("aria-expanded", String(open));
    $("insight").dataset.state = open ? "on" : "";
    if (say) remember("insight", open ? "open" : "closed");
  }

  /** Show what the person's devices are doing. */
  paint(person, devices) {
    const button = (id, on, available, onIcon, offIcon) => {
      $(id).setAttribute("aria-pressed", String(on && available));
      $(id).dataset.state = on && available ? "" : "off";
      setIcon($(id), on && available ? onIcon : offIcon);
    };
    button("mic", person.micOn, Boolean(person.audio), "mic", "mic-off");
    button("camera", person.cameraOn, Boolean(person.video), "camera", "camera-off");
    $("ptt").setAttribute("aria-pressed", String(person.pushToTalk));
    $("ptt").dataset.state = person.pushToTalk ? "on" : "";
    $("hold").hidden = !person.pushToTalk || !person.audio || !person.micOn;
    $("hold").toggleAttribute("data-held", person.held);
    text($("hold-text"), person.held ? "Listening… release to send" : "Hold to talk");
    $("self").dataset.camera = person.cameraLive ? "on" : "off";
    text($("self-none").querySelector("span:last-child"), !devices.camera ? "Camera not used" : person.video || !person.cameraOn ? "Camera off" : "No camera");
    $("self-muted").hidden = person.micLive;
  }
}
