// The agent's face: builds the SVG once, then every frame moves it towards the shown emotion, adds gestures and
// idle life, and opens the mouth with the sound that arrives. Under prefers-reduced-motion the idle life and the
// head gestures go; the expression and the mouth stay, since they carry meaning.

import { EMOTIONS, REST, brow, eye, headPath, mouth, poseOf } from "./face.js";
import { Blinks, Gestures, Saccades, Spring } from "./motion.js";

const NS = "http://www.w3.org/2000/svg";
const FRAME_MS = 30; // thirty pictures a second are smooth for a face, and half the work of sixty
const RATES = { yaw: 6, pitch: 7, roll: 4.5, lean: 3.5, gazeX: 16, gazeY: 16, lid: 11, open: 26, round: 18, width: 14 };

function make(name, attributes = {}, parent = null, children = []) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  parent?.append(node);
  return node;
}

function gradient(defs, kind, name, attributes, stops) {
  const node = make(kind, { id: `${defs.dataset.own}-${name}`, ...attributes }, defs);
  for (const [offset, color, opacity = 1] of stops) make("stop", { offset, class: color, "stop-opacity": opacity }, node);
}

// The face is not one of a human skin: it is a sculpture lit by the colours of what it shows. Stops with a class
// take their colour from avatar.css, where --light-a and --light-b are blended in.
function paints(defs) {
  gradient(defs, "radialGradient", "skin", { cx: 0.36, cy: 0.28, r: 0.88 }, [[0, "av-s0"], [0.42, "av-s1"], [0.78, "av-s2"], [1, "av-s3"]]);
  gradient(defs, "linearGradient", "neck", { x1: 0, y1: 0, x2: 0, y2: 1 }, [[0, "av-s4"], [0.5, "av-s3"], [1, "av-s2"]]);
  gradient(defs, "linearGradient", "hair", { x1: 0.05, y1: 0.1, x2: 0.9, y2: 0.9 }, [[0, "av-h0"], [0.5, "av-h1"], [1, "av-h2"]]);
  gradient(defs, "linearGradient", "coat", { gradientUnits: "userSpaceOnUse", x1: 0, y1: 178, x2: 0, y2: 280 }, [[0, "av-c0"], [0.45, "av-c1", 0.92], [1, "av-c1", 0]]);
  gradient(defs, "radialGradient", "sun", { cx: 0.36, cy: 0.24, r: 0.95 }, [[0, "av-d0"], [1, "av-d1"]]);
  gradient(defs, "radialGradient", "iris", { cx: 0.5, cy: 0.68, r: 0.62 }, [[0, "av-i0"], [0.62, "av-i1"], [1, "av-i2"]]);
  gradient(defs, "linearGradient", "white", { x1: 0, y1: 0, x2: 0, y2: 1 }, [[0, "av-w0"], [0.45, "av-w1"], [1, "av-w1"]]);
  gradient(defs, "linearGradient", "lips", { x1: 0, y1: 0, x2: 0, y2: 1 }, [[0, "av-l0"], [1, "av-l1"]]);
  gradient(defs, "radialGradient", "blush", {}, [[0, "av-b", 0.55], [1, "av-b", 0]]);
  gradient(defs, "radialGradient", "glow", {}, [[0, "av-g", 0.7], [1, "av-g", 0]]);
}

