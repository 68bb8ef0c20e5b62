/** How loud the agent is just now and how its mouth stands, each 0..1. */
export interface Mouth {
  level: number;
  open: number;
  round: number;
  width: number;
}

export interface Display {
  emotion?: string;
  gesture?: string;
  /** 0..1 */
  intensity?: number;
}

/** `<rapport-face>`: the agent's face alone. */
export class RapportFace extends HTMLElement {
  /** What moves the mouth, asked for each picture; null for silence. */
  sound: () => Mouth | null;
  /** The element whose `--rapport-light-a` and `--rapport-light-b` are the colours of the emotion; by default this one. */
  light: HTMLElement;
  /** Show an emotion, and a gesture over it. Unknown names show as neutral and no gesture. */
  display(event: Display): void;
  /** "listening", "thinking", "speaking", or anything else for idle. */
  setState(state: string): void;
  /** Say in words what the face shows, for those who do not see it. */
  describe(words: string): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "rapport-face": RapportFace;
  }
}
