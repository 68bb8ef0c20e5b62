// Every message of the page about something that went wrong: what happened, and what to do about it.

const DEVICE = {
  mic: {
    denied: ["Microphone blocked", "You can type instead. To talk, allow the microphone in the address bar (the icon left of the address), then choose “Try again”."],
    missing: ["No microphone found", "You can type instead, and you will still hear and see the answers. Plug one in to talk."],
    busy: ["The microphone is in use", "Another program holds it. Close that program, then try again. Until then you can type."],
    failed: ["The microphone did not start", "Choose another one in Settings, or type."],
    insecure: ["This page may not use the microphone", `Browsers allow it only over https, or on this very computer. Open the page through https, or as http://localhost. Until then you can type.`],
    unplugged: ["The microphone was unplugged", "Plug it in again or choose another one. Until then you can type."],
    revoked: ["The microphone is no longer allowed", "Its permission was taken back. To talk, allow it again in the address bar (the icon left of the address); it then goes on by itself. Until then you can type."],
    hushed: ["The microphone gives no sound", "The system or a switch on the device has muted it. Until that is undone you can type."],
  },
  camera: {
    denied: ["Camera blocked", "Going on with voice only. To be seen, allow the camera in the address bar, then choose “Try again”."],
    missing: ["No camera found", "Going on with voice only: your face will not be perceived."],
    busy: ["The camera is in use", "Another program holds it. Going on with voice only; close that program, then try again."],
    failed: ["The camera did not start", "Going on with voice only. Choose another camera in Settings."],
    insecure: ["This page may not use the camera", "Browsers allow it only over https, or on this very computer. Going on without it."],
    unplugged: ["The camera was unplugged", "Going on with voice only. Plug it in again or choose another one."],
    revoked: ["The camera is no longer allowed", "Its permission was taken back. Going on with voice only; allow it again in the address bar (the icon left of the address), and it goes on by itself."],
    hushed: ["The camera gives no picture", "The system or a cover on the device has switched it off. Going on with voice only until that is undone."],
  },
};

/** {title, text, retry} for one device problem; `retry` says whether asking again may help, `label` which one it is. */
export function deviceMessage({ device, code, label = "" }) {
  const [title, text] = DEVICE[device][code] ?? DEVICE[device].failed;
  return { title, text: label ? `${label}: ${text.charAt(0).toLowerCase()}${text.slice(1)}` : text, retry: code !== "insecure" && code !== "hushed" };
}

/** The button that takes another device instead. */
export const useDevice = (label) => `Use ${label}`;

/** Both devices fail for one reason: one message instead of two. */
export function bothMessage(code) {
  const found = {
    denied: ["Camera and microphone blocked", "You can type, and you will hear and see the answers. To talk, allow both in the address bar (the icon left of the address), then choose “Try again”."],
    missing: ["No camera and no microphone found", "You can type, and you will hear and see the answers. Plug them in to talk."],
    insecure: ["This page may not use camera and microphone", "Browsers allow them only over https, or on this very computer: open the page through https, or as http://localhost. You can type meanwhile."],
  }[code];
  return found ? { title: found[0], text: found[1], retry: code !== "insecure" } : null;
}

/** What passes about the connection. */
export const LINK = {
  degraded: { title: "Your connection is weak", text: "I may miss what you say, and you may miss what I say. I stay here." },
  back: { title: "Connected again", text: "The call goes on where it was." },
  fresh: { title: "A new call has begun", text: "The earlier one was over before the connection came back. I do not remember what we said in it." },
  over: { title: "Your earlier call is over", text: "The page was away for too long. Nothing is seen or heard now; start a new call whenever you like." },
};

/** The person speaks, and nobody hears it. */
export const UNHEARD = {
  muted: { title: "You are muted", text: "It sounds as if you were speaking. The agent does not hear it." },
  loose: { title: "You are not heard", text: "Push to talk is on: hold the button, or the space bar, while you speak." },
};

/** What became of the person's agreement. */
export const AGREEMENT = {
  notStored: { title: "Your agreement could not be stored", text: "So nothing is seen or heard. You can type. It is tried again by itself." },
  notErased: { title: "Not everything could be erased", text: "What you took back is no longer perceived, but a file with it is still there. It is tried again by itself, also after the call." },
};

/** What the agent misses, although the person allowed it. */
export const AWAY = {
  hearing: (typing) => ({ title: "I cannot hear you just now", text: `${typing ? "Please type to me" : "I am trying to get it back"}. If you are in danger, call your local emergency number.` }),
  senses: (names) => ({ title: "I miss something just now", text: `${names.join(", ") || "One of my senses"}: it is being started again. Everything else goes on.`, calm: true }),
  words: (typing) => ({ title: "Some of your words were lost", text: `This machine is busy. Please say it again${typing ? ", or type it" : ""}.` }),
};

