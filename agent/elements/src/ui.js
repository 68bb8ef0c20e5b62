// What the parts of one element share: its shadow tree, where its server is, and an end that stops what they started.

import { grow, h } from "./dom.js";
import { fillIcons } from "./icons.js";
import TREE from "./call.html";

const NARROW_PX = 900;
const CLEARED_MS = 4000;

export class Ui {
  /**
   * @param {HTMLElement} host the element
   * @param {ShadowRoot} root its shadow tree, which is filled here
   * @param {{server: () => string, token: () => string | undefined}} place
   */
  constructor(host, root, place) {
    this.host = host;
    this.root = root;
    this.place = place;
    this.ending = new AbortController();
    root.replaceChildren(...TREE.map(grow));
    fillIcons(root);
    this.$ = (id) => root.getElementById(id);
    this.app = this.$("app");
  }

  /** Aborted when the element goes away. */
  get signal() {
    return this.ending.signal;
  }

  /** "consent" or "call". */
  get showing() {
    return this.app.dataset.view;
  }

  set showing(name) {
    this.app.dataset.view = name;
  }

  /** Whether there is no room for the side beside the stage. */
  get narrow() {
    return this.app.clientWidth > 0 && this.app.clientWidth <= NARROW_PX;
  }

  /** The address of something on the server; throws a TypeError where `server` is no address. */
  url(path) {
    return new URL(path, this.place.server());
  }

  token() {
    return this.place.token();
  }

  /** Name and port of the server. */
  get server() {
    return this.url("").host || "this machine";
  }

  /** Whether the person sees the server's address in the address bar. */
  get home() {
    return this.url("").origin === location.origin;
  }

  /** What this element's call is remembered under in this tab: there may be others, and other servers. */
  get key() {
    return `${this.url("").href}#${this.host.id}`;
  }

  every(ms, act) {
    const timer = setInterval(act, ms);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** Tell a screen reader, politely; what came before is not repeated. */
  announce(words) {
    const region = this.$("announcer");
    clearTimeout(this.clearing);
    region.textContent = words;
    this.clearing = setTimeout(() => (region.textContent = ""), CLEARED_MS);
  }

  /** Interrupt a screen reader: for what the person has to act on. What was said a moment ago stays: the next adds to it. */
  alarm(words) {
    const region = this.$("alarm");
    const now = performance.now();
    for (const line of [...region.children]) if (now - Number(line.dataset.at) > CLEARED_MS) line.remove();
    setTimeout(() => region.append(h("p", { data: { at: now } }, words)), 30);
  }

  /** Tell the page around the element. */
  tell(type, detail) {
    this.host.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
