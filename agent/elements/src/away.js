// A sense of the agent is away: told to the person whatever else they may observe, and it stays until it is back.

import { AWAY } from "./messages.js";
import { SENSES } from "./senses.js";

export class Missing {
  constructor(call) {
    this.call = call;
    this.told = "";
  }

  /** A note of the server; others are none of its business. */
  note({ event, senses = [], hearing = false, typing = true }) {
    const { stage, ui } = this.call;
    if (event === "words_lost") stage.notice("words-lost", { ...AWAY.words(typing), seconds: 15 });
    if (event !== "senses_away") return;
    this.call.panel.miss(senses);
    const told = JSON.stringify([senses, hearing, typing]);
    if (told === this.told) return; // it is told again for pages that were loaded anew
    this.told = told;
    stage.deafen(hearing);
    if (!senses.length) {
      stage.dismiss("away");
      return;
    }
    const field = ui.$("words");
    const actions = hearing && typing && field ? [["Type", () => field.focus()]] : [];
    const names = SENSES.filter((sense) => sense.lost.some((name) => senses.includes(name))).map((sense) => sense.title);
    stage.notice("away", { ...(hearing ? AWAY.hearing(typing) : AWAY.senses(names)), actions });
  }

  clear() {
    this.told = "";
    this.call.stage.deafen(false);
  }
}
