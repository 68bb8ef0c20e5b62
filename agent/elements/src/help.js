// Who can help, on a card that stays until the person puts it away, also after the call. Put away, it stays within reach
// of one button, and nothing more is said of it.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { HELP } from "./messages.js";
import { local } from "./place.js";

const dial = (number) => number.replace(/[^+\d]/g, "");

export class Help {
  constructor(ui) {
    this.ui = ui;
    this.$ = ui.$;
    this.card = null;
    /** The last message of this call, or null. */
    this.last = null;
    this.again = h("button", { type: "button", class: "chip help-again", part: "help-again", onclick: () => this.bringBack() }, icon("shield"), HELP.again);
  }

  /** The message that is on the screen now, or null. */
  get shown() {
    return this.card ? this.last : null;
  }

  /** Show one `resource` message; the next replaces it. */
  show({ kind, country, contacts: known = [], reviewed, emergency }) {
    const contacts = local(known, emergency);
    this.last = { kind, country, contacts, reviewed };
    this.put();
    const words = HELP[kind] ?? HELP.self_harm;
    const first = contacts[0];
    this.ui.alarm(`${words.title}. ${first ? `${first.name}: ${first.number || first.text || first.url}` : words.text}`);
  }

  put() {
    const { kind, country, contacts, reviewed } = this.last;
    const words = HELP[kind] ?? HELP.self_harm;
    const card = h(
      "section",
      { class: "help", part: "help", "aria-labelledby": "help-title", tabindex: "-1", data: { kind } },
      h(
        "header",
        {},
        icon("shield"),
        h("h2", { id: "help-title" }, words.title),
        h("button", { type: "button", class: "quiet", onclick: () => this.hide() }, icon("close"), HELP.hide),
      ),
      h("p", {}, words.text),
      h("ul", { class: "help-contacts" }, ...contacts.map(contact)),
      h("p", { class: "help-note" }, HELP.checked(country, reviewed)),
    );
    this.again.remove();
    if (this.card) this.card.replaceWith(card);
    else this.$("notices").prepend(card);
    this.card = card;
  }

  hide() {
    this.card?.replaceWith(this.again);
    this.card = null;
    this.again.focus({ preventScroll: true });
  }

  /** The person asks for the numbers once more. */
  bringBack() {
    this.put();
    this.card.focus({ preventScroll: true });
  }

  /** A new call begins without the card of the one before. */
  clear() {
    this.card?.remove();
    this.again.remove();
    this.card = null;
    this.last = null;
  }
}

function contact({ name, number, text, url, hours, note }) {
  const ways = [];
  if (number) ways.push(h("a", { class: "primary", href: `tel:${dial(number)}`, "aria-label": HELP.callName(name, number) }, HELP.call(number)));
  if (text) ways.push(h("a", { class: "quiet", href: `sms:${dial(text)}`, "aria-label": HELP.textName(name, text) }, HELP.text(text)));
  if (url && /^https:\/\//.test(url)) ways.push(h("a", { class: "quiet", href: url, target: "_blank", rel: "noopener noreferrer" }, url.replace("https://", "")));
  const more = [hours, note].filter(Boolean).join(". ");
  return h("li", {}, h("span", { class: "help-name" }, h("b", {}, name), more ? h("small", {}, more) : null), h("span", { class: "help-ways" }, ...ways));
}