function build(own) {
  const svg = make("svg", { class: "avatar", viewBox: "-240 -212 480 496", preserveAspectRatio: "xMidYMax meet", role: "img", "aria-label": "The agent's face", focusable: "false" });
  const defs = make("defs", { "data-own": own }, svg);
  const url = (name) => `url(#${own}-${name})`;
  paints(defs);
  const el = { svg };
  const clip = (name) => make("path", {}, make("clipPath", { id: `${own}-${name}` }, defs));
  el.ring = make("circle", { class: "av-ring", cx: 0, cy: 6, r: 196 }, svg);
  make("circle", { fill: url("sun"), cx: 0, cy: 6, r: 196 }, svg);
  el.bust = make("g", {}, svg);
  el.back = make("path", { class: "av-nape", d: "M-108 -30C-120 -112 -74 -168 2 -168C80 -168 122 -112 110 -26C108 4 104 30 96 50C84 78 60 84 0 84C-60 84 -84 78 -96 50C-104 30 -106 4 -108 -30Z" }, el.bust);
  el.body = make("g", {}, el.bust);
  make("path", { d: "M-47 84C-47 148 -50 168 -74 186C-44 218 44 218 74 186C50 168 47 148 47 84Z", fill: url("neck") }, el.body);
  make("path", { d: "M-212 284C-196 236 -146 204 -66 178C-50 214 50 214 66 178C146 204 196 236 212 284Z", fill: url("coat") }, el.body);
  make("path", { class: "av-seam", d: "M-66 178C-50 214 50 214 66 178C73 181 78 185 81 191C58 236 -58 236 -81 191C-78 185 -73 181 -66 178Z" }, el.body);
  el.head = make("g", { class: "av-head" }, el.bust);
  el.ears = make("g", { fill: url("skin") }, el.head);
  for (const s of [-1, 1]) make("path", { d: `M${s * 94} -8C${s * 112} -18 ${s * 117} 6 ${s * 109} 26C${s * 105} 40 ${s * 97} 44 ${s * 91} 38Z` }, el.ears);
  el.skin = make("path", { fill: url("skin") }, el.head);
  el.skinClip = clip("head");
  const onSkin = make("g", { "clip-path": url("head") }, el.head);
  make("ellipse", { cx: -26, cy: -52, rx: 66, ry: 52, fill: url("glow") }, onSkin);
  el.shadow = make("path", { d: "M-108 -4C-100 -72 -72 -96 -30 -96C20 -98 84 -84 100 -8L130 -40L110 -150L-110 -150L-130 -40Z", class: "av-shade" }, onSkin);
  el.features = make("g", {}, onSkin);
  el.cheeks = [-1, 1].map((s) => make("ellipse", { cx: s * 58, cy: 44, rx: 32, ry: 24, fill: url("blush") }, el.features));
  el.nose = make("g", { class: "av-nose" }, el.features);
  make("path", { d: "M12 -22C15 6 22 28 20 42C19 52 10 54 3 55C12 40 10 8 12 -22Z", class: "av-shade" }, el.nose);
  make("path", { d: "M-13 49C-11 56 -4 56 0 58.5C5 56 12 56 14.5 48", class: "av-line", "stroke-width": 2.6 }, el.nose);
  make("ellipse", { cx: -2, cy: 40, rx: 5.5, ry: 7, class: "av-tip" }, el.nose);
  el.eyes = [-1, 1].map((s) => {
    const id = s < 0 ? "left" : "right";
    const part = { s, clip: clip(id) };
    part.white = make("path", { fill: url("white") }, el.features);
    const inside = make("g", { "clip-path": url(id) }, el.features);
    part.iris = make("circle", { fill: url("iris"), class: "av-iris" }, inside);
    part.pupil = make("circle", { class: "av-ink" }, inside);
    part.spark = make("circle", { r: 3.1, fill: "#fff" }, inside);
    part.spark2 = make("circle", { r: 1.5, fill: "#fff", opacity: 0.6 }, inside);
    part.lash = make("path", { class: "av-ink" }, el.features);
    part.crease = make("path", { class: "av-line av-faint", "stroke-width": 1.8 }, el.features);
    part.brow = make("path", { class: "av-brow" }, el.features);
    return part;
  });
  el.lips = make("path", { fill: url("lips") }, el.features);
  el.mouthClip = clip("mouth");
  el.inside = make("path", { class: "av-inside" }, el.features);
  el.teeth = make("path", { class: "av-teeth", "clip-path": url("mouth") }, el.features);
  el.lipline = make("path", { class: "av-line", "stroke-width": 1.9 }, el.features);
  el.chin = make("ellipse", { cx: 0, ry: 4, class: "av-shade" }, el.features);
  el.front = make("g", {}, el.head);
  make("path", {
    d: "M-105 8C-112 -8 -116 -24 -115 -48C-112 -114 -76 -162 -14 -173C28 -182 72 -168 95 -136C114 -108 119 -78 115 -46C113 -24 109 -6 104 8C100 8 98 -8 94 -28C90 -50 82 -68 66 -82C40 -74 4 -84 -18 -106C-30 -84 -62 -78 -82 -56C-92 -42 -95 -14 -97 4C-98 9 -102 12 -105 8Z",
    fill: url("hair"),
  }, el.front);
  make("path", { class: "av-strand", d: "M-16 -108C2 -136 36 -150 70 -134M-22 -112C-50 -108 -84 -86 -98 -44M-12 -104C20 -92 66 -98 98 -52M-8 -122C12 -152 52 -160 80 -144" }, el.front);
  return el;
}

let made = 0;

