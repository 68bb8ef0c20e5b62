// What was perceived, in lanes over the length of the medium. One stop for the tab key; arrows go on from there.

const NEVER_EMPTY = new Set(["words", "expression", "gaze", "voice", "gesture", "people"]);
const MOODS = new Set(["happy", "sad", "angry", "fear", "disgust", "surprise", "neutral", "uncertain"]);

class Timeline {
  /** run: what was recorded; asks: [{at_s, name}]; seek(seconds, final) moves the medium. */
  constructor(run, lanes, asks, seek) {
    this.seek = seek;
    const ends = (run.timeline ?? []).map((span) => span.end ?? 0);
    this.end = Math.max(run.media_s || 0, ...ends, ...asks.map((ask) => ask.at_s || 0), 0.001);
    this.lanes = lanes
      .map((lane) => ({ lane, spans: (run.timeline ?? []).filter((span) => span.lane === lane) }))
      .filter(({ lane, spans }) => spans.length || NEVER_EMPTY.has(lane));
    this.nodes = [];
    this.heads = [];
    const marks = asks.filter((ask) => known(ask.at_s));
    this.node = h("div", { class: "timeline", role: "group", "aria-label": `What was perceived, over ${stamp(this.end)}. Arrow keys move between percepts, Enter goes to one in the medium.` },
      this.lanes.map(({ lane, spans }, row) => h("div", { class: "lane" }, h("span", { class: "lane-name" }, lane), this.strip(lane, spans, row, marks))),
      this.axis(marks));
    this.node.addEventListener("keydown", (event) => this.key(event));
  }

  part(time) {
    return (100 * Math.max(0, Math.min(this.end, time))) / this.end;
  }

  strip(lane, spans, row, asks) {
    const svg = s("svg", { class: "strip", height: 26 }, s("rect", { class: "bed", width: "100%", height: 26 }));
    this.nodes[row] = spans.map((span, column) => {
      const x = this.part(span.start);
      const width = Math.max(0.6, this.part(span.end) - x);
      const words = clean(span.label) || clean(span.kind);
      const told = lane === "other" || lane === "scene" ? `${clean(span.kind)}: ${words}` : words;
      const sure = known(span.sure) ? `, ${Math.round(100 * span.sure)} % sure` : "";
      const tip = `${told}${sure} · ${stamp(span.start)} to ${stamp(span.end)}${span.n > 1 ? ` · ${span.n} looks` : ""}`;
      const look = lane === "expression" && MOODS.has(span.label) ? span.label : lane === "gaze" && span.label === "uncertain" ? "uncertain" : "";
      const node = s("svg", { class: "span", x: `${Math.min(x, 99.4)}%`, y: 3, width: `${width}%`, height: 20, role: "button", tabindex: -1, "aria-label": `${lane}: ${tip}`, data: { tip, lane, look } },
        s("rect", { width: "100%", height: 20, rx: 4 }),
        width > 7 ? s("text", { x: 6, y: 14 }, told) : null);
      // Sure is strong: a doubtful percept is pale, and never so pale that it is not there.
      node.style.setProperty("--sure", known(span.sure) ? (0.14 + 0.46 * span.sure).toFixed(2) : "0.5");
      node.addEventListener("click", (event) => (event.stopPropagation(), this.focus(row, column), this.seek(span.start, true)));
      svg.append(node);
      return node;
    });
    if (row === this.lanes.findIndex(({ spans: all }) => all.length)) this.nodes[row][0]?.setAttribute("tabindex", 0);
    if (!spans.length) svg.append(s("text", { class: "none", x: 8, y: 17 }, "nothing"));
    for (const ask of asks) svg.append(s("line", { class: "asked", x1: `${this.part(ask.at_s)}%`, x2: `${this.part(ask.at_s)}%`, y1: 0, y2: 26 }));
    const head = s("line", { class: "head", y1: 0, y2: 26, x1: 0, x2: 0 });
    this.heads.push(head);
    svg.append(head);
    const time = (event) => {
      const box = svg.getBoundingClientRect();
      return (this.end * (event.clientX - box.left)) / box.width;
    };
    svg.addEventListener("click", (event) => this.seek(time(event), true));
    svg.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.seek(time(event), false));
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.seek(null, false));
    return svg;
  }

  axis(asks) {
    const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
    const step = steps.find((k) => this.end / k <= 7) ?? 3600;
    const ticks = [];
    for (let tick = 0; tick <= this.end + 1e-6; tick += step) ticks.push(tick);
    const place = (node, time) => ((node.style.left = `${this.part(time)}%`), node);
    return h("div", { class: "lane lane-axis", "aria-hidden": "true" }, h("span", { class: "lane-name" }),
      h("div", { class: "ticks" }, ticks.map((tick) => place(h("i", { class: this.part(tick) > 96 ? "last" : null }, step < 1 ? stamp(tick) : stamp(tick).slice(0, -2)), tick)),
        asks.map((ask) => place(h("i", { class: "asked-name" }, ask.name), ask.at_s))));
  }

  focus(row, column) {
    const node = this.nodes[row]?.[column];
    if (!node) return;
    for (const other of this.nodes.flat()) other.setAttribute("tabindex", -1);
    node.setAttribute("tabindex", 0);
    node.focus({ preventScroll: false });
  }

  key(event) {
    const row = this.nodes.findIndex((all) => all.includes(event.target));
    if (row < 0) return;
    const column = this.nodes[row].indexOf(event.target);
    const span = this.lanes[row].spans[column];
    const near = (from, by) => {
      for (let r = from + by; r >= 0 && r < this.nodes.length; r += by) {
        if (!this.nodes[r].length) continue;
        const gaps = this.lanes[r].spans.map((other) => Math.abs(other.start - span.start));
        return this.focus(r, gaps.indexOf(Math.min(...gaps)));
      }
    };
    const act = {
      ArrowLeft: () => this.focus(row, column - 1),
      ArrowRight: () => this.focus(row, column + 1),
      ArrowUp: () => near(row, -1),
      ArrowDown: () => near(row, 1),
      Home: () => this.focus(row, 0),
      End: () => this.focus(row, this.nodes[row].length - 1),
      Enter: () => this.seek(span.start, true),
      " ": () => this.seek(span.start, true),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /** Show where the medium is. */
  at(time) {
    const x = `${this.part(time)}%`;
    for (const head of this.heads) {
      head.setAttribute("x1", x);
      head.setAttribute("x2", x);
    }
  }
}
