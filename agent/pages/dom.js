// Small helpers. Text from data only ever becomes text: nothing here takes markup.

const $ = (id) => document.getElementById(id);
const data = (id) => JSON.parse($(id).textContent);

/** An element with attributes, dataset and children: h("p", {class: "x", data: {y: 1}}, "text", child). */
function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "data") Object.assign(node.dataset, value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const known = (x) => x !== null && x !== undefined;
const points = (x) => (known(x) ? (100 * x).toFixed(1) : "–");
const count = (n) => Number(n).toLocaleString("en");
const some = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
const clean = (label) => String(label ?? "").replaceAll("_", " ");
const seconds = (x) => (!known(x) ? "–" : x < 0.0995 ? `${Math.round(x * 1000)} ms` : x < 10 ? `${x.toFixed(2)} s` : `${x.toFixed(1)} s`);
const stamp = (x) => `${Math.floor(x / 60)}:${(x % 60).toFixed(1).padStart(4, "0")}`;
const hours = (x) => (x < 60 ? `${x.toFixed(0)} s` : x < 5400 ? `${(x / 60).toFixed(1)} min` : `${(x / 3600).toFixed(1)} h`);

/** One tip for the whole page: what carries data-tip tells it on hover and on focus. */
(() => {
  const tip = $("tip");
  const show = (event) => {
    const from = event.target.closest?.("[data-tip]");
    tip.hidden = !from;
    if (!from) return;
    // A modal dialog is above all else, so the tip has to be inside it.
    const home = from.closest("dialog") ?? document.body;
    if (tip.parentElement !== home) home.append(tip);
    tip.textContent = from.dataset.tip;
    const box = from.getBoundingClientRect();
    const x = event.type === "pointermove" || event.type === "pointerover" ? event.clientX : box.left + box.width / 2;
    const half = tip.offsetWidth / 2;
    const left = Math.max(half + 8, Math.min(innerWidth - half - 8, x));
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 4 ? box.bottom + 8 : above}px`;
  };
  for (const type of ["pointerover", "pointermove", "focusin"]) document.addEventListener(type, show);
  document.addEventListener("focusout", () => (tip.hidden = true));
  document.addEventListener("pointerleave", () => (tip.hidden = true));
  document.addEventListener("scroll", () => (tip.hidden = true), true);
})();
