// <rapport-face>, of Rapport. Apache-2.0. Made by tools/embed.py from clients/web/src: change it there.

// face.js
const _face = (() => {
// The look of the agent: poses per display emotion, and the geometry that turns a pose into SVG paths.
// Pure functions; the origin is the middle of the head, a unit is one SVG user unit (the head is 250 high).

/** A face at rest. Angles in degrees, everything else about -1..1 (lid: 1 open, 0 closed). */
const REST = {
  browInner: 0, browOuter: 0, browL: 0, browR: 0,
  lid: 1, squint: 0.12, pupil: 0.5, droop: 0,
  smile: 0.22, width: 0, open: 0, round: 0, press: 0,
  cheek: 0.25, yaw: 0, pitch: 0, roll: 0, lean: 0, gazeX: 0, gazeY: 0,
};

/** What each display emotion changes, at full intensity, and its two colours of light. */
const EMOTIONS = {
  neutral: { light: ["#d5cff0", "#a7a6dc"], pose: {} },
  warm: { light: ["#ffd3ae", "#f7a08b"], pose: { smile: 0.8, squint: 0.42, cheek: 0.75, browInner: 0.12, browOuter: 0.1, roll: 2, pupil: 0.7 } },
  happy: {
    light: ["#ffdd85", "#f9a65a"],
    pose: { smile: 1, width: 0.5, open: 0.2, squint: 0.85, cheek: 1, browOuter: 0.4, browInner: 0.25, lid: 0.92, pitch: -0.1 },
  },
  concern: {
    light: ["#bcc6f2", "#8a95d6"],
    pose: { browInner: 1.15, browOuter: -0.3, smile: -0.16, press: 0.35, lid: 0.94, squint: 0.3, roll: -3, lean: 0.35, pitch: 0.1, cheek: 0.2 },
  },
  sad: {
    light: ["#a9c4e4", "#6d8fc0"],
    pose: { browInner: 1, browOuter: -0.5, smile: -0.6, lid: 0.74, droop: 0.7, gazeY: 0.22, pitch: 0.26, squint: 0.2, cheek: 0.1, width: -0.15 },
  },
  surprise: {
    light: ["#ffcfe2", "#e493c2"],
    pose: { browInner: 0.8, browOuter: 0.95, lid: 1.26, squint: 0, open: 0.34, round: 0.45, smile: 0.1, pupil: 1, pitch: -0.14 },
  },
  curious: {
    light: ["#b4e6d9", "#66bfb2"],
    pose: { browL: 0.15, browR: 0.95, browOuter: 0.1, smile: 0.28, lid: 1.08, roll: 5, lean: 0.25, pupil: 0.85, width: -0.1, squint: 0.1 },
  },
  calm: { light: ["#cbe7c7", "#8bc3a2"], pose: { lid: 0.8, smile: 0.34, squint: 0.22, browOuter: -0.1, cheek: 0.4, pupil: 0.35 } },
};

/** The pose of an emotion at an intensity 0..1; an unknown emotion is neutral. */
function poseOf(emotion, intensity = 0.6) {
  const goal = (EMOTIONS[emotion] ?? EMOTIONS.neutral).pose;
  // Policies say 0.6 for an ordinary expression: that should already be plain to see.
  const weight = Math.min(1, 0.35 + 0.85 * Math.max(0, Math.min(1, intensity)));
  const pose = { ...REST };
  for (const [key, value] of Object.entries(goal)) pose[key] += (value - REST[key]) * weight;
  return pose;
}

const f = (x) => x.toFixed(2);
const xy = (x, y) => `${f(x)} ${f(y)}`;

function headPath(p) {
  const jaw = p.open * 7;
  return (
    `M${xy(0, -126)}C${xy(62, -127)} ${xy(101, -84)} ${xy(100, -22)}C${xy(100, 22)} ${xy(94, 52)} ${xy(78, 84)}` +
    `C${xy(62, 112 + jaw)} ${xy(32, 131 + jaw)} ${xy(0, 131 + jaw)}C${xy(-32, 131 + jaw)} ${xy(-62, 112 + jaw)} ${xy(-78, 84)}` +
    `C${xy(-94, 52)} ${xy(-100, 22)} ${xy(-100, -22)}C${xy(-101, -84)} ${xy(-62, -127)} ${xy(0, -126)}Z`
  );
}

/** One eye: its opening, the lash line, the crease above, and where iris and pupil lie. `s` is -1 left, 1 right. */
function eye(s, p) {
  const half = 23;
  const cx = s * 43;
  const inner = [cx - s * half, 3];
  const outer = [cx + s * half, -1 + p.droop * 4];
  const low = 12 - p.squint * 9;
  const lid = Math.max(0, p.lid - p.blink);
  const top = low + (-24 - low) * Math.min(1.2, lid) * (1 - p.squint * 0.12);
  const lift = lid > 0.3 ? 1 : lid / 0.3;
  const up = (dy) =>
    `C${xy(inner[0] + s * 7, top * 0.92 + dy + 2)} ${xy(outer[0] - s * 9, top + dy + p.droop * 5)} ${xy(outer[0], outer[1] + dy * 0.4)}`;
  const back = `C${xy(outer[0] - s * 10, low + 1)} ${xy(inner[0] + s * 11, low + 1)} ${xy(...inner)}`;
  const opening = `M${xy(...inner)}${up(0)}${back}Z`;
  const tail = [outer[0] + s * 2.2, outer[1] - 1.4 * lift];
  const lash =
    `M${xy(...inner)}${up(0)}L${xy(...tail)}` +
    `C${xy(outer[0] - s * 8, top - 4.4 + p.droop * 5)} ${xy(inner[0] + s * 8, top * 0.92 - 1.2)} ${xy(...inner)}Z`;
  const crease =
    `M${xy(inner[0] + s * 3, Math.min(-3, top * 0.55) - 7)}` +
    `C${xy(inner[0] + s * 12, Math.min(-12, top * 0.8) - 9)} ${xy(outer[0] - s * 12, Math.min(-12, top * 0.8) - 9)} ${xy(outer[0] + s * 2, -9 + p.droop * 4)}`;
  return { opening, lash, crease, x: cx + p.gazeX * 9 - s * 0.8, y: -3.5 + p.gazeY * 7, iris: 11.6, pupil: 4.4 + p.pupil * 1.7 };
}

/** A brow: a stroke that tapers outwards. */
function brow(s, p) {
  const own = s < 0 ? p.browL : p.browR;
  const y = -35 - own * 10 + (p.lid - 1) * -3 - p.squint * -1.5;
  const a = [s * 17, y + 5 - p.browInner * 12];
  const b = [s * 44, y - 6 - p.browOuter * 7 - p.browInner * 2];
  const c = [s * 73, y + 2 - p.browOuter * 8];
  return (
    `M${xy(a[0], a[1] - 3.4)}C${xy(a[0] + s * 10, a[1] - 8.6)} ${xy(b[0], b[1] - 3.8)} ${xy(c[0], c[1])}` +
    `C${xy(b[0] + s * 4, b[1] + 3)} ${xy(a[0] + s * 12, a[1] + 1)} ${xy(a[0] + s * 1.5, a[1] + 4.2)}` +
    `Q${xy(a[0] - s * 3.4, a[1] + 1)} ${xy(a[0], a[1] - 3.4)}Z`
  );
}

/** The mouth: outer lips, the inside, the upper teeth, and the shade under the lower lip. */
function mouth(p) {
  const open = Math.max(0, p.open);
  const half = 27 + 6 * p.width + 6 * Math.max(0, p.smile) - 11 * p.round - 2 * open;
  const corner = 82 - 9.5 * p.smile + 2 * open;
  const upper = 82 + 3.4 * p.smile - 4 * open * (1 - 0.4 * p.smile);
  const lower = upper + 0.9 + 24 * open;
  const thick = 1 - 0.4 * p.press - 0.16 * Math.max(0, p.smile) + 0.2 * p.round;
  const u = 6.4 * thick;
  const l = 8.6 * thick;
  const k = 0.52 + 0.14 * p.round;
  const lips =
    `M${xy(-half - 1.5, corner)}C${xy(-half * k, upper - u * 0.9)} ${xy(-8, upper - u - 2.4)} ${xy(0, upper - u)}` +
    `C${xy(8, upper - u - 2.4)} ${xy(half * k, upper - u * 0.9)} ${xy(half + 1.5, corner)}` +
    `C${xy(half * 0.66, lower + l * 1.15)} ${xy(half * 0.3, lower + l * 1.32)} ${xy(0, lower + l * 1.3)}` +
    `C${xy(-half * 0.3, lower + l * 1.32)} ${xy(-half * 0.66, lower + l * 1.15)} ${xy(-half - 1.5, corner)}Z`;
  const line = `C${xy(-half * k, upper + 1.2)} ${xy(-half * 0.26, upper - 0.6)} ${xy(0, upper + 0.4)}C${xy(half * 0.26, upper - 0.6)} ${xy(half * k, upper + 1.2)} ${xy(half, corner)}`;
  const sag = lower + open * 5;
  const inside = `M${xy(-half, corner)}${line}C${xy(half * 0.62, sag + 1.2)} ${xy(-half * 0.62, sag + 1.2)} ${xy(-half, corner)}Z`;
  const teeth = `M${xy(-half, corner - 2)}${line}L${xy(half * 0.8, upper + 6.5)}Q${xy(0, upper + 10)} ${xy(-half * 0.8, upper + 6.5)}Z`;
  const shade = { y: lower + l * 1.3 + 7, rx: half * 0.5 };
  return { lips, inside, teeth, shade, line: `M${xy(-half - 1.5, corner)}${line}` };
}
return { REST, EMOTIONS, poseOf, headPath, eye, brow, mouth };
})();

