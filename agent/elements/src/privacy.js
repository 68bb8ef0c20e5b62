// What the place of the call changes for the person: whether feelings are read at all, whether their words may be kept
// in writing, where else they go; and what became of their agreement, which is stored before anything is perceived.

import { text } from "./dom.js";
import { AGREEMENT } from "./messages.js";
import { ALL, AFFECT, SENSES, learn, wireNames } from "./senses.js";

export const CONSENT_VERSION = 2;

export class Privacy {
  constructor(call) {
    this.call = call;
    this.ui = call.ui;
    this.$ = call.ui.$;
    /** Whether the person wants their words kept; and whether they are, as the server says. */
    this.wanted = false;
    this.kept = false;
    this.possible = [...ALL];
    text(this.$("fact-host"), this.ui.server);
    this.$("fact-bar").hidden = !this.ui.home;
    this.$("keep-words").addEventListener("change", ({ target }) => (this.wanted = target.checked));
    this.$("keeping").addEventListener("click", () => this.stopKeeping());
    this.ask();
  }

  /** Before anybody consents: what this place does, and which other machines take part. */
  async ask() {
    const answer = await fetch(this.ui.url("status")).catch(() => null);
    const { sends_to: others = [], privacy = {} } = (answer?.ok && (await answer.json().catch(() => null))) || {};
    if (others.length) {
      text(this.$("fact-other"), others.join(", "));
      this.$("fact-here").hidden = true;
      this.$("fact-elsewhere").hidden = false;
    }
    this.ui.tell("place", { host: this.ui.server, others });
    const withheld = privacy.affect === "off" ? AFFECT : [];
    this.$("fact-no-affect").hidden = !withheld.length;
    const own = learn(privacy.senses);
    this.possible = SENSES.filter((sense) => !withheld.includes(sense.id) && (!sense.own || own.includes(sense.id))).map(({ id }) => id);
    this.offer();
    this.$("keep-words-row").hidden = privacy.records !== true;
    const notice = typeof privacy.notice === "string" && /^https?:\/\//.test(privacy.notice) ? privacy.notice : "";
    this.$("fact-notice").hidden = !notice;
    if (notice) this.$("notice-link").href = notice;
  }

  /** Offer what this place can do and the page around asks for. */
  offer() {
    const { senses } = this.ui.host;
    this.call.consent.offer(senses ? this.possible.filter((id) => senses.includes(id)) : this.possible);
    this.call.panel.offer(this.call.consent.offered);
  }

  /** What goes into a consent message. */
  consent() {
    return { version: CONSENT_VERSION, senses: this.call.recorder.sent(wireNames(this.call.senses)), locale: this.ui.app.lang, recording: this.wanted };
  }

  restore(wanted) {
    this.wanted = Boolean(wanted);
    this.$("keep-words").checked = this.wanted;
  }

  /** A note about the agreement. */
  note({ event, scopes = [] }) {
    const { stage } = this.call;
    if (event === "consent_not_stored") stage.notice("agreement", AGREEMENT.notStored);
    if (event === "not_erased") this.call.panel.erased(false);
    if (event === "consent_withdrawn") this.call.panel.erased(true);
    if (event === "not_erased") stage.notice("erased", AGREEMENT.notErased);
    if (event === "erased") stage.dismiss("erased");
    if (event !== "consent_stored" && event !== "consent_withdrawn") return;
    stage.dismiss("agreement");
    this.show(scopes.includes("recording"));
  }

  show(kept) {
    this.kept = kept;
    this.$("keeping").hidden = !kept;
  }

  stopKeeping() {
    this.restore(false);
    this.call.link?.ask("senses", { senses: this.call.recorder.sent(wireNames(this.call.senses)), recording: false });
    this.ui.announce("Your words are no longer kept.");
  }
}
