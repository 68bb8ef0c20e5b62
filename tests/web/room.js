// Finds what lies over something else, what is cut, and what nobody can reach. It looks at what the person has to see or
// press in a call; the face may lie behind.
() => {
  const root = document.querySelector("rapport-call").shadowRoot;
  const parent = (el) => el.assignedSlot ?? el.parentElement ?? el.getRootNode().host ?? null;
  const label = (el) => `${el.id ? `#${el.id}` : `.${el.className}`} ${(el.textContent ?? "").trim().slice(0, 24)}`;
  const meet = (a, b) => ({ left: Math.max(a.left, b.left), top: Math.max(a.top, b.top), right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom) });
  const whole = (el) => {
    const { left, top, right, bottom } = el.getBoundingClientRect();
    return { left, top, right, bottom };
  };
  const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
  // What is left of an element by the boxes around it that clip.
  const seen = (el) => {
    let box = whole(el);
    for (let up = parent(el); up; up = parent(up)) if (getComputedStyle(up).overflow !== "visible") box = meet(box, whole(up));
    return box;
  };
  const area = ({ left, top, right, bottom }) => Math.max(0, right - left) * Math.max(0, bottom - top);
  const shown = (el) => el && el.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && el.getBoundingClientRect().width > 1;
  const all = (selector) => [...root.querySelectorAll(selector)].filter(shown);
  const found = [];

  const places = all(".help, .help-again, .notice, #mood, #stop, #keeping, #self, #captions li:last-child, #composer, #hold, .controls, #cover-card, #side");
  for (const [i, a] of places.entries()) {
    for (const b of places.slice(i + 1)) if (area(meet(seen(a), seen(b))) > 2) found.push(`overlap: ${label(a)} / ${label(b)}`);
  }
  const inside = (a, b, by = 1) => a.left >= b.left - by && a.right <= b.right + by && a.top >= b.top - by && a.bottom <= b.bottom + by;
  for (const el of all("#mood, #stop, #keeping, #self")) if (!inside(whole(el), seen(el))) found.push(`cut: ${label(el)}`);
  // Of the captions no slices: each line is there as a whole or not at all, but for a last one that is taller than the list.
  for (const el of all("#captions li")) if (!inside(whole(el), seen(el), 3) && el.offsetHeight < el.parentElement.clientHeight) found.push(`slice: ${label(el)}`);
  const { scrollWidth, clientWidth } = root.getElementById("app");
  if (scrollWidth > clientWidth) found.push(`wider than its frame: ${scrollWidth} > ${clientWidth}`);

  // Everything to be read or pressed can be brought into sight, and there nothing lies over its middle or its corners.
  const scrolled = [...root.querySelectorAll("*")].map((el) => [el, el.scrollTop, getComputedStyle(el).overflowY !== "auto"]);
  const back = (all) => scrolled.forEach(([el, top, fixed]) => (all || fixed) && el.scrollTop !== top && (el.scrollTop = top));
  for (const el of all(".help :is(h2, p, a, button, b), .help-again, .notice :is(p, button), #mood, #stop, #keeping, #captions li:last-child .text, #dock :is(button, input), #cover-card :is(h2, p, button)")) {
    el.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
    back(false); // what hides its overflow a script can scroll, and a person cannot
    const box = whole(el);
    const tall = box.bottom - box.top > 90;
    if (!tall && !inside(box, meet(seen(el), screen))) found.push(`out of reach: ${label(el)}`);
    const [x, y] = [(box.left + box.right) / 2, tall ? box.bottom - 12 : (box.top + box.bottom) / 2];
    const hit = root.elementFromPoint(x, y);
    if (!hit || !(el.contains(hit) || hit.contains(el))) found.push(`covered: ${label(el)} by ${hit ? label(hit) : "nothing"}`);
  }
  back(true);
  return found;
}
