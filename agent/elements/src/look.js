// How the element looks: its style sheets, which a content security policy does not forbid, and its letters.

import AVATAR from "./avatar.css";
import BASE from "./base.css";
import CALL from "./call.css";
import CONSENT from "./consent.css";
import PANEL from "./panel.css";

const FAMILY = "Rapport Figtree";
const FILES = [
  ["figtree.woff2", "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122, U+2191, U+2193, U+2212, U+2215"],
  ["figtree-ext.woff2", "U+0100-02BA, U+1E00-1E9F, U+1EF2-1EFF, U+20A0-20AB, U+20AD-20C0"],
];

let made = null;
let asked = false;

/** The style sheets, one object each for all elements of a page. */
export function styles() {
  made ??= [BASE, AVATAR, CONSENT, CALL, PANEL].map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  return made;
}

/**
 * Get the letters from the server, once a page; without them the system's are used. They are fetched like everything
 * else, so the page's policy needs no word about fonts, and not at all where `--rapport-font` names others.
 */
export function useFont(ui) {
  if (asked || getComputedStyle(ui.host).getPropertyValue("--rapport-font")) return;
  asked = true;
  for (const [file, unicodeRange] of FILES) {
    fetch(ui.url(file), { signal: ui.signal })
      .then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(answer.statusText))))
      .then((bytes) => new FontFace(FAMILY, bytes, { weight: "300 900", unicodeRange }).load())
      .then((face) => document.fonts.add(face))
      .catch(() => {});
  }
}