// motion.js
const _motion = (() => {
// Motion of the agent's face: springs that never overshoot wildly, gestures as curves over time, and the
// small involuntary life (breath, blinks, micro-saccades) that makes a still face look awake.

/** A damped spring that follows `target`. `rate` is about 1/seconds to settle; damping 1 never overshoots. */
class Spring {
  constructor(value, rate = 9, damping = 1) {
    this.value = value;
    this.target = value;
    this.speed = 0;
    this.rate = rate;
    this.damping = damping;
  }

  step(dt) {
    const pull = this.rate * this.rate * (this.target - this.value);
    this.speed += (pull - 2 * this.damping * this.rate * this.speed) * dt;
    this.value += this.speed * dt;
    return this.value;
  }

  /** Go there now, without motion. */
  jump(value) {
    this.value = this.target = value;
    this.speed = 0;
  }
}

const ease = (x) => (x <= 0 ? 0 : x >= 1 ? 1 : x * x * (3 - 2 * x));

/** Up within `rise`, stays, down within the last `fall`; all as parts of 1. */
const plateau = (x, rise, fall) => ease(x / rise) * ease((1 - x) / fall);

/** Each gesture: how long it takes (s) and what it adds to the pose at `x` in 0..1. */
const GESTURES = {
  nod: { seconds: 1.25, add: (x) => ({ pitch: Math.sin(x * Math.PI * 4) * (x < 0.5 ? 1 : 0.6) * ease(x / 0.08) * 0.85 }) },
  tilt: { seconds: 2.6, add: (x) => ({ roll: 7 * plateau(x, 0.22, 0.3), yaw: 0.12 * plateau(x, 0.22, 0.3) }) },
  lean_in: { seconds: 3.4, add: (x) => ({ lean: plateau(x, 0.25, 0.35), pitch: 0.16 * plateau(x, 0.25, 0.35) }) },
  look_away: {
    seconds: 2.4,
    add: (x) => ({ yaw: 0.55 * plateau(x, 0.2, 0.25), gazeX: 0.85 * plateau(x, 0.12, 0.2), gazeY: 0.35 * plateau(x, 0.15, 0.2) }),
  },
  blink: { seconds: 0.32, add: (x) => ({ blink: plateau(x, 0.4, 0.5) }) },
};

/** Runs gestures one over the other and sums what they add. */
class Gestures {
  constructor() {
    this.running = [];
  }

  play(name, strength, now) {
    if (!GESTURES[name]) return;
    this.running = this.running.filter((g) => g.name !== name);
    this.running.push({ name, strength, from: now });
  }

  at(now) {
    const sum = { pitch: 0, roll: 0, yaw: 0, lean: 0, gazeX: 0, gazeY: 0, blink: 0 };
    this.running = this.running.filter((g) => now - g.from < GESTURES[g.name].seconds);
    for (const { name, strength, from } of this.running) {
      const added = GESTURES[name].add((now - from) / GESTURES[name].seconds);
      for (const [key, value] of Object.entries(added)) sum[key] += value * strength;
    }
    return sum;
  }
}

/** Blinks: an upper lid falls in 70 ms, rests 30 ms and rises in 150 ms; sometimes twice. */
class Blinks {
  constructor(random = Math.random) {
    this.random = random;
    this.next = 1.2;
    this.from = -1;
  }

  at(now, every = 4.2) {
    if (now >= this.next) {
      this.from = now;
      const twice = this.random() < 0.14;
      this.next = now + (twice ? 0.34 : every * (0.45 + 1.1 * this.random()));
    }
    const x = now - this.from;
    if (this.from < 0 || x > 0.25) return 0;
    if (x < 0.07) return ease(x / 0.07);
    return x < 0.1 ? 1 : 1 - ease((x - 0.1) / 0.15);
  }
}

/** Eyes never rest: a tiny jump every half second to two, mostly between the other's two eyes. */
class Saccades {
  constructor(random = Math.random) {
    this.random = random;
    this.next = 0;
    this.x = 0;
    this.y = 0;
  }

  at(now, size = 0.09) {
    if (now >= this.next) {
      this.next = now + 0.45 + 1.6 * this.random() ** 2;
      this.x = (this.random() * 2 - 1) * size;
      this.y = (this.random() * 2 - 1) * size * 0.6;
    }
    return this;
  }
}
return { Spring, GESTURES, Gestures, Blinks, Saccades };
})();

