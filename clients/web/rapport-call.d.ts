/** What a person can allow the agent to notice, one by one. */
export type Sense = "words" | "voice" | "expression" | "gaze" | "gesture" | "scene";

/** The senses there are, by id. */
export const SENSES: readonly Sense[];

/** Where a call is. */
export type LinkState =
  | "idle"
  | "connecting"
  | "ready"
  | "lost"
  | "retrying"
  /** The server has no room; the element waits, and then connects anew. */
  | "busy"
  | "refused"
  | "gone"
  | "closed"
  | "left"
  | "moved"
  | "expired"
  | "fatal"
  | "webrtc";

/** What the agent does. */
export type Mood = "connecting" | "listening" | "thinking" | "speaking" | "lost" | "ended";

export interface StateDetail {
  state: LinkState;
  mood: Mood;
  quality: "live" | "degraded";
  /** The server's name of the call, the same after a reconnection. */
  call: string | null;
}

export interface CaptionDetail {
  speaker: "user" | "agent";
  text: string;
  final: boolean;
  /** Of the agent, in whose words the person broke in: the words that were heard. */
  cut?: boolean;
  reply?: number;
}

export interface PerceptDetail {
  /** Second of the call in which it was told; `start` and `end` are when it was. */
  at: number;
  kind: string;
  label: string;
  start: number;
  end: number;
  /** 0..1 */
  confidence: number;
  worker: string;
  data?: Record<string, number | string | boolean | number[]>;
}

export interface Evidence {
  kind: string;
  label: string;
  t: number;
  confidence: number;
  worker: string;
}

export interface DecisionDetail {
  at: number;
  cue: string;
  reply: number;
  action: "speak" | "backchannel" | "express" | "wait";
  reason: string;
  confidence: number;
  evidence: Evidence[];
  strategy?: string | null;
  emotion?: string | null;
  /** Of `speak`. */
  text?: string;
  tone?: string;
  /** Of `backchannel`. */
  token?: string;
  /** Of `express`. */
  gesture?: string;
  intensity?: number;
  /** Where several minds stand behind one another: which one this is of. */
  mind?: string;
}

export interface DisplayDetail {
  /** neutral, warm, happy, tender, concern, sad, surprise, curious or calm; there may be others one day. */
  emotion: string;
  gesture: string;
  /** 0..1 */
  intensity: number;
  reply?: number;
}

export interface Contact {
  name: string;
  number?: string;
  text?: string;
  url?: string;
  hours?: string;
  note?: string;
}

/** Who can help: told where danger was heard. The element shows it as well. */
export interface ResourceDetail {
  kind: "self_harm" | "medical" | "abuse" | "harm_others";
  country: string;
  contacts: Contact[];
  /** Day on which the numbers were checked. */
  reviewed: string;
}

export interface ErrorDetail {
  kind: "attribute" | "device" | "error" | "expired" | "fatal" | "gone" | "refused" | "webrtc";
  /** Of `attribute` its name, of `device` "mic: denied" and the like, otherwise what the server says in short. */
  title: string;
  detail: string;
  /** Whether the call is over by it. */
  fatal: boolean;
}

export interface PlaceDetail {
  /** Name and port of the server. */
  host: string;
  /** Other machines that are sent words, sound or pictures. */
  others: string[];
}

export interface RapportCallEventMap {
  state: CustomEvent<StateDetail>;
  caption: CustomEvent<CaptionDetail>;
  percept: CustomEvent<PerceptDetail>;
  decision: CustomEvent<DecisionDetail>;
  display: CustomEvent<DisplayDetail>;
  resource: CustomEvent<ResourceDetail>;
  error: CustomEvent<ErrorDetail>;
  place: CustomEvent<PlaceDetail>;
}

/** `<rapport-call>`: a call with the agent. */
export class RapportCall extends HTMLElement {
  /** Address of the server; by default the one that the module was loaded from. */
  get server(): string;
  set server(url: string | null);
  /** The join token, where the server wants one. */
  get token(): string | undefined;
  set token(text: string | null | undefined);
  /** Ids of the senses that are offered, or null for all. */
  get senses(): Sense[] | null;
  set senses(ids: Iterable<Sense> | null);
  /** "auto" is like the system. */
  get theme(): "auto" | "light" | "dark";
  set theme(name: "auto" | "light" | "dark" | null);
  /** Where keyboard shortcuts work: inside the element, in the whole page, or nowhere. */
  get keys(): "focus" | "page" | "off";
  set keys(name: "focus" | "page" | "off" | null);
  /** Whether the person's microphone is muted; follows the button in the call. */
  muted: boolean;
  /** Whether the call begins by itself, with exactly the senses named in `senses`. */
  autostart: boolean;

  readonly state: LinkState;
  readonly mood: Mood;
  /** The server's name of the call, or null. */
  readonly call: string | null;
  /** What happened here, for tests and for the curious; not covered by the version number. */
  readonly record: Record<string, unknown> | null;

  /**
   * Begin a call, best from a click, with the senses that the person has allowed; without an argument the element asks.
   * Rejects with a TypeError for a sense that is not known, and with an InvalidStateError outside of a page or in a
   * browser that cannot make calls.
   */
  start(senses?: Iterable<Sense>): Promise<void>;
  /** End the call. */
  hangUp(): void;
  /** Send words as if the person had typed them; whether they went out. */
  say(words: string): boolean;
  /** Let the agent stop talking. */
  stop(): void;

  addEventListener<K extends keyof RapportCallEventMap>(
    type: K,
    listener: (this: RapportCall, event: RapportCallEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "rapport-call": RapportCall;
  }
}
