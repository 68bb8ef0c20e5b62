// The look of the agent: poses per display emotion, and the geometry that turns a pose into SVG paths.
// Pure functions; the origin is the middle of the head, a unit is one SVG user unit (the head is 250 high).

/** A face at rest. Angles in degrees, everything else about -1..1 (lid: 1 open, 0 closed). */
export const REST = {
  browInner: 0, browOuter: 0, browL: 0, browR: 0,
  lid: 1, squint: 0.12, pupil: 0.5, droop: 0,
  smile: 0.22, width: 0, open: 0, round: 0, press: 0,
  cheek: 0.25, yaw: 0, pitch: 0, roll: 0, lean: 0, gazeX: 0, gazeY: 0,
};

/** What each display emotion changes, at full intensity, and its two colours of light. */
export const EMOTIONS = {
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
  // Where something hurts: soft eyes and brows, the head a little to one side, the mouth closed and at rest.
  tender: {
    light: ["#f4d8e0", "#cfa0b8"],
    pose: { browInner: 0.6, browOuter: -0.02, lid: 0.86, squint: 0.34, droop: 0.2, smile: 0.06, width: -0.04, cheek: 0.4, roll: 5, lean: 0.2, pitch: 0.08, gazeY: 0.04, pupil: 0.9 },
  },
  calm: { light: ["#cbe7c7", "#8bc3a2"], pose: { lid: 0.8, smile: 0.06, squint: 0.22, browOuter: -0.1, cheek: 0.25, pupil: 0.35 } },
};

/** The pose of an emotion at an intensity 0..1; an unknown emotion is neutral. */
export function poseOf(emotion, intensity = 0.6) {
  const goal = (EMOTIONS[emotion] ?? EMOTIONS.neutral).pose;
  // Policies say 0.6 for an ordinary expression: that should already be plain to see.
  const weight = Math.min(1, 0.35 + 0.85 * Math.max(0, Math.min(1, intensity)));
  const pose = { ...REST };
  for (const [key, value] of Object.entries(goal)) pose[key] += (value - REST[key]) * weight;
  return pose;
}

const f = (x) => x.toFixed(2);
const xy = (x, y) => `${f(x)} ${f(y)}`;

export function headPath(p) {
  const jaw = p.open * 7;
  return (
    `M${xy(0, -126)}C${xy(62, -127)} ${xy(101, -84)} ${xy(100, -22)}C${xy(100, 22)} ${xy(94, 52)} ${xy(78, 84)}` +
    `C${xy(62, 112 + jaw)} ${xy(32, 131 + jaw)} ${xy(0, 131 + jaw)}C${xy(-32, 131 + jaw)} ${xy(-62, 112 + jaw)} ${xy(-78, 84)}` +
    `C${xy(-94, 52)} ${xy(-100, 22)} ${xy(-100, -22)}C${xy(-101, -84)} ${xy(-62, -127)} ${xy(0, -126)}Z`
  );
}

/** One eye: its opening, the lash line, the crease above, and where iris and pupil lie. `s` is -1 left, 1 right. */
export function eye(s, p) {
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
export function brow(s, p) {
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
export function mouth(p) {
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
