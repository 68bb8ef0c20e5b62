// <rapport-call>: a call with the agent as an element of any page. docs/embedding.md has its attributes, events, slots,
// parts and colours; rapport-call.d.ts its types.

import { Call } from "./call.js";
import { ALL } from "./senses.js";
import { styles, useFont } from "./look.js";
import { Ui } from "./ui.js";

// A page that is rendered without a browser may import this; the element then does nothing.
const Base = globalThis.HTMLElement ?? class {};
const THEMES = ["auto", "light", "dark"];
const KEYS = ["focus", "page", "off"];

/** The server that this file came from, which has it as embed/rapport-call.js; null where a bundler put it elsewhere. */
const HOME = (() => {
  const found = String(import.meta.url);
  return /^https?:/.test(found) ? new URL("../", found).href : null;
})();

const PROPERTIES = ["server", "token", "senses", "theme", "keys", "muted", "autostart"];

const address = (text) => {
  try {
    return new URL(text, document.baseURI);
  } catch {
    return null;
  }
};

export class RapportCall extends Base {
  static observedAttributes = ["server", "senses", "theme", "muted"];

  #call = null;
  #ui = null;
  #token;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = styles();
  }

  connectedCallback() {
    // Moved within the page: it goes on as it was.
    if (this.#call) return;
    this.#adopt();
    const server = this.server;
    const ui = new Ui(this, this.shadowRoot, { server: () => server, token: () => this.token });
    this.#ui = ui;
    this.#theme();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#theme(), { signal: ui.signal });
    useFont(ui);
    this.#call = new Call(ui);
    // Later: whoever put the element there or loaded this file has listeners by then.
    setTimeout(() => {
      if (this.#ui !== ui) return;
      this.#check();
      this.#call.begin();
    });
  }

  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.#end());
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.#call) return;
    if (name === "theme") this.#theme();
    if (name === "muted") this.#call.person.set({ micOn: !this.muted });
    if (name === "senses") this.#call.privacy.offer();
    if (name === "server") {
      this.#end();
      if (this.isConnected) this.connectedCallback();
    }
    this.#check();
  }

  /** Address of the server: an absolute URL, or one relative to the page. By default the server that this file is from. */
  get server() {
    const url = address(this.getAttribute("server") ?? HOME ?? "./") ?? new URL(HOME ?? "./", document.baseURI);
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    return url.href;
  }

  set server(url) {
    this.#put("server", url);
  }

  /** The join token, where the server wants one. As a property it does not show in the page's source. */
  get token() {
    return this.#token ?? this.getAttribute("token") ?? undefined;
  }

  set token(text) {
    this.#token = text ?? undefined;
  }

  /** Ids of the senses that are offered, or null for all: words voice expression gaze gesture scene. */
  get senses() {
    const given = this.getAttribute("senses");
    return given === null ? null : given.split(/[\s,]+/).filter((id) => ALL.includes(id));
  }

  set senses(ids) {
    this.#put("senses", ids === null || ids === undefined ? null : [...ids].join(" "));
  }

  /** "light", "dark", or "auto" for the system's. */
  get theme() {
    const given = this.getAttribute("theme");
    return THEMES.includes(given) ? given : "auto";
  }

  set theme(name) {
    this.#put("theme", name);
  }

  /** Whether the person's microphone is muted; follows the button in the call. */
  get muted() {
    return this.hasAttribute("muted");
  }

  set muted(on) {
    this.toggleAttribute("muted", Boolean(on));
  }

  /** Whether the call begins by itself, with exactly the senses named in `senses`: the page has asked for them. */
  get autostart() {
    return this.hasAttribute("autostart") && this.getAttribute("autostart") !== "false";
  }

  set autostart(on) {
    this.toggleAttribute("autostart", Boolean(on));
  }

  /** Where keyboard shortcuts work: "focus" (inside the element), "page" or "off". */
  get keys() {
    const given = this.getAttribute("keys");
    return KEYS.includes(given) ? given : "focus";
  }

  set keys(name) {
    this.#put("keys", name);
  }

  /** State of the link; see docs/embedding.md. */
  get state() {
    return this.#call?.recorder.record.state ?? "idle";
  }

  /** What the agent does: connecting, listening, thinking, speaking, lost, ended. */
  get mood() {
    return this.#call?.mood ?? "ended";
  }

  /** The server's name of the call, or null. */
  get call() {
    return this.#call?.callId ?? null;
  }

  /** What happened here, for tests and for the curious; described in src/call.js. */
  get record() {
    return this.#call?.recorder.record ?? null;
  }

  /**
   * Begin a call, best from a click. What the person has allowed is said by `senses`; without them the element asks.
   *
   * @param {Iterable<string>} [senses] ids; an empty one is a call in which the person types
   * @throws {TypeError} a sense is not known
   * @throws {DOMException} InvalidStateError: the element is in no page, or the browser cannot make calls
   */
  async start(senses) {
    const call = this.#running();
    if (senses === undefined) {
      if (!call.link) call.view("consent");
      return;
    }
    const ids = [...senses];
    const unknown = ids.find((id) => !ALL.includes(id));
    if (unknown !== undefined) throw new TypeError(`${JSON.stringify(unknown)} is no sense; there are ${ALL.join(", ")}`);
    await call.start(new Set(ids.filter((id) => call.privacy.possible.includes(id))));
  }

  /** End the call. */
  hangUp() {
    if (this.#call?.link) this.#call.hangUp();
  }

  /** Send words as if the person had typed them; whether they went out. */
  say(words) {
    return Boolean(this.#call?.acts.say(String(words)));
  }

  /** Let the agent stop talking. */
  stop() {
    this.#call?.acts.stop();
  }

  #running() {
    if (!this.#call) throw new DOMException("the element is in no page", "InvalidStateError");
    if (!this.#call.possible) throw new DOMException("this browser cannot make calls", "InvalidStateError");
    return this.#call;
  }

  /** Take over what was set on the element before this file was there to hear of it. */
  #adopt() {
    for (const name of PROPERTIES) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
  }

  #end() {
    this.#call?.dispose();
    this.#call = this.#ui = null;
  }

  #put(name, value) {
    if (value === null || value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  #theme() {
    const dark = this.theme === "dark" || (this.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    this.#ui.app.dataset.theme = dark ? "dark" : "light";
  }

  /** Say which attributes cannot be used. */
  #check() {
    const wrong = (name, words) => this.#call.telling.fail("attribute", { title: name, detail: words, fatal: false });
    const given = (name) => this.getAttribute(name);
    const server = given("server");
    if (server !== null && !address(server)) wrong("server", `${server} is no address; ${this.server} is used`);
    const unknown = given("senses")?.split(/[\s,]+/).filter((id) => id && !ALL.includes(id)) ?? [];
    if (unknown.length) wrong("senses", `${unknown.join(", ")}: no such sense; there are ${ALL.join(", ")}`);
    if (given("theme") !== null && !THEMES.includes(given("theme"))) wrong("theme", `${given("theme")} is none of ${THEMES.join(", ")}`);
    if (given("keys") !== null && !KEYS.includes(given("keys"))) wrong("keys", `${given("keys")} is none of ${KEYS.join(", ")}`);
  }
}

/** The senses there are, by id. */
export const SENSES = ALL;

if (globalThis.customElements && !customElements.get("rapport-call")) customElements.define("rapport-call", RapportCall);
