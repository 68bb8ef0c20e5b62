// Plots in SVG. Places are in percent, so a plot follows the width of its card and nothing is drawn again.

/** A mark at `x` percent: ours is a disc, a published model a diamond, people a ring. */
function mark(shape, x, tip, klass = "") {
  const inner = {
    disc: () => s("circle", { r: 6 }),
    ring: () => s("circle", { r: 5 }),
    diamond: () => s("path", { d: "M0-6.500 6.500 0 0 6.500-6.500 0z" }),
  }[shape]();
  return s("svg", { x: `${x}%`, y: "50%", overflow: "visible", class: `mark-${shape} ${klass}`, data: { tip } }, s("circle", { r: 11, class: "reach" }), inner);
}

/** Rows of a mean with its interval on one scale.
 *
 * rows: [{code, name, mean, low, high, se, total, marks: [{shape, value, name}], head}], shares of one.
 * scale: {from, to, ticks, signed}; a null mean is a row without a disc.
 */
function dots(node, rows, { from = 0, to = 1, ticks = [0, 0.25, 0.5, 0.75, 1], signed = false, label }) {
  const at = (value) => (100 * (Math.max(from, Math.min(to, value)) - from)) / (to - from);
  const told = (value) => (signed && value > 0 ? "+" : "") + points(value);
  const grid = () => ticks.map((tick) => s("line", { x1: `${at(tick)}%`, x2: `${at(tick)}%`, y1: 0, y2: "100%", class: signed && tick === 0 ? "zero" : "grid" }));
  const spoken = rows.map((row) => `${row.name} ${known(row.mean) ? told(row.mean) : "none"}`).join("; ");
  node.replaceChildren(
    h("div", { class: "dots", role: "img", "aria-label": `${label}, percent: ${spoken}` },
      rows.map((row) => {
        const svg = s("svg", { class: "dots-line", height: 30, "aria-hidden": "true" }, grid());
        if (known(row.low)) {
          svg.append(s("line", { class: "interval", x1: `${at(row.low)}%`, x2: `${at(row.high)}%`, y1: "50%", y2: "50%" }));
        }
        for (const other of row.marks ?? []) {
          if (known(other.value)) svg.append(mark(other.shape, at(other.value), `${other.name}: ${points(other.value)} %`));
        }
        if (known(row.mean)) {
          const reach = known(row.low) ? `, 95 % between ${told(Math.max(from, row.low))} and ${told(Math.min(to, row.high))}` : "";
          svg.append(mark("disc", at(row.mean), `${row.name}: ${told(row.mean)}${signed ? " points" : " %"}${reach}${known(row.total) ? `, ${some(row.total, "question")}` : ""}`));
        }
        return h("div", { class: "dots-row", data: row.head ? { head: "" } : {} },
          h("span", { class: "dots-name" }, row.code ? h("b", {}, row.code) : null, h("span", {}, row.short ?? row.name)),
          svg,
          h("span", { class: "dots-value" }, known(row.mean) ? told(row.mean) : "–"));
      }),
      h("div", { class: "dots-row dots-axis", "aria-hidden": "true" }, h("span"), h("span", { class: "ticks" }, ticks.map((tick) => {
        const label = h("i", {}, `${signed && tick > 0 ? "+" : ""}${Math.round(100 * tick)}`);
        label.style.left = `${at(tick)}%`;
        return label;
      })), h("span", {}, signed ? "points" : "%"))));
}

/** A histogram of sorted times in seconds, with the median and the 95th percentile marked. */
function histogram(node, times, { median, p95 }) {
  if (!times.length) {
    node.replaceChildren(h("p", { class: "hint" }, "Nothing was answered, so there are no times."));
    return;
  }
  const most = times[Math.min(times.length - 1, Math.floor(times.length * 0.99))] || times.at(-1) || 1;
  const raw = most / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((k) => k >= raw * 0.999);
  const end = Math.ceil((most * 1.0001) / step) * step;
  const bins = new Array(24).fill(0);
  for (const time of times) bins[Math.min(bins.length - 1, Math.floor((time / end) * bins.length))] += 1;
  const highest = Math.max(...bins);
  const width = 100 / bins.length;
  const svg = s("svg", { class: "bars", height: 150, role: "img", "aria-label": `Seconds from question to answer: median ${seconds(median)}, 95 percent within ${seconds(p95)}` });
  bins.forEach((n, i) => {
    const tall = (100 * n) / highest;
    const range = `${(i * end / bins.length).toFixed(2)} to ${((i + 1) * end / bins.length).toFixed(2)} s${i === bins.length - 1 && times.at(-1) > end ? " and more" : ""}`;
    svg.append(s("g", { data: { tip: `${range}: ${some(n, "answer")}` } },
      s("rect", { class: "reach", x: `${i * width}%`, width: `${width}%`, y: 0, height: "100%" }),
      s("rect", { class: "bar", x: `${i * width + 0.25}%`, width: `${width - 0.5}%`, y: `${100 - tall}%`, height: `${tall}%`, rx: 2 })));
  });
  const lines = [["median", median], ["95 %", p95]].filter(([, value]) => known(value) && value <= end);
  for (const [, value] of lines) svg.append(s("line", { class: "at", x1: `${(100 * value) / end}%`, x2: `${(100 * value) / end}%`, y1: 0, y2: "100%" }));
  const flags = h("div", { class: "flags", "aria-hidden": "true" }, lines.map(([name, value], i) => {
    const flag = h("span", {}, `${name} ${seconds(value)}`);
    flag.style.left = `${(100 * value) / end}%`;
    if (value / end > 0.7) flag.dataset.side = "left";
    flag.dataset.row = i;
    return flag;
  }));
  const ticks = [];
  for (let tick = 0; tick <= end + step / 2; tick += step) ticks.push(tick);
  const axis = h("div", { class: "ticks bars-axis", "aria-hidden": "true" }, ticks.map((tick) => {
    const label = h("i", {}, `${+tick.toFixed(3)}${tick ? "" : " s"}`);
    label.style.left = `${(100 * tick) / end}%`;
    return label;
  }));
  node.replaceChildren(flags, svg, axis);
}

/** A table: columns [{name, number}], rows of texts; `strong` rows are sums. */
function table(node, caption, columns, rows) {
  node.replaceChildren(
    h("caption", { class: "hidden" }, caption),
    h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.number ? "number" : null }, c.name)))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.strong ? "strong" : null }, row.cells.map((cell, i) =>
      i === 0 ? h("th", { scope: "row" }, cell) : h("td", { class: columns[i].number ? "number" : null }, cell))))));
}
