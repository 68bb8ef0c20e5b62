// Motion of the agent's face: springs that never overshoot wildly, gestures as curves over time, and the
// small involuntary life (breath, blinks, micro-saccades) that makes a still face look awake.

/** A damped spring that follows `target`. `rate` is about 1/seconds to settle; damping 1 never overshoots. */
export class Spring {
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
export const GESTURES = {
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
export class Gestures {
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
export class Blinks {
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
export class Saccades {
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
