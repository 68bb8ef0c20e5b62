// The lanes, drawn on one canvas per call, so that an hour with fifty thousand events is as quick as a minute.

const ROW = 26, AXIS = 22, LEAST_S = 0.5;
const DASHED = new Set(["uncertain"]);
const LOOKS = new Set(["happy", "sad", "angry", "fear", "disgust", "surprise"]);
const tones = {};
const canvases = [];

/** Colours as the theme has them; read again when it changes. */
function readTones() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["bg", "surface", "soft", "ink", "ink-2", "line", "edge", "accent", "human", "danger", "warn", "good", "happy", "sad", "angry", "fear", "disgust", "surprise", "plain"]) tones[name] = style.getPropertyValue(`--${name}`).trim();
  Object.assign(tones, { gaze: "#5b8def", voice: "#b6559b", gesture: "#d27a3b", people: "#3fa793" });
  tones.font = style.getPropertyValue("--font") || "sans-serif";
}

function tone(lane, span) {
  switch (lane) {
    case "person": return tones.human;
    case "agent": return span.k === "cut" ? tones.danger : tones.accent;
    case "decisions": return span.k === "wait" ? tones.edge : span.k === "backchannel" ? tones.people : tones.accent;
    case "expression": case "display": return LOOKS.has(lane === "display" ? span.k : span.l) ? tones[lane === "display" ? span.k : span.l] : tones.plain;
    case "safety": return tones.danger;
    case "latency": return span.k === "late" ? tones.warn : tones.good;
    case "notes": return span.k === "error" ? tones.danger : span.k === "warning" ? tones.warn : tones.edge;
    case "scene": case "other": return ["sense_lost"].includes(span.k) ? tones.danger : tones.edge;
    case "state": return span.l === "speaking" ? tones.accent : span.l === "thinking" ? tones.warn : tones.edge;
    default: return tones[lane] ?? tones.edge;
  }
}

const shownLanes = (call) => call.lanes.filter(({ id }) => view.groups.has(groupOfLane[id]));
const stepOf = (span) => [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].find((k) => span / k <= 9) ?? 36000;
const clock = (x) => (x >= 3600 ? `${Math.floor(x / 3600)}:${String(Math.floor(x / 60) % 60).padStart(2, "0")}:${(x % 60).toFixed(1).padStart(4, "0")}` : stamp(x));

function build() {
  const home = $("timeline");
  home.replaceChildren(...calls.map((call, n) => {
    const canvas = h("canvas", { class: "lanes", "aria-hidden": "true" });
    const names = h("div", { class: "names", "aria-hidden": "true" });
    canvases[n] = { canvas, names, call };
    return h("div", { class: "call" },
      calls.length > 1 ? h("p", { class: "call-name" }, h("b", { class: "letter", data: { letter: call.letter } }, call.letter), " ", call.name) : null,
      h("div", { class: "drawn" }, names, canvas));
  }));
  home.setAttribute("aria-valuemax", total.toFixed(1));
}

/** Make a canvas as large as its box, and return its pen in CSS pixels. */
function pen(canvas, height) {
  const width = canvas.clientWidth, scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  const to = canvas.getContext("2d");
  to.setTransform(scale, 0, 0, scale, 0, 0);
  to.clearRect(0, 0, width, height);
  return { to, width };
}

function draw() {
  for (const one of canvases) drawCall(one);
  drawOverview();
}

function drawCall({ canvas, names, call }) {
  const lanes = shownLanes(call);
  if (names.childElementCount !== lanes.length + 1 || names.dataset.of !== lanes.map(({ id }) => id).join()) {
    names.dataset.of = lanes.map(({ id }) => id).join();
    names.replaceChildren(...lanes.map(({ name }) => h("span", {}, name)), h("span", { class: "names-axis" }));
  }
  const height = lanes.length * (ROW + 2) + AXIS;
  const { to, width } = pen(canvas, height);
  const scale = width / (view.to - view.from), x = (t) => (t - view.from) * scale;
  const step = stepOf((view.to - view.from) * Math.max(1, 620 / width));
  to.font = `560 11px ${tones.font}`;
  to.textBaseline = "middle";
  lanes.forEach((lane, row) => {
    const y = row * (ROW + 2);
    to.fillStyle = tones.soft;
    to.beginPath();
    to.roundRect(0, y, width, ROW, 6);
    to.fill();
  });
  to.strokeStyle = tones.line;
  to.fillStyle = tones["ink-2"];
  to.textAlign = "center";
  to.beginPath();
  for (let tick = Math.ceil(view.from / step) * step; tick <= view.to + 1e-9; tick += step) {
    const at = Math.round(x(tick)) + 0.5;
    to.moveTo(at, 0);
    to.lineTo(at, height - AXIS + 4);
    const text = step < 1 ? clock(tick) : clock(tick).slice(0, -2);
    const half = to.measureText(text).width / 2;
    to.fillText(text, Math.max(half, Math.min(width - half, at)), height - AXIS / 2 + 1);
  }
  to.stroke();
  to.textAlign = "left";
  const dim = view.words ? view.matching[calls.indexOf(call)] : null;
  lanes.forEach((lane, row) => drawLane(to, lane, row * (ROW + 2), x, width, dim));
  if (call.length < view.to && call.length >= view.from && call.length < total - 0.001) {
    to.fillStyle = tones["ink-2"];
    to.fillRect(x(call.length), 0, 1.5, height - AXIS);
    to.fillText("ended", x(call.length) + 6, ROW / 2);
  }
  const head = x(view.at);
  to.fillStyle = tones.danger;
  to.fillRect(Math.min(width - 2, Math.max(0, head - 1)), 0, 2, height - AXIS + 4);
}

