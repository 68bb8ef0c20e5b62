// What a reload of the page comes back into its call with: the resume token, and what the person had allowed, muted and
// switched. It stays in this tab (sessionStorage), holds no word of the call, and goes when the call ends. `key` tells
// the calls of several elements and servers apart.

const callKey = (key) => `rapport.call ${key}`;
const iceKey = (key) => `rapport.ice ${key}`;

/** Remember a call: {resume, keptS, senses, recording, began, micOn, cameraOn, pushToTalk}; the time is added. */
export function keep(key, call) {
  try {
    sessionStorage.setItem(callKey(key), JSON.stringify({ ...call, at: Date.now() }));
  } catch {
    // A browser that stores nothing only cannot come back after a reload.
  }
}

/** The call that this tab was in, with its age in seconds, or null. */
export function kept(key) {
  try {
    const found = JSON.parse(sessionStorage.getItem(callKey(key)));
    if (typeof found?.resume !== "string" || !Array.isArray(found.senses)) return null;
    return { ...found, ageS: Math.max(0, (Date.now() - found.at) / 1000) };
  } catch {
    return null;
  }
}

export function drop(key) {
  try {
    sessionStorage.removeItem(callKey(key));
    sessionStorage.removeItem(iceKey(key));
  } catch {
    // There was nothing, then.
  }
}

/** Remember STUN and TURN servers; their credentials are good for this caller and a short while. */
export function keepIce(key, servers) {
  try {
    sessionStorage.setItem(iceKey(key), JSON.stringify(servers));
  } catch {
    // Then the next connection goes without.
  }
}

/** Those that were last remembered. */
export function keptIce(key) {
  try {
    return JSON.parse(sessionStorage.getItem(iceKey(key))) ?? [];
  } catch {
    return [];
  }
}
