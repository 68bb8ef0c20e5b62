// What the page around the element is told, as events of the element.

const PASSED = new Set(["caption", "percept", "decision", "display", "resource"]);

export class Telling {
  constructor(call) {
    this.call = call;
    this.ui = call.ui;
    this.told = JSON.stringify(this.where());
  }

  where() {
    const { call } = this;
    return { state: call.recorder.record.state, mood: call.mood, quality: call.link?.quality ?? "live", call: call.callId ?? null };
  }

  /** Tell where the call is, when that has changed. */
  state() {
    const detail = this.where();
    const key = JSON.stringify(detail);
    if (key === this.told) return;
    this.told = key;
    this.ui.tell("state", detail);
  }

  /** Pass on what the server told, without the words that only frame it. */
  pass({ v, t, ...detail }) {
    if (PASSED.has(t)) this.ui.tell(t, detail);
  }

  /** Tell that something went wrong; `fatal` if the call is over by it. */
  fail(kind, { title = "", detail = "", fatal = true } = {}) {
    this.ui.tell("error", { kind, title, detail, fatal });
  }
}
