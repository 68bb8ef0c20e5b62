// Finds what keeps people out: nameless controls, small targets, weak contrast, doubled ids, no heading of the page, names that lack what is seen.
// It looks into every open shadow tree.
() => {
  const found = [];
  const roots = [document];
  for (const root of roots) roots.push(...[...root.querySelectorAll("*")].map((el) => el.shadowRoot).filter(Boolean));
  const all = (selector) => roots.flatMap((root) => [...root.querySelectorAll(selector)]);
  const up = (el) => el.assignedSlot ?? el.parentElement ?? el.getRootNode().host ?? null;
  const visible = (el) => {
    if (!el.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    const box = el.getBoundingClientRect();
    return box.width > 1 && box.height > 1;
  };
  const label = (el) => `<${el.tagName.toLowerCase()}${el.id ? ` #${el.id}` : ""} class="${el.className.baseVal ?? el.className}"> ${(el.textContent ?? "").trim().slice(0, 30)}`;
  const name = (el) => {
    const by = el.getAttribute("aria-labelledby");
    if (by) return by.split(" ").map((id) => el.getRootNode().getElementById(id)?.textContent ?? "").join(" ").trim();
    return (el.getAttribute("aria-label") ?? [...(el.labels ?? [])].map((l) => l.textContent).join(" ")) || el.textContent.trim() || el.title || el.alt || "";
  };

  for (const root of roots) {
    const ids = [...root.querySelectorAll("[id]")].map((el) => el.id);
    for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) found.push(`id twice: ${id}`);
  }
  for (const el of all("button, a[href], input, select, summary, [role=meter], [role=img], video, [tabindex='0']")) {
    if (visible(el) && !name(el).trim()) found.push(`no name: ${label(el)}`);
  }
  const plain = (words) => words.trim().replace(/\s+/g, " ").toLowerCase();
  for (const el of all("button[aria-label], a[href][aria-label]")) {
    if (visible(el) && /[\p{L}\d]/u.test(el.innerText) && !plain(name(el)).includes(plain(el.innerText))) found.push(`seen is not in the name: ${label(el)}`);
  }
  if (!all("h1").some((el) => el.checkVisibility())) found.push("no h1");
  for (const el of all("button, a[href], select, summary, input")) {
    if (!visible(el)) continue;
    const box = (el.closest("label") ?? el).getBoundingClientRect();
    if (box.width < 24 || box.height < (el.classList.contains("mini") ? 22 : 24)) found.push(`small target ${Math.round(box.width)}x${Math.round(box.height)}: ${label(el)}`);
  }
  for (const el of all("[aria-controls], [aria-labelledby], [aria-describedby]")) {
    for (const attribute of ["aria-controls", "aria-labelledby", "aria-describedby"]) {
      for (const id of (el.getAttribute(attribute) ?? "").split(" ").filter(Boolean)) if (!el.getRootNode().getElementById(id)) found.push(`${attribute} to nothing: ${id}`);
    }
  }
  for (const img of all("img")) if (!img.hasAttribute("alt")) found.push(`no alt: ${label(img)}`);
  if (document.documentElement.lang === "") found.push("no language");

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  // All colours that may lie under an element: its own background, or each stop of a gradient, over its parent's.
  const grounds = (el) => {
    if (!el) return [[255, 255, 255, 1]];
    const style = getComputedStyle(el);
    const stops = style.backgroundImage.startsWith("linear-gradient(rgba(0, 0, 0, 0)") ? [] : (style.backgroundImage.match(/(?:rgba?|oklab|color|oklch)\([^()]*\)/g) ?? []);
    const own = stops.length ? stops.map(rgba) : [rgba(style.backgroundColor)];
    if (own.every((c) => c[3] === 1)) return own;
    return own.flatMap((c) => grounds(up(el)).map((below) => over(c, below)));
  };
  const texts = roots.flatMap((root) => {
    const walker = document.createTreeWalker(root.body ?? root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    return nodes;
  });
  for (const node of texts) {
    const el = node.parentElement.localName === "slot" ? node.parentElement.parentElement : node.parentElement;
    if (!node.data.trim() || !visible(el) || el.closest("[hidden], .hidden, .skip, svg, script, option, button:disabled, select:disabled")) continue;
    const style = getComputedStyle(el);
    let opacity = 1;
    for (let box = el; box; box = up(box)) opacity *= Number(getComputedStyle(box).opacity);
    const size = Number.parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const ink = rgba(style.color);
    ink[3] *= opacity;
    const worst = Math.min(...grounds(el).map((ground) => ratio(over(ink, ground), ground)));
    if (worst < needed) found.push(`contrast ${worst.toFixed(2)} < ${needed}: ${label(el)}`);
  }
  return found;
}