// avatar.js
const _avatar = (() => {
// The agent's face: builds the SVG once, then every frame moves it towards the shown emotion, adds gestures and
// idle life, and opens the mouth with the sound that arrives. Under prefers-reduced-motion the idle life and the
// head gestures go; the expression and the mouth stay, since they carry meaning.

const { EMOTIONS, REST, brow, eye, headPath, mouth, poseOf } = _face;
const { Blinks, Gestures, Saccades, Spring } = _motion;

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

class Avatar {
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
return { Avatar };
})();

// face_element.js
const _face_element = (() => {
// <rapport-face>: the agent's face alone, for a screen, a kiosk or a page that makes the rest itself.

const { Avatar } = _avatar;
const AVATAR = `/* The agent's face. --rapport-light-a and --rapport-light-b are the two colours of the emotion it shows (set and made known by avatar.js). */

.avatar { display: block; position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.av-ring { fill: var(--rapport-light-b); opacity: 0.28; }
.av-d0 { stop-color: color-mix(in oklab, var(--rapport-light-a) 88%, #fff); }
.av-d1 { stop-color: var(--rapport-light-b); }
.av-s0 { stop-color: color-mix(in oklab, var(--rapport-light-a) 18%, #fff4ec); }
.av-s1 { stop-color: color-mix(in oklab, var(--rapport-light-a) 22%, #f9d0c6); }
.av-s2 { stop-color: color-mix(in oklab, var(--rapport-light-b) 22%, #dc97a2); }
.av-s3 { stop-color: color-mix(in oklab, var(--rapport-light-b) 22%, #ae6a8c); }
.av-s4 { stop-color: color-mix(in oklab, var(--rapport-light-b) 22%, #7d4a74); }
.av-h0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 30%, #5b4478); }
.av-h1 { stop-color: #3a2a56; }
.av-h2 { stop-color: #241a3a; }
.av-c0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 24%, #54467f); }
.av-c1 { stop-color: color-mix(in oklab, var(--rapport-light-b) 12%, #3a2f5e); }
.av-i0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 40%, #a97b8c); }
.av-i1 { stop-color: #5a3b5e; }
.av-i2 { stop-color: #2a1b36; }
.av-w0 { stop-color: #d6c6d6; }
.av-w1 { stop-color: #fffaf6; }
.av-l0 { stop-color: color-mix(in oklab, var(--rapport-light-b) 18%, #a35670); }
.av-l1 { stop-color: color-mix(in oklab, var(--rapport-light-b) 24%, #c9788a); }
.av-b { stop-color: color-mix(in oklab, var(--rapport-light-b) 20%, #f0747c); }
.av-g { stop-color: #fff8f0; }
.av-nape { fill: #261b3c; }
.av-seam { fill: color-mix(in oklab, var(--rapport-light-b) 45%, #6d5c9c); }
.av-strand { fill: none; stroke: color-mix(in oklab, var(--rapport-light-a) 45%, #7d66a0); stroke-width: 2.2; stroke-linecap: round; opacity: 0.4; }
.av-shade { fill: #7d3f6c; opacity: 0.17; }
.av-line { fill: none; stroke: #7c3a5c; stroke-linecap: round; opacity: 0.78; }
.av-faint { opacity: 0.4; }
.av-tip { fill: #fff6ec; opacity: 0.32; }
.av-iris { stroke: #241630; stroke-width: 1.3; }
.av-ink { fill: #23152e; }
.av-brow { fill: #3a2850; }
.av-inside { fill: #43162f; }
.av-teeth { fill: #fff8f2; }
`;

// A page that is rendered without a browser may import this; the element then does nothing.
const Base = globalThis.HTMLElement ?? class {};
const HOST = ":host { display: block; position: relative; } :host([hidden]) { display: none; }";

const COLOURS = ["--rapport-light-a", "--rapport-light-b"];

let sheet = null;

function style() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(HOST + AVATAR);
  }
  return sheet;
}

class RapportFace extends Base {
  /** What moves the mouth, asked for each picture: {level, open, round, width}, each 0..1, or null for silence. */
  sound = () => null;

  #light = this;
  #avatar = null;
  #ending = null;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [style()];
  }

  connectedCallback() {
    if (this.#avatar) return;
    this.#ending = new AbortController();
    this.#avatar = new Avatar(this.shadowRoot, { sound: () => this.sound(), light: this.light, signal: this.#ending.signal });
  }

  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.isConnected || !this.#avatar) return;
      this.#ending.abort();
      this.#avatar = null;
      this.shadowRoot.replaceChildren();
    });
  }

  /** The element whose --rapport-light-a and --rapport-light-b are the colours of the emotion; by default this one. */
  get light() {
    return this.#light;
  }

  set light(element) {
    for (const name of COLOURS) this.#light.style.removeProperty(name);
    this.#light = element;
    if (this.#avatar) this.#avatar.light = element;
    this.#avatar?.paintLight();
  }

  /** Show a display event: {emotion, gesture, intensity}. Unknown names show as neutral and no gesture. */
  display(event) {
    this.#avatar?.display(event);
  }

  /** "listening", "thinking", "speaking", or anything else for idle. */
  setState(state) {
    this.#avatar?.setState(state);
  }

  /** Say in words what the face shows, for those who do not see it. */
  describe(words) {
    this.#avatar?.describe(words);
  }
}

if (globalThis.customElements && !customElements.get("rapport-face")) customElements.define("rapport-face", RapportFace);
return { RapportFace };
})();

export const { RapportFace } = _face_element;