/** Colours that blend as the emotion changes; only properties with a type do. Known to the whole document, hence the names. */
function blendColours() {
  for (const [name, initialValue] of [["--rapport-light-a", "#d5cff0"], ["--rapport-light-b", "#a7a6dc"]]) {
    try {
      CSS.registerProperty({ name, syntax: "<color>", inherits: true, initialValue });
    } catch {
      // Known already, or not by this browser: then they change at once.
    }
  }
}

export class Avatar {
  /**
   * @param {HTMLElement} host where the face is put
   * @param {{sound: () => object?, light: HTMLElement, signal: AbortSignal?}} more `sound()` gives the agent's sound as
   *   {open, round, width, level}; `light` takes the colours of the emotion; after `signal` nothing moves any more
   */
  constructor(host, { sound = () => null, light = host, signal = null, random = Math.random } = {}) {
    made += 1;
    if (made === 1) blendColours();
    this.light = light;
    this.signal = signal;
    this.el = build(`av${made}`);
    host.append(this.el.svg);
    this.sound = sound;
    this.random = random;
    this.emotion = "neutral";
    this.intensity = 0;
    this.state = "idle";
    this.springs = Object.fromEntries(Object.keys(REST).map((key) => [key, new Spring(REST[key], RATES[key] ?? 8, key === "roll" ? 0.8 : 1)]));
    this.gestures = new Gestures();
    this.blinks = new Blinks(random);
    this.saccades = new Saccades(random);
    this.thinkUntil = 0;
    this.now = 0;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.last = performance.now();
    this.frame = this.frame.bind(this);
    this.paintLight();
    requestAnimationFrame(this.frame);
  }

  moveTo(host) {
    host.append(this.el.svg);
  }

  /** Show an emotion, and a gesture over it. Unknown names show as neutral and no gesture. */
  display({ emotion = "neutral", gesture = "none", intensity = 0.6 }) {
    this.emotion = EMOTIONS[emotion] ? emotion : "neutral";
    this.intensity = intensity;
    if (gesture !== "none" && !(this.calm.matches && gesture !== "blink")) this.gestures.play(gesture, 0.6 + 0.5 * intensity, this.now);
    this.paintLight();
  }

  /** `listening`, `thinking`, `speaking`, or anything else for idle. */
  setState(state) {
    if (state === "thinking" && this.state !== "thinking") this.thinkUntil = this.now + 1.6;
    this.state = state;
  }

  describe(text) {
    this.el.svg.setAttribute("aria-label", text);
  }

  paintLight() {
    const [a, b] = EMOTIONS[this.emotion].light;
    this.light.style.setProperty("--rapport-light-a", a);
    this.light.style.setProperty("--rapport-light-b", b);
  }

  frame(stamp) {
    if (this.signal?.aborted) return;
    requestAnimationFrame(this.frame);
    if (!this.el.svg.isConnected || stamp - this.last < FRAME_MS) return;
    // A tab that was hidden must not jump: time passes in small steps only.
    const dt = Math.min(0.05, Math.max(0.001, (stamp - this.last) / 1000));
    this.last = stamp;
    this.now += dt;
    this.aim();
    const steps = Math.ceil(dt / 0.012);
    const p = {};
    for (const [key, spring] of Object.entries(this.springs)) {
      for (let i = 0; i < steps; i += 1) spring.step(dt / steps);
      p[key] = spring.value;
    }
    this.involuntary(p);
    this.draw(p);
  }

  /** Set the springs' targets from emotion, conversation state and sound. */
  aim() {
    const goal = poseOf(this.emotion, this.intensity);
    if (this.state === "thinking" && this.now < this.thinkUntil) {
      goal.gazeX += 0.5;
      goal.gazeY -= 0.55;
      goal.browOuter += 0.15;
    }
    if (this.state === "listening") goal.lean += 0.18;
    const sound = this.sound();
    if (sound && sound.level > 0.001) {
      goal.open = goal.open * 0.35 + sound.open;
      goal.round += sound.round;
      goal.width += sound.width;
      goal.press *= 0.3;
      goal.pitch += this.calm.matches ? 0 : 0.1 * (sound.open - 0.3);
    }
    for (const [key, spring] of Object.entries(this.springs)) spring.target = goal[key];
  }

