// Who can help, on a card that stays until the person puts it away, also after the call.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { HELP } from "./messages.js";

const dial = (number) => number.replace(/[^+\d]/g, "");

export class Help {
  constructor(ui) {
    this.ui = ui;
    this.$ = ui.$;
    this.card = null;
    /** The last message shown, or null once it was put away. */
    this.shown = null;
  }

  /** Show one `resource` message; the next replaces it. */
  show({ kind, country, contacts = [], reviewed }) {
    const words = HELP[kind] ?? HELP.self_harm;
    const first = contacts[0];
    const card = h(
      "section",
      { class: "help", part: "help", "aria-labelledby": "help-title", data: { kind } },
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
    if (this.card) this.card.replaceWith(card);
    else this.$("notices").prepend(card);
    this.card = card;
    this.shown = { kind, country, contacts, reviewed };
    this.ui.alarm(`${words.title}. ${first ? `${first.name}: ${first.number || first.text || first.url}` : words.text}`);
  }

  hide() {
    this.card?.remove();
    this.card = null;
    this.shown = null;
    this.ui.app.focus({ preventScroll: true });
  }

  /** A new call begins without the card of the one before. */
  clear() {
    this.card?.remove();
    this.card = null;
    this.shown = null;
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
