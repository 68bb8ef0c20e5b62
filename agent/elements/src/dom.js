// Small helpers for elements, words and preferences.

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

/** Nodes of a tree as build.py makes it of HTML: text, or [name, attributes, children]. No HTML is parsed here. */
export function grow(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const [name, attributes, children] = tree;
  const node = h(name, attributes, ...children.map(grow));
  // Set on an element that is made by a script, the attribute alone has no effect.
  if (name === "video" && "muted" in attributes) node.muted = true;
  return node;
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
