// What the person is told of the connection, and how the page comes back into a call: by itself where it can, always in
// sight, and with a button where it cannot. link.js does the connecting.

import { CLOSING, LINK } from "./messages.js";
import { drop, keep, kept } from "./session.js";

const SLACK_S = 5;
const FORGET_S = 600;

export class Lifeline {
  constructor(call) {
    this.call = call;
    this.ui = call.ui;
    this.$ = call.ui.$;
    this.stage = call.stage;
    addEventListener("pagehide", () => this.leave(), { signal: this.ui.signal });
  }

  /** Follow a state of the link, see link.js. */
  follow({ state, attempt, nextMs = 0, reason, fresh }) {
    const { call } = this;
    this.stopCounting();
    if (state !== "ready") this.stage.dismiss("link");
    switch (state) {
      case "connecting":
        call.setMood("connecting");
        break;
      case "ready":
        this.ready(fresh);
        break;
      case "lost":
        call.setMood("lost");
        this.count(Math.round(nextMs / 1000), (seconds) => this.lost(attempt, seconds));
        break;
      case "retrying":
        this.lost(attempt, 0);
        this.timer = setInterval(() => this.lost(attempt, 0), 1000);
        break;
      case "refused":
        this.refused(reason);
        break;
      case "expired":
        this.expired();
        break;
      case "gone":
      case "moved":
        call.over(state);
        break;
      case "left":
        if (this.stage.cover !== "fatal") call.over("left");
        break;
      default:
    }
  }

  lost(attempt, seconds) {
    this.stage.show("lost", { attempt, seconds, keptS: this.call.link?.keptS ?? 0 });
  }

  ready(fresh) {
    const again = this.call.recorder.connections > 0 || this.resuming;
    this.resuming = false;
    this.call.ready(fresh);
    this.keep();
    if (!again) this.ui.announce("Connected. The agent is listening.");
    else this.stage.notice("link", { ...(fresh ? LINK.fresh : LINK.back), calm: !fresh, seconds: fresh ? 20 : 4 });
  }

  /** The link answers late, or in time again. */
  weigh(quality) {
    if (quality === "degraded") this.stage.notice("link", LINK.degraded);
    else this.stage.notice("link", { ...LINK.back, calm: true, seconds: 4 });
  }

  /** The server will stop: say when, so that nobody is cut off in the middle of a sentence. */
  closing({ seconds = 0 }) {
    this.stage.notice("closing", CLOSING(Math.round(seconds)));
  }

  refused(reason) {
    const { call } = this;
    if (reason.retryAfterS === null) {
      call.over("refused", { title: reason.title, detail: reason.detail });
      return;
    }
    this.count(Math.max(1, reason.retryAfterS), (seconds) => (seconds > 0 ? this.stage.show("busy", { detail: reason.detail, seconds }) : call.connect()));
    // After the cover, by which the page around is told that it is busy.
    call.setMood("ended");
  }

  /** Call `show` each second with what is left, down to 0. */
  count(seconds, show) {
    this.stopCounting();
    show(seconds);
    if (seconds <= 0) return;
    let left = seconds;
    this.timer = setInterval(() => {
      left -= 1;
      if (left <= 0) this.stopCounting();
      show(left);
    }, 1000);
  }

  stopCounting() {
    clearInterval(this.timer);
  }

  /** Remember what a reload needs to come back. */
  keep() {
    const { link, person, privacy, senses } = this.call;
    if (!link?.resume || this.ui.showing !== "call") return;
    const { micOn, cameraOn, pushToTalk } = person;
    const began = Date.now() - Math.round(performance.now() - this.call.beganAt);
    keep(this.ui.key, { resume: link.resume, keptS: link.limits.kept_s, senses: [...senses], recording: privacy.wanted, began, micOn, cameraOn, pushToTalk });
  }

  /** After a reload: go on with the call that this tab was in, if it can still be there; whether it does. */
  comeBack() {
    const found = kept(this.ui.key);
    if (!found) return false;
    if (found.ageS <= found.keptS + SLACK_S) {
      this.resuming = true;
      this.call.privacy.restore(found.recording);
      this.call.start(new Set(found.senses), found);
      return true;
    }
    drop(this.ui.key);
    if (found.ageS < FORGET_S) this.sayOver(found.senses);
    return false;
  }

  /** The call is over on the server's side. No camera opens again without a new click. */
  expired() {
    const { call } = this;
    const senses = call.senses;
    this.resuming = false;
    call.over("expired");
    this.stage.show(null);
    call.view("consent");
    this.sayOver(senses);
  }

  sayOver(senses) {
    this.call.consent.restore(senses);
    this.stage.notice("link", { ...LINK.over, place: this.$("consent-notices") });
  }

  end() {
    this.stopCounting();
    drop(this.ui.key);
    const { link } = this.call;
    // Where the data channel is dead, this frees the line.
    if (link && (link.state === "lost" || link.state === "retrying")) this.bye(link.pcId, false);
  }

  /** The page goes away: closed or only reloaded, nobody knows. */
  leave() {
    const id = this.call.link?.pcId;
    if (!id) return;
    this.keep();
    this.bye(id, true);
  }

  bye(id, mayReturn) {
    if (!id) return;
    const body = JSON.stringify({ pc_id: id, may_return: mayReturn });
    const url = this.ui.url("api/bye");
    if (this.ui.home) navigator.sendBeacon(url, new Blob([body], { type: "application/json" }));
    // A beacon carries credentials, which a server of another origin has no use for and does not allow.
    else fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: true }).catch(() => {});
  }
}
