// The page: what the call was in numbers, and what moves the instant, the stretch and the choice.

function head() {
  $("what").textContent = calls.length > 1 ? "Two calls on one time axis" : "Journal of a call";
  $("title").replaceChildren(...(calls.length === 1 ? [calls[0].name] : calls.map((call) => h("span", {}, h("b", { class: "letter", data: { letter: call.letter } }, call.letter), " ", call.name))));
  const names = (some_) => (calls.length === 1 ? "This journal" : some_.length === 2 ? "Both journals" : `Journal ${some_[0].letter}`);
  const verb = (some_) => (some_.length === 2 ? "hold" : "holds");
  const personal = calls.filter((call) => call.personal), withheld = calls.filter((call) => call.withheld && !call.personal);
  const notice = (kind, ...children) => h("div", { class: "notice", data: { kind } }, ...children);
  $("notices").replaceChildren(...[
    personal.length ? notice("personal", h("b", {}, "Personal. "), `${names(personal)} ${verb(personal)} what a person said and how they looked. Show it only to those who may know.`) : null,
    withheld.length ? notice("calm", `${names(withheld)} ${withheld.length === 2 ? "were" : "was"} written without words and looks; kinds, times and numbers are here.`) : null,
    ...calls.filter((call) => call.bad.count).map((call) => notice("bad", h("details", {}, h("summary", {}, `${calls.length > 1 ? `Journal ${call.letter}: ` : ""}${some(call.bad.count, "line")} could not be used and ${call.bad.count === 1 ? "was" : "were"} left out`),
      h("ul", {}, call.bad.lines.map(([number, why]) => h("li", {}, `line ${number} ${why}`)), call.bad.count > call.bad.lines.length ? h("li", {}, `and ${count(call.bad.count - call.bad.lines.length)} more`) : null)))),
  ].filter(Boolean));
}

function figures() {
  const both = (pick) => calls.map((call) => pick(call.figures));
  const value = (of) => of.map((x, n) => h("span", { class: "value" }, calls.length > 1 ? h("b", { class: "letter", data: { letter: calls[n].letter } }, calls[n].letter) : null, h("b", {}, x)));
  const figure = (name, of, ...more) => h("div", { class: "figure" }, h("dt", {}, name), h("dd", {}, h("div", { class: "values" }, value(of)), more.filter(Boolean).map((text) => h("p", {}, text))));
  const each = (words) => (calls.length > 1 ? null : words);
  const f = calls[0].figures;
  $("figures").replaceChildren(
    figure("Length", both((x) => clock(x.length).slice(0, -2)), each(`${some(f.events, "event")}, ${some(f.percepts, "percept")}`)),
    figure("Turns", both((x) => count(x.person + x.agent)), each(`${count(f.person)} of the person, ${count(f.agent)} of the agent${f.cut ? `; ${count(f.cut)} cut off` : ""}`)),
    figure("Reply heard after", both((x) => seconds(x.latency)), each(f.replies ? `median of ${count(f.replies)}; longest ${seconds(f.latency_most)}` : "no reply was heard")),
    figure("Decisions", both((x) => count(x.decisions)), each(known(f.barge_in) ? `interruptions seen after ${seconds(f.barge_in)}` : "")),
    figure("Safety alarms", both((x) => count(x.alarms))),
    figure("Troubles", both((x) => count(x.troubles + x.lost)), each(f.lost ? `${some(f.lost, "sense")} lost` : "")));
}

function groups() {
  const counts = Object.fromEntries(Object.keys(GROUPS).map((id) => [id, 0]));
  for (const row of events) counts[row.group] += 1;
  const box = (id) => h("label", {}, h("input", { type: "checkbox", value: id, checked: true, onchange: (event) => {
    if (event.target.checked) view.groups.add(id);
    else view.groups.delete(id);
    resift();
  } }), h("span", {}, GROUPS[id].name, " ", h("i", {}, count(counts[id]))));
  $("groups").append(...Object.keys(GROUPS).filter((id) => counts[id]).map(box));
}

function resift() {
  sift();
  view.chosen = view.rows.includes(view.chosen) ? view.chosen : null;
  soon();
}

/** Go to an instant of the calls; what is not in sight comes into it. */
function go(at, keep = false) {
  if (typeof at !== "number" || !Number.isFinite(at)) return;
  view.at = Math.max(0, Math.min(total, at));
  if (!keep) view.chosen = null;
  const wide = view.to - view.from;
  if (view.at < view.from || view.at > view.to) show(view.at - wide / 2, view.at + wide / 2);
  if (player && Math.abs(player.currentTime - view.at) > 0.05) player.currentTime = view.at;
  soon();
}

