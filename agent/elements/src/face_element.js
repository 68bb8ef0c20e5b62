// <rapport-face>: the agent's face alone, for a screen, a kiosk or a page that makes the rest itself.

import { Avatar } from "./avatar.js";
import AVATAR from "./avatar.css";

// A page that is rendered without a browser may import this; the element then does nothing.
const Base = globalThis.HTMLElement ?? class {};
const SLOWLY = "--rapport-light-a 2.6s ease-in-out, --rapport-light-b 2.6s ease-in-out";
const HOST = `:host { display: block; position: relative; block-size: 320px; transition: ${SLOWLY}; } :host([hidden]) { display: none; }`;

const COLOURS = ["--rapport-light-a", "--rapport-light-b"];

let sheet = null;

function style() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(HOST + AVATAR);
  }
  return sheet;
}

export class RapportFace extends Base {
  /** What moves the mouth, asked for each picture: {level, open, round, width}, each 0..1, or null for silence. */
  sound = () => null;

  #light = this;
  #avatar = null;
  #ending = null;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [style()];
  }

  connectedCallback() {
    if (this.#avatar) return;
    this.#ending = new AbortController();
    this.#avatar = new Avatar(this.shadowRoot, { sound: () => this.sound(), light: this.light, signal: this.#ending.signal });
  }

  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.isConnected || !this.#avatar) return;
      this.#ending.abort();
      this.#avatar = null;
      this.shadowRoot.replaceChildren();
    });
  }

  /** The element whose --rapport-light-a and --rapport-light-b are the colours of the emotion; by default this one. */
  get light() {
    return this.#light;
  }

  set light(element) {
    for (const name of COLOURS) this.#light.style.removeProperty(name);
    this.#light = element;
    if (this.#avatar) this.#avatar.light = element;
    this.#avatar?.paintLight();
  }

  /** Show a display event: {emotion, gesture, intensity}. Unknown names show as neutral and no gesture. */
  display(event) {
    this.#avatar?.display(event);
  }

  /** "listening", "thinking", "speaking", or anything else for idle. */
  setState(state) {
    this.#avatar?.setState(state);
  }

  /** Say in words what the face shows, for those who do not see it. */
  describe(words) {
    this.#avatar?.describe(words);
  }
}

if (globalThis.customElements && !customElements.get("rapport-face")) customElements.define("rapport-face", RapportFace);
