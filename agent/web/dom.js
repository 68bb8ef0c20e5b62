// Small helpers for the document.

export const $ = (id) => document.getElementById(id);

/** An element with attributes, dataset, text and children: h("p", {class: "x", data: {y: 1}}, "text", child). */
export function h(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "data") Object.assign(node.dataset, value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set text only when it changes, so that nothing is painted or read out for nothing. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

let clearing = null;

/** Tell a screen reader, politely; what came before is not repeated. */
export function announce(words) {
  const region = $("announcer");
  clearTimeout(clearing);
  region.textContent = words;
  clearing = setTimeout(() => (region.textContent = ""), 4000);
}

/** Interrupt a screen reader: for what the person has to act on. */
export function alarm(words) {
  const region = $("alarm");
  region.textContent = "";
  setTimeout(() => (region.textContent = words), 30);
}

export function remember(key, value) {
  try {
    localStorage.setItem(`rapport.${key}`, value);
  } catch {
    // A browser that stores nothing only forgets a preference.
  }
}

export function recall(key, fallback = "") {
  try {
    return localStorage.getItem(`rapport.${key}`) ?? fallback;
  } catch {
    return fallback;
  }
}

export const clean = (label) => String(label ?? "").replaceAll("_", " ");
export const percent = (x) => `${Math.round(100 * Math.max(0, Math.min(1, x)))}%`;