function choose(row) {
  view.chosen = row;
  go(row.t, true);
}

let waiting = false;
/** Draw once with the next picture, however much has changed until then. */
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
    moments();
    list();
    const slider = $("timeline");
    slider.setAttribute("aria-valuenow", view.at.toFixed(1));
    slider.setAttribute("aria-valuetext", sentence());
    $("fit").disabled = view.to - view.from >= total - 1e-9;
    $("out").disabled = $("fit").disabled;
    $("in").disabled = view.to - view.from <= LEAST_S + 1e-9;
  });
}

let player = null;
function medium() {
  if (!mediumKind) return;
  const [, encoded] = $("medium-data").textContent.split(",");
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  player = h(mediumKind.startsWith("video") ? "video" : "audio", { controls: true, src: URL.createObjectURL(new Blob([bytes], { type: mediumKind })), class: "medium" });
  player.addEventListener("timeupdate", () => !player.paused && go(player.currentTime));
  $("medium").append(player);
}

function wire() {
  const home = $("timeline");
  for (const one of canvases) {
    const { canvas } = one;
    const scrub = (event) => go(under(one, event).t);
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      home.focus({ preventScroll: true });
      scrub(event);
      const { span } = under(one, event);
      if (span?.i >= 0) choose(events.find((row) => calls[row.call] === one.call && row.i === span.i));
      else if (span) pick(one.call, span);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId) && event.buttons) return scrub(event);
      const { lane, span, t } = under(one, event);
      if (span) canvas.dataset.tip = `${lane.name}: ${clean(span.l)}${span.k === "cut" ? " · cut off" : ""}${span.c === undefined ? "" : ` · ${percent(span.c)} sure`} · ${clock(span.s)}${span.e > span.s ? ` to ${clock(span.e)}` : ""}${span.n > 1 ? ` · ${some(span.n, "look")}` : ""}`;
      else canvas.dataset.tip = clock(t);
    });
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) zoom(event.deltaY > 0 ? 1.25 : 0.8, under(one, event).t);
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const by = ((event.deltaX || event.deltaY) / canvas.clientWidth) * (view.to - view.from);
        show(view.from + by, view.to + by);
      } else return;
      event.preventDefault();
    }, { passive: false });
  }
  const overview = $("overview");
  const pan = (event) => {
    const box = overview.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * total, wide = view.to - view.from;
    if (wide >= total - 1e-9) return go(at);
    show(at - wide / 2, at + wide / 2);
  };
  overview.addEventListener("pointerdown", (event) => (overview.setPointerCapture(event.pointerId), pan(event)));
  overview.addEventListener("pointermove", (event) => overview.hasPointerCapture(event.pointerId) && event.buttons && pan(event));
  home.addEventListener("keydown", key);
  $("in").addEventListener("click", () => zoom(0.5));
  $("out").addEventListener("click", () => zoom(2));
  $("fit").addEventListener("click", () => show(0, total));
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
  $("search").addEventListener("input", (event) => ((view.words = event.target.value.trim()), resift()));
  $("search").addEventListener("keydown", (event) => event.key === "Enter" && step(event.shiftKey ? -1 : 1));
  new ResizeObserver(soon).observe(home);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (readTones(), soon()));
}

/** Choose the percept that a span begins with. */
function pick(call, span) {
  const n = calls.indexOf(call);
  const row = events.find((one) => one.call === n && one.event.type === "percept" && one.event.kind === span.k && Math.abs((one.event.start ?? one.t) - span.s) < 0.0011);
  if (row) (view.chosen = row), soon();
}

function key(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const wide = view.to - view.from, by = (event.shiftKey ? 10 : 1) * (wide / 100);
  const act = {
    ArrowLeft: () => go(view.at - by), ArrowRight: () => go(view.at + by),
    ArrowDown: () => step(-1), ArrowUp: () => step(1), ",": () => step(-1), ".": () => step(1),
    PageUp: () => go(view.at - wide / 2), PageDown: () => go(view.at + wide / 2),
    Home: () => go(0), End: () => go(total),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => show(0, total),
    " ": () => player && (player.paused ? player.play() : player.pause()),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

readTones();
head();
figures();
groups();
build();
medium();
wire();
soon();