function drawLane(to, { id, spans }, y, x, width, dim) {
  let done = -1, barred = -1;
  // Sorted by start: what reaches into the view from before it is among the last few that began there.
  const first = Math.max(0, place(spans, view.from, (span) => span.s) - 40);
  for (let n = first; n < spans.length && spans[n].s <= view.to; n++) {
    const span = spans[n];
    const left = x(span.s), right = Math.max(left + 3, x(span.e));
    if (right < 0) continue;
    const colour = tone(id, span);
    if (span.k === "sound") {
      if (right <= barred) continue;
      to.globalAlpha = 1;
      to.fillStyle = colour;
      to.fillRect(left, y + ROW - 3, right - left, 2);
      barred = right;
      continue;
    }
    if (right <= done + 0.5) continue; // hidden behind what is drawn
    done = right;
    const a = Math.max(-8, left), wide = Math.min(width + 8, right) - a;
    const pale = dim && !near(id, span, dim);
    to.globalAlpha = pale ? 0.1 : span.c === undefined ? 0.5 : 0.18 + 0.47 * span.c;
    to.fillStyle = to.strokeStyle = colour;
    to.beginPath();
    to.roundRect(a + 0.5, y + 3.5, Math.max(2, wide - 1), ROW - 8, Math.min(4, wide / 2));
    if (!(id === "expression" && DASHED.has(span.l))) to.fill();
    to.globalAlpha = pale ? 0.25 : 1;
    if (wide > 4) to.stroke();
    let room = wide - 10, begin = Math.max(a, 0) + 6;
    if (span.e - span.s < 1e-6 || (id === "latency" && wide < 48)) { // too short to write on: its label goes up to the next one
      const next = spans[n + 1] ? x(spans[n + 1].s) : width;
      room = Math.min(220, next - right - 8);
      begin = right + 3;
    } else room = Math.min(wide, right - Math.max(left, 0)) - 10;
    if (room > 22 && span.l) {
      to.globalAlpha = pale ? 0.4 : 1;
      to.fillStyle = tones.ink;
      to.fillText(fit(to, clean(span.l), room), begin, y + ROW / 2 + 0.5);
    }
  }
  to.globalAlpha = 1;
}

const near = (lane, span, dim) => (span.i !== undefined && span.i >= 0 ? dim.has(span.i) : view.words.toLowerCase().split(/\s+/).every((word) => `${lane} ${span.k ?? ""} ${span.l}`.toLowerCase().includes(word)));

const widths = new Map();
function fit(to, text, room) {
  if (text.length > 400) text = text.slice(0, 400);
  let wide = widths.get(text);
  if (wide === undefined) {
    if (widths.size > 20000) widths.clear();
    widths.set(text, (wide = to.measureText(text).width));
  }
  if (wide <= room) return text;
  const letters = Math.floor((text.length * (room - 8)) / wide);
  return letters < 2 ? "" : `${text.slice(0, letters).trimEnd()}…`;
}

function drawOverview() {
  const canvas = $("overview");
  const { to, width } = pen(canvas, 34);
  const rows = calls.length, tall = 30 / rows;
  calls.forEach((call, n) => {
    for (const id of ["person", "agent", "safety"]) {
      const lane = call.lanes.find((one) => one.id === id);
      if (!lane) continue;
      to.fillStyle = tone(id, {});
      let done = -1;
      for (const span of lane.spans) {
        const left = (span.s / total) * width, right = Math.max(left + 1, (span.e / total) * width);
        if (right < done + 0.5) continue;
        done = right;
        const y = 2 + n * tall + (id === "agent" ? tall / 2 : 0);
        to.fillRect(left, id === "safety" ? 2 + n * tall : y, right - left, id === "safety" ? tall - 1 : tall / 2 - 1);
      }
    }
  });
  const left = (view.from / total) * width, right = (view.to / total) * width;
  to.globalAlpha = 0.72;
  to.fillStyle = tones.soft;
  to.fillRect(0, 0, left, 34);
  to.fillRect(right, 0, width - right, 34);
  to.globalAlpha = 1;
  to.strokeStyle = tones.accent;
  to.lineWidth = 2;
  to.strokeRect(left + 1, 1, Math.max(6, right - left - 2), 32);
  to.lineWidth = 1;
  to.fillStyle = tones.danger;
  to.fillRect((view.at / total) * width - 0.5, 1, 1.5, 32);
}

/** Show the stretch [from, to) of the call. */
function show(from, to) {
  const wide = Math.min(total, Math.max(Math.min(LEAST_S, total), to - from));
  view.from = Math.max(0, Math.min(total - wide, from));
  view.to = view.from + wide;
  soon();
}

function zoom(by, around = view.at) {
  const wide = (view.to - view.from) * by, part = (around - view.from) / (view.to - view.from);
  const inside = part >= 0 && part <= 1 ? part : 0.5;
  const middle = part >= 0 && part <= 1 ? around : (view.from + view.to) / 2;
  show(middle - wide * inside, middle + wide * (1 - inside));
}

/** Which span lies under a point of a canvas. */
function under(one, event) {
  const box = one.canvas.getBoundingClientRect();
  const row = Math.floor((event.clientY - box.top) / (ROW + 2)), lane = shownLanes(one.call)[row];
  const t = view.from + ((event.clientX - box.left) / box.width) * (view.to - view.from);
  const slack = (4 / box.width) * (view.to - view.from);
  if (!lane) return { t };
  const span = lane.spans.slice(Math.max(0, place(lane.spans, t, (s) => s.s) - 40), place(lane.spans, t + slack, (s) => s.s)).findLast((s) => s.k !== "sound" && s.e + slack >= t);
  return { t, lane, span };
}
