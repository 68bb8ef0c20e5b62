// One item, opened: its medium, what was perceived of it, what was asked, read and answered.

const VERDICTS = {
  right: { name: "Right", sign: "✓" },
  partly: { name: "Partly right", sign: "½" },
  wrong: { name: "Wrong", sign: "✗" },
  error: { name: "No answer", sign: "!" },
};
const verdict = (state) => h("span", { class: "verdict", data: { state } }, h("span", { "aria-hidden": "true" }, VERDICTS[state].sign), h("span", { class: "hidden" }, VERDICTS[state].name));
const stateOf = (credit) => (credit === 1 ? "right" : credit === 0 ? "wrong" : "partly");

/** Letters that an answer names, such as BD in "B, D" or B in "B. sad". */
function letters(answer, pattern) {
  const text = String(answer ?? "").trim();
  if (pattern === "single") return text ? [text[0].toUpperCase()] : [];
  return /^[A-Za-z][\sA-Za-z.,;，、]*$/.test(text) && !/[a-z]{2}/.test(text) ? [...text.toUpperCase().replace(/[^A-Z]/g, "")] : [];
}

class Opened {
  /** around(id) gives the ids before and after it, as the list is filtered. */
  constructor({ lanes, kinds, texts, around, groups }) {
    Object.assign(this, { lanes, kinds, texts, around, groups, urls: [] });
    this.dialog = $("item");
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => this.key(event));
  }

  show(row) {
    this.free();
    this.row = row;
    this.detail = data(`item-${row.index}`);
    this.number = Math.min(this.number ?? 0, this.detail.runs.length - 1);
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.querySelector(".item-body").scrollTop = 0;
    const hash = `#item=${encodeURIComponent(row.id)}`;
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }

  closed() {
    this.free();
    this.dialog.removeAttribute("aria-labelledby");
    this.dialog.replaceChildren();
    history.replaceState(null, "", "#list");
    document.querySelector(`[data-id="${CSS.escape(this.row.id)}"]`)?.focus();
  }

  /** Let go of the medium: a picture in memory is large. */
  free() {
    // A player that still looks for its source must not find it gone.
    this.player?.pause?.();
    this.player?.removeAttribute("src");
    this.player?.load?.();
    this.player = this.timeline = null;
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("video, audio, select, .timeline, pre")) return;
    const way = { ArrowLeft: "before", ArrowRight: "after" }[event.key];
    const next = way && this.around(this.row)[way];
    if (next) this.show(next);
  }

  draw() {
    const { detail, row } = this;
    const run = detail.runs[this.number];
    const { before, after } = this.around(row);
    const focus = this.dialog.contains(document.activeElement) ? document.activeElement.dataset.way : null;
    const step = (to, way, name, sign) => h("button", { type: "button", class: "round", disabled: !to, "aria-label": name, data: { way }, onclick: () => this.show(to) }, sign);
    const group = this.groups.get(row.code);
    this.timeline = new Timeline(run, this.lanes, this.asked(run), (time, final) => this.seek(time, final));
    this.dialog.replaceChildren(
      h("header", { class: "item-top" }, verdict(row.state),
        h("div", { class: "item-head" }, h("h2", { id: "item-title" }, group && group.name !== row.code ? `${row.code} · ${group.name}` : row.code), h("p", { class: "hint" }, `${row.id} · ${detail.media.name}`)),
        detail.runs.length > 1 ? this.repeats() : null,
        step(before, "before", "Item before", "‹"), step(after, "after", "Next item", "›"),
        h("button", { type: "button", class: "round", "aria-label": "Close", onclick: () => this.dialog.close() }, "✕")),
      h("div", { class: "item-body" },
        h("div", { class: "item-media" }, this.medium(), this.problems(run), h("h3", {}, "What was perceived"), this.timeline.node, this.facts(run)),
        h("div", { class: "item-asks" }, detail.asks.map((ask, i) => this.ask(ask, run.answers[i], i)))));
    this.dialog.setAttribute("aria-labelledby", "item-title");
    if (focus) {
      const again = this.dialog.querySelector(`[data-way="${focus}"]:not(:disabled)`) ?? this.dialog.querySelector("[aria-label=Close]");
      again.focus();
    }
  }

  asked(run) {
    return run.answers.map((answer, i) => ({ at_s: answer.at_s ?? this.detail.asks[i]?.at_s, name: run.answers.length > 1 ? `asked ${i + 1}` : "asked" }));
  }

  repeats() {
    const select = h("select", { "aria-label": "Repetition", onchange: () => ((this.number = Number(select.value)), this.free(), this.draw()) },
      this.detail.runs.map((run, i) => h("option", { value: i, selected: i === this.number }, `Repetition ${i + 1} of ${this.detail.runs.length}`)));
    return select;
  }

  medium() {
    const { media, sees } = this.detail;
    if (media.kind === "missing") return h("p", { class: "notice" }, "The medium is not where the data set was read from.");
    let source = media.link;
    if (known(media.embedded)) {
      const [head, body] = $(`media-${media.embedded}`).textContent.split(",", 2);
      const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
      source = URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(";")[0] }));
      this.urls.push(source);
    }
    if (media.kind === "image") return h("img", { class: "medium", src: source, alt: `Picture of ${this.row.id}` });
    const player = h(media.kind, { class: "medium", src: source, controls: true, preload: known(media.embedded) ? "auto" : "metadata", playsinline: true, "aria-label": `${media.kind === "video" ? "Video" : "Sound"} of ${this.row.id}` });
    const trouble = h("p", { class: "notice", hidden: true }, "This browser cannot play the medium. ", media.link ? h("a", { href: media.link }, "Open the file itself") : "It is in the page, in a form that the browser does not know.");
    player.addEventListener("error", () => (trouble.hidden = false));
    const follow = () => this.timeline?.at(player.currentTime);
    for (const type of ["timeupdate", "seeking", "loadedmetadata"]) player.addEventListener(type, follow);
    player.addEventListener("play", () => {
      this.kept = null;
      const run = () => (follow(), player.paused || requestAnimationFrame(run));
      requestAnimationFrame(run);
    });
    this.player = player;
    this.kept = null;
    return h("div", { class: "medium-box", data: { sees } }, player, trouble);
  }

  /** Go to an instant. Hovering only looks in, while nothing plays, and goes back when the pointer leaves. */
  seek(time, final) {
    const player = this.player;
    if (!player || (!final && !player.paused)) return;
    if (time === null) {
      if (known(this.kept)) player.currentTime = this.kept;
      this.kept = null;
      return;
    }
    if (!final) this.kept ??= player.currentTime;
    else this.kept = player.paused ? time : null;
    const end = Number.isFinite(player.duration) ? player.duration : time;
    player.currentTime = Math.max(0, Math.min(time, end));
    this.timeline.at(time);
  }

  problems(run) {
    const told = [this.detail.problem && `The data set's entry cannot be used: ${this.detail.problem}.`, run.error && `The item failed: ${run.error}`, ...(run.notes ?? []).map((note) => `Note: ${note}`)].filter(Boolean);
    return told.map((text) => h("p", { class: "notice" }, text));
  }

  facts(run) {
    if (!known(run.took_s)) return null;
    const told = [["Length", seconds(run.media_s)], ["Work", seconds(run.took_s)], ["Pictures seen", count(run.frames_seen)], ["Sound heard", seconds(run.heard_s)],
      ...Object.entries(run.stages ?? {}).map(([name, value]) => [clean(name), /_(count|bytes)$/.test(name) ? count(value) : seconds(value)])];
    return h("details", { class: "more" }, h("summary", {}, "Times and counts"), list(told));
  }

  ask(ask, answer, i) {
    const right = letters(ask.answer, ask.pattern);
    const said = letters(answer.strict.parsed, "multi");
    const options = ask.options.map((option) => {
      const letter = option.trim()[0]?.toUpperCase();
      const marks = [said.includes(letter) && "said", right.includes(letter) && "right"].filter(Boolean);
      return h("li", { data: { right: right.includes(letter), said: said.includes(letter) } }, h("span", {}, option), marks.length ? h("b", {}, marks.join(", ")) : null);
    });
    const answered = answer.kind === "" || answer.kind === "not_understood";
    const state = answered ? stateOf(answer.strict.credit) : "error";
    const { reference } = answer;
    const theirs = reference.crash ? `Reference: would crash (${reference.crash})` : !reference.counts ? "Reference: left out" : `Reference: ${VERDICTS[stateOf(reference.credit)].name.toLowerCase()}`;
    const [, thought, rest] = /^\s*<think>([\s\S]*?)<\/think>([\s\S]*)$/.exec(answer.raw ?? "") ?? [null, "", ""];
    const name = `ask-${i}`;
    return h("section", { class: "ask", "aria-labelledby": name },
      this.detail.asks.length > 1 ? h("p", { class: "over" }, `Question ${i + 1} of ${this.detail.asks.length}`) : null,
      h("h3", { id: name, class: "question" }, ask.question),
      options.length ? h("ul", { class: "options" }, options) : null,
      h("div", { class: "badges" },
        h("span", { class: "badge", data: { state } }, `Strict: ${answered ? VERDICTS[state].name.toLowerCase() : "no answer"}`),
        h("span", { class: "badge" }, theirs)),
      list([["Right answer", ask.answer || "–"], ["Understood as", answer.strict.parsed || "–"]], "answers"),
      answer.kind ? h("p", { class: "notice" }, `${sentence(this.kinds[answer.kind] ?? answer.kind)}${answer.message ? `: ${answer.message}` : ""}.`) : null,
      answer.reason ? part("Reason", h("p", { class: "reason" }, answer.reason)) : null,
      thought ? part("Reasoning", h("pre", { tabindex: 0 }, thought.trim())) : null,
      known(answer.raw) ? part(thought ? "Answer" : "Answer, verbatim", h("pre", { tabindex: 0 }, (thought ? rest : answer.raw).trim() || "(empty)")) : null,
      thought ? h("details", { class: "more" }, h("summary", {}, "All of it, verbatim"), h("pre", { tabindex: 0 }, answer.raw)) : null,
      answer.prompt?.length ? h("details", { class: "more" }, h("summary", {}, `What the policy could read (${some(answer.prompt.length, "message")})`),
        answer.prompt.map(([role, text]) => h("div", { class: "message" }, h("b", {}, role), h("pre", { tabindex: 0 }, typeof text === "number" ? this.texts[text] : text)))) : null,
      known(answer.at_s) ? list([["Asked at", stamp(answer.at_s)], ["Answered after", answered ? seconds(answer.answer_s) : "–"], ["Pictures", count(answer.frames)], ["Sound", seconds(answer.heard_s)], ["Tokens", count(answer.tokens)]], "budget") : null);
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const part = (name, node) => h("div", { class: "part" }, h("h4", {}, name), node);
const list = (pairs, klass = "") => h("dl", { class: `pairs ${klass}` }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