/** The server stops soon. */
export const CLOSING = (seconds) => ({
  title: "The call will have to end soon",
  text: seconds > 0 ? `The program is about to be restarted, in about ${seconds} s. You can call again a little later.` : "The program is about to be restarted. You can call again a little later.",
});

const SMALL = new Set(["compact", "scripted"]);

/** {title, text} for when another mind than the usual one speaks. */
export function mindMessage(mind) {
  return {
    title: `Speaking with ${SMALL.has(mind) ? "the small" : "another"} mind for now`,
    text: "My usual one does not answer just now. I go on listening, and come back to it by myself.",
  };
}

/** The card of who can help, by the danger that was heard. */
export const HELP = {
  self_harm: { title: "You don’t have to be alone with this", text: "These people are there for moments like this one. It costs nothing to call them first and find the words later." },
  medical: { title: "This may be an emergency", text: "Call now, or ask somebody near you to. They tell you what to do until help comes." },
  abuse: { title: "You deserve to be safe", text: "These people listen and believe you. Call when it is safe to; “Hide” takes this card off the screen." },
  harm_others: { title: "Before anyone gets hurt", text: "Step away first. Then call: they have heard it before, and they help." },
  hide: "Hide",
  again: "Help numbers",
  call: (number) => `Call ${number}`,
  callName: (name, number) => `Call ${number}, ${name}`,
  text: (number) => `Text ${number}`,
  textName: (name, number) => `Text ${number}, ${name}`,
  checked: (country, day) => `${country}. Checked ${day}. I am an AI, and no emergency service: I cannot call for you.`,
};

/** What a server says of why it refuses, as a sentence. */
const sentence = (words) => (words ? words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".") : "");

/** Full-stage messages, by name. */
export const COVERS = {
  connecting: ({ name }) => ({ title: "Connecting", text: `Calling the agent on ${name}.`, spin: true }),
  busy: ({ detail, seconds }) => ({
    title: "The agent is in another call",
    text: `${sentence(detail) || "It can only talk with so many people at once."} Trying again in ${seconds} s.`,
    actions: [["retry", "Try now"], ["leave", "Not now"]],
    count: seconds,
  }),
  refused: ({ title, detail }) => ({
    title: "The call was refused",
    text: `${sentence(detail || title) || "The server gave no reason."} Reloading the page gets its newest version, which often helps.`,
    actions: [["retry", "Try again"], ["leave", "Back"]],
    tone: "bad",
  }),
  gone: ({ host, home }) => ({
    title: "The server does not answer",
    text: !home ? `${host} does not answer, or takes no calls from this page. It may help to try again a little later.` : `Nothing answers on ${host}. See that the program is running (“agent serve”) and that you are in the same network, then try again.`,
    actions: [["retry", "Try again"], ["leave", "Back"]],
    tone: "bad",
  }),
  lost: ({ attempt, seconds, keptS }) => ({
    title: "Reconnecting…",
    text: `The connection was lost. ${keptS > 0 ? `Your call is kept for another ${keptS} s.` : "A new call begins as soon as the server answers."} Trying again ${seconds > 0 ? `in ${seconds} s` : "now"}${attempt > 1 ? ` (attempt ${attempt})` : ""}.`,
    actions: [["now", "Try now"], ["leave", "End the call"]],
    spin: true,
    tone: "warn",
  }),
  expired: ({ lasted }) => ({
    title: "Your earlier call is over",
    text: `It lasted ${lasted}.`,
    actions: [["retry", "Call again"], ["leave", "Back"]],
  }),
  moved: () => ({
    title: "The call goes on elsewhere",
    text: "Another tab or window of yours has taken it over. Here nothing is seen or heard any more.",
    actions: [["retry", "Start a new call here"], ["leave", "Back"]],
  }),
  ended: ({ lasted, kept }) => ({
    title: "The call has ended",
    text: `You talked for ${lasted}. ${kept ? "Your words were kept in writing, as you allowed." : "Nothing was recorded."}`,
    actions: [["retry", "Talk again"], ["leave", "Change what it may notice"]],
  }),
  left: ({ lasted }) => ({
    title: "The agent ended the call",
    text: `It lasted ${lasted}. You can call again at any time.`,
    actions: [["retry", "Call again"], ["leave", "Back"]],
  }),
  fatal: ({ detail }) => ({
    title: "The agent had to stop",
    text: `${detail} You can start a new call.`,
    actions: [["retry", "Call again"], ["leave", "Back"]],
    tone: "bad",
  }),
  webrtc: () => ({
    title: "This browser cannot make calls",
    text: "It has no WebRTC, or it is switched off. A current Chrome, Edge, Firefox or Safari works.",
    tone: "bad",
  }),
};

export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  if (!minutes) return `${seconds} ${seconds === 1 ? "second" : "seconds"}`;
  return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
}