  involuntary(p) {
    const t = this.now;
    const g = this.gestures.at(t);
    p.blink = Math.max(g.blink, this.blinks.at(t, this.state === "listening" ? 3.6 : 4.6));
    p.breath = 0;
    if (this.calm.matches) return;
    const jump = this.saccades.at(t, this.state === "thinking" ? 0.2 : 0.09);
    p.gazeX += jump.x + g.gazeX;
    p.gazeY += jump.y + g.gazeY;
    p.breath = Math.sin(t * Math.PI * 2 * 0.21);
    p.yaw += g.yaw + 0.035 * Math.sin(t * 0.61) + 0.02 * Math.sin(t * 1.37 + 1);
    p.pitch += g.pitch + 0.03 * Math.sin(t * 0.47 + 2) + p.breath * 0.012;
    p.roll += g.roll + 0.5 * Math.sin(t * 0.39 + 0.6);
    p.lean += g.lean;
  }

  draw(p) {
    const el = this.el;
    const scale = 1 + p.lean * 0.045;
    const sink = p.pitch * 13 + p.lean * 5;
    el.body.setAttribute("transform", `translate(0 ${(-p.breath * 1.6 + p.lean * 3).toFixed(2)}) scale(${(1 + p.lean * 0.02 + p.breath * 0.003).toFixed(4)})`);
    const head = `translate(${(p.yaw * 12).toFixed(2)} ${(sink - p.breath * 1.9).toFixed(2)}) rotate(${p.roll.toFixed(2)} 0 120) scale(${scale.toFixed(4)})`;
    el.head.setAttribute("transform", head);
    el.back.setAttribute("transform", `translate(${(p.yaw * 4).toFixed(2)} ${(sink * 0.7 - p.breath * 1.7).toFixed(2)}) rotate(${(p.roll * 0.8).toFixed(2)} 0 120) scale(${scale.toFixed(4)})`);
    const squeeze = 1 - Math.abs(p.yaw) * 0.05;
    el.features.setAttribute("transform", `translate(${(p.yaw * 26).toFixed(2)} ${(p.pitch * 13).toFixed(2)}) scale(${squeeze.toFixed(4)} ${(1 - Math.abs(p.pitch) * 0.03).toFixed(4)})`);
    el.nose.setAttribute("transform", `translate(${(p.yaw * 8).toFixed(2)} ${(p.pitch * 4).toFixed(2)})`);
    el.front.setAttribute("transform", `translate(${(p.yaw * 5).toFixed(2)} ${(p.pitch * 4).toFixed(2)})`);
    el.ears.setAttribute("transform", `translate(${(-p.yaw * 8).toFixed(2)} ${(-p.pitch * 6).toFixed(2)})`);
    el.shadow.setAttribute("transform", `translate(${(p.yaw * 6).toFixed(2)} ${(p.pitch * 5).toFixed(2)})`);
    const skin = headPath(p);
    el.skin.setAttribute("d", skin);
    el.skinClip.setAttribute("d", skin);
    for (const part of el.eyes) this.drawEye(part, p);
    const m = mouth(p);
    el.lips.setAttribute("d", m.lips);
    el.inside.setAttribute("d", m.inside);
    el.mouthClip.setAttribute("d", m.inside);
    el.teeth.setAttribute("d", m.teeth);
    el.teeth.setAttribute("opacity", Math.min(0.92, Math.max(0, (p.open - 0.05) * 8)).toFixed(2));
    el.lipline.setAttribute("d", m.line);
    el.chin.setAttribute("cy", m.shade.y.toFixed(2));
    el.chin.setAttribute("rx", m.shade.rx.toFixed(2));
    for (const cheek of el.cheeks) cheek.setAttribute("opacity", (0.25 + 0.6 * p.cheek).toFixed(3));
    const level = this.sound()?.level ?? 0;
    el.ring.setAttribute("r", (196 + (this.calm.matches ? 0 : 26 * Math.min(1, level * 2.2))).toFixed(1));
  }

  drawEye(part, p) {
    const e = eye(part.s, p);
    part.white.setAttribute("d", e.opening);
    part.clip.setAttribute("d", e.opening);
    part.lash.setAttribute("d", e.lash);
    part.crease.setAttribute("d", e.crease);
    part.brow.setAttribute("d", brow(part.s, p));
    const put = (node, x, y, r) => {
      node.setAttribute("cx", x.toFixed(2));
      node.setAttribute("cy", y.toFixed(2));
      if (r) node.setAttribute("r", r.toFixed(2));
    };
    put(part.iris, e.x, e.y, e.iris);
    put(part.pupil, e.x, e.y, e.pupil);
    put(part.spark, e.x - 3.6, e.y - 4);
    put(part.spark2, e.x + 3.8, e.y + 4);
  }
}
