// Every message of the page about something that went wrong: what happened, and what to do about it.

const host = location.hostname || "this machine";

const DEVICE = {
  mic: {
    denied: ["Microphone blocked", "You can type instead. To talk, allow the microphone in the address bar (the icon left of the address), then choose “Try again”."],
    missing: ["No microphone found", "You can type instead, and you will still hear and see the answers. Plug one in to talk."],
    busy: ["The microphone is in use", "Another program holds it. Close that program, then try again. Until then you can type."],
    failed: ["The microphone did not start", "Choose another one in Settings, or type."],
    insecure: ["This page may not use the microphone", `Browsers allow it only over https, or on this very computer. Open the page through https, or as http://localhost. Until then you can type.`],
    unplugged: ["The microphone was unplugged", "Plug it in again or choose another one in Settings. Until then you can type."],
  },
  camera: {
    denied: ["Camera blocked", "Going on with voice only. To be seen, allow the camera in the address bar, then choose “Try again”."],
    missing: ["No camera found", "Going on with voice only: your face will not be perceived."],
    busy: ["The camera is in use", "Another program holds it. Going on with voice only; close that program, then try again."],
    failed: ["The camera did not start", "Going on with voice only. Choose another camera in Settings."],
    insecure: ["This page may not use the camera", "Browsers allow it only over https, or on this very computer. Going on without it."],
    unplugged: ["The camera was unplugged", "Going on with voice only. Plug it in again or choose another one in Settings."],
  },
};

/** {title, text, retry} for one device problem; `retry` says whether asking again may help. */
export function deviceMessage({ device, code }) {
  const [title, text] = DEVICE[device][code] ?? DEVICE[device].failed;
  return { title, text, retry: code !== "insecure" };
}

/** Both devices fail for one reason: one message instead of two. */
export function bothMessage(code) {
  const found = {
    denied: ["Camera and microphone blocked", "You can type, and you will hear and see the answers. To talk, allow both in the address bar (the icon left of the address), then choose “Try again”."],
    missing: ["No camera and no microphone found", "You can type, and you will hear and see the answers. Plug them in to talk."],
    insecure: ["This page may not use camera and microphone", "Browsers allow them only over https, or on this very computer: open the page through https, or as http://localhost. You can type meanwhile."],
  }[code];
  return found ? { title: found[0], text: found[1], retry: code !== "insecure" } : null;
}

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
  call: (number) => `Call ${number}`,
  callName: (name, number) => `Call ${name}, ${number}`,
  text: (number) => `Text ${number}`,
  textName: (name, number) => `Text ${name}, ${number}`,
  checked: (country, day) => `${country}. Checked ${day}. I am an AI, and no emergency service: I cannot call for you.`,
};

/** Full-stage messages, by name. */
export const COVERS = {
  connecting: () => ({ title: "Connecting", text: `Calling the agent on ${host}.`, spin: true }),
  busy: ({ detail, seconds }) => ({
    title: "The agent is in another call",
    text: `${detail || "It can only talk with so many people at once."} Trying again in ${seconds} s.`,
    actions: [["retry", "Try now"], ["leave", "Not now"]],
    count: seconds,
  }),
  refused: ({ title, detail }) => ({
    title: "The call was refused",
    text: `${detail || title || "The server gave no reason."} Reloading the page gets its newest version, which often helps.`,
    actions: [["retry", "Try again"], ["leave", "Back"]],
    tone: "bad",
  }),
  gone: () => ({
    title: "The server does not answer",
    text: `Nothing answers on ${location.host || host}. See that the program is running (“agent serve”) and that you are in the same network, then try again.`,
    actions: [["retry", "Try again"], ["leave", "Back"]],
    tone: "bad",
  }),
  lost: ({ attempt, seconds }) => ({
    title: "Connection lost",
    text: seconds > 0 ? `Your call is kept. Trying again in ${seconds} s${attempt > 1 ? ` (attempt ${attempt})` : ""}.` : `Your call is kept. Trying again now${attempt > 1 ? ` (attempt ${attempt})` : ""}.`,
    actions: [["now", "Try now"], ["leave", "End the call"]],
    spin: true,
    tone: "warn",
  }),
  ended: ({ lasted }) => ({
    title: "The call has ended",
    text: `You talked for ${lasted}. Nothing was recorded.`,
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
