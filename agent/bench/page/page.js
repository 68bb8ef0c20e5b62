// The page: headline, plots, and the list of items with its filters.

const PAGE = 50;
const CONDITION = {
  variant: "Question put", feed: "Policy gets", asr: "Data set's transcript shown", hear_all: "Silent tasks heard",
  settle_s: "Silence before the question, seconds", measured: "Work timed on this machine", model: "Model", senses: "Senses", seed: "Seed",
};
const { summary, comparison, beside, times, items, texts, lanes, kinds, fixed_costs: fixedCosts } = data("data");
const groups = new Map(summary.groups.map((group) => [group.code, group]));
const people = summary.published.find((row) => /human/i.test(row.model));
const models = summary.published.filter((row) => row !== people);
const view = { rules: "strict", model: models.find((row) => beside.includes(row.model)) ?? null, state: "all", task: "", words: "", page: 0 };
items.forEach((item, index) => Object.assign(item, { index, text: [item.id, item.code, item.media, item.question, item.also, item.right, item.raw, item.error].join("\n").toLowerCase() }));

function head() {
  $("what").textContent = `Benchmark run${summary.condition.policy ? ` · ${summary.condition.policy}` : ""}`;
  $("title").textContent = summary.title;
  document.title = `${summary.title}: what came of the run`;
  const told = Object.entries(summary.condition).filter(([key]) => key !== "policy");
  const value = (x) => (x === true ? "yes" : x === false ? "no" : String(x ?? "none"));
  $("condition").replaceChildren(...told.map(([key, x]) => h("li", {}, h("span", {}, CONDITION[key] ?? clean(key)), " ", h("b", {}, value(x)))));
  $("versions").textContent = Object.entries(summary.versions).map(([key, x]) => `${sentence(clean(key))} ${x.slice(0, 12)}.`).join(" ");
  $("note").textContent = [...summary.alarms.map((alarm) => `Not to be trusted: ${alarm}.`), summary.note].filter(Boolean).join(" ");
  $("note").classList.toggle("alarm", summary.alarms.length > 0);
  $("note").hidden = !$("note").textContent;
}

function figures() {
  const { strict, reference, coverage, latency, repeats } = summary;
  const sure = (cell) => h("small", {}, ` %${between(cell)}`);
  const { voice, face, guessed, asked, words, word_errors: wrong } = summary.arrivals;
  const figure = (name, value, ...more) => h("div", { class: "figure" }, h("dt", {}, name), h("dd", {}, h("b", {}, value), more[0], ...more.slice(1).filter(Boolean).map((text) => h("p", {}, text))));
  const mean = strict.macro13.groups ? strict.macro13 : strict.macro15;
  const key = mean === strict.macro13 ? "macro13" : "macro15";
  const there = mean.groups === mean.of ? `${mean.of} tasks` : `${mean.groups} of ${mean.of} tasks`;
  const rows = [view.model, people].filter((row) => row && known(row[key]));
  const again = repeats.count > 1 ? `${some(repeats.count, "time")} each; ${points(repeats.consistency)} % answered the same` : "";
  $("figures").replaceChildren(
    figure("Strict accuracy", points(strict.all.accuracy), sure(strict.all), `of ${some(summary.asks, "question")} about ${some(summary.media, "medium", "media")}`, again),
    ...(mean.groups ? [figure(`Mean of ${there}`, points(mean.accuracy), sure(mean), `by the reference scorer ${points(reference[key].accuracy)} %`)] : []),
    ...(rows.length ? [figure("Published, same tasks", points(rows[0][key]), h("small", {}, " %"), rows[0].model, rows[1] ? `${rows[1].model} ${points(rows[1][key])} % (${rows[1].subset})` : "")] : []),
    figure("Answered", known(coverage.all.coverage) ? `${points(coverage.all.coverage)}` : "–", h("small", {}, " %"), `${count(coverage.all.answered)} of ${count(coverage.all.selected)}`),
    figure("Heard", count(voice.arrived), h("small", {}, ` of ${count(voice.expected)}`), `a face seen in ${count(face.arrived)} of ${count(face.expected)}; guessed ${count(guessed)} of ${count(asked)}`, known(words) && words ? `word error rate ${points(wrong / words)} %` : ""),
    figure("Question to answer", seconds(latency.answer_s.median), null, `95 % within ${seconds(latency.answer_s.p95)}`));
}

function plots() {
  const block = summary[view.rules];
  const rows = [view.model && { row: view.model, shape: "diamond" }, people && { row: people, shape: "ring" }].filter(Boolean);
  const marks = (pick) => rows.map(({ row, shape }) => ({ shape, value: pick(row), name: `${row.model} (${row.subset})` }));
  const shown = summary.groups.filter((group) => group.selected);
  dots($("plot-tasks"), shown.map((group) => ({ code: group.known ? group.code : "", name: group.name, ...named(block.per_group[group.code]), marks: marks((row) => row.cells[group.code]) })), { label: `Accuracy by task, ${view.rules} rules` });
  const levels = Object.entries(block.per_level).filter(([, cell]) => cell.macro.groups);
  $("levels-title").hidden = !levels.length;
  if (levels.length) {
    const all = [...levels.map(([level, cell]) => ({ name: `Level ${level}`, ...named(cell.macro), marks: marks((row) => row.levels[level]) })),
      ...(block.macro13.groups ? [{ name: `Mean of ${block.macro13.groups} tasks`, ...named(block.macro13), marks: marks((row) => row.macro13), head: true }] : [])];
    dots($("plot-levels"), all, { label: "Mean of the tasks of each level" });
  }
  const item = (shape, name) => h("span", {}, s("svg", { width: 16, height: 16, "aria-hidden": "true" }, mark(shape, 50, null)), name);
  $("legend").replaceChildren(item("disc", "this run, with its 95 % interval"), ...rows.map(({ row, shape }) => item(shape, `${row.model}, published (${row.subset})`)));
  $("rules-told").textContent = view.rules === "strict"
    ? "Strict: every selected question counts, and one without an answer is wrong. Errors are clustered by medium."
    : "Reference: the published scorer bit for bit. It leaves out what was not answered, so look at the coverage too.";
}

const percent = (x) => Math.round(100 * Math.min(1, Math.max(0, x)));
const between = (cell) => (known(cell.low) && known(cell.high) ? ` [${percent(cell.low)}–${percent(cell.high)}]` : "");
const named = (cell) => ({ mean: cell.accuracy, low: cell.low, high: cell.high, total: cell.total });

function numbers() {
  const { strict, reference, coverage } = summary;
  const rows = summary.published;
  const sure = (cell) => (known(cell.accuracy) ? `${points(cell.accuracy)}${between(cell)}` : "–");
  const columns = [{ name: "Task" }, ...["Level", "n", "Strict [95 %]", "Reference", "Answered", ...rows.map((row) => row.model)].map((name) => ({ name, number: true }))];
  const line = (name, level, key, pick, seen, theirs, strong) => ({ strong, cells: [name, level || "", known(pick(strict).total) ? count(pick(strict).total) : "", sure(pick(strict)), points(pick(reference).accuracy), seen ? points(seen.coverage) : "", ...rows.map((row) => points(theirs(row)))] });
  table($("table"), "Accuracy by task", columns, [
    ...summary.groups.filter((group) => group.selected).map((group) => line(group.known ? `${group.code} · ${group.name}` : group.name, group.level, group.code, (block) => block.per_group[group.code], coverage.per_group[group.code], (row) => row.cells[group.code])),
    ...Object.keys(strict.per_level).filter((level) => strict.per_level[level].macro.groups).map((level) => line(`Level ${level}, mean of tasks`, level, level, (block) => block.per_level[level].macro, null, (row) => row.levels[level], true)),
    ...["macro13", "macro15"].filter((key, i) => strict[key].groups && (i === 0 || strict[key].of !== strict.macro13.of)).map((key) => line(`Mean of ${strict[key].groups} tasks`, "", key, (block) => block[key], null, (row) => row[key], true)),
    line("All questions", "", "all", (block) => block.all, coverage.all, () => null, true),
    { cells: ["All questions, wholly right", "", "", sure(strict.exact), "", "", ...rows.map(() => "")] },
  ]);
}

function timing() {
  const { latency, budget, condition } = summary;
  histogram($("plot-times"), times, latency.answer_s);
  table($("times-table"), "Seconds by stage", [{ name: "Stage" }, { name: "Median", number: true }, { name: "95 %", number: true }, { name: "n", number: true }],
    Object.entries(latency).map(([stage, cell]) => ({ cells: [stage === "answer_s" ? "question to answer" : clean(stage), seconds(cell.median), seconds(cell.p95), count(cell.n)] })));
  const given = known(budget.frames) ? `Given to the policy, median: ${some(Math.round(budget.frames), "picture")}, ${seconds(budget.heard_s)} of sound, ${count(Math.round(budget.tokens))} tokens. ` : "";
  $("times-told").textContent = `${given}${hours(summary.media_s)} of media took ${hours(summary.took_s)} of work. ${fixedCosts}`;
}

function errors() {
  const { errors: found, reference } = summary;
  const told = Object.entries(found.counts).map(([kind, n]) => [count(n), kinds[kind]]);
  if (reference.crashes) told.push([count(reference.crashes), `answers on which the published scorer would have crashed: ${Object.keys(reference.crash_reasons).join(", ")}`]);
  for (const [name, part] of [["a voice, and no words came", summary.arrivals.voice], ["a face, and no face percept came", summary.arrivals.face]]) {
    if (part.missing.length) told.push([count(part.missing.length), `items with ${name}, such as ${part.missing.slice(0, 3).join(", ")}`]);
  }
  for (const [name, n] of Object.entries(summary.arrivals.lost)) told.push([count(n), `items in which the sense ${name} was lost`]);
  if (summary.arrivals.guessed) told.push([count(summary.arrivals.guessed), "answers that are guesses: nothing was perceived that speaks to them"]);
  for (const [name, n] of Object.entries(summary.budget.dropped)) told.push([count(n), `${clean(name)}: media that a sense had no time for`]);
  const open = (id) => {
    const row = items.find((item) => item.id === id);
    return row ? h("button", { type: "button", class: "link", onclick: () => opened.show(row) }, id) : id;
  };
  $("errors").replaceChildren(
    told.length ? h("dl", { class: "counts" }, told.map(([n, text]) => h("div", {}, h("dt", {}, text), h("dd", {}, n)))) : h("p", { class: "hint" }, "Nothing: every question was answered, and every answer understood."),
    ...(found.messages.length ? [h("h3", {}, "What was said about it"), h("ul", { class: "told" }, found.messages.map((m) => h("li", {}, `${m.count} × ${m.message} `, h("small", {}, "first in ", open(m.first)))))] : []),
    ...(found.malformed.length ? [h("h3", {}, "Entries that cannot be used"), h("ul", { class: "told" }, found.malformed.map((item) => h("li", {}, open(item.id), `: ${item.problem}`)))] : []));
}

function compared() {
  if (!comparison) return;
  const [a, b] = comparison.names;
  $("compared").hidden = false;
  $("compared-title").textContent = `${b} against ${a}, on the same questions`;
  const rows = [...Object.entries(comparison.per_group).map(([code, cell]) => ({ code: cell.name === code ? "" : code, name: cell.name, cell })), { name: "All questions", cell: comparison.all, head: true }];
  const widest = Math.max(0.1, ...rows.flatMap(({ cell }) => (known(cell.low) ? [cell.low, cell.high] : [0]).map(Math.abs)));
  const to = Math.min(1, Math.ceil(widest * 10) / 10);
  dots($("plot-compared"), rows.map(({ cell, ...row }) => ({ ...row, mean: cell.difference, low: cell.low, high: cell.high, total: cell.n })), { from: -to, to, ticks: [-to, -to / 2, 0, to / 2, to], signed: true, label: `Difference of ${b} to ${a}` });
  const signed = (x) => (known(x) ? `${x > 0 ? "+" : ""}${points(x)}` : "–");
  table($("compared-table"), "The comparison in numbers", [{ name: "Task" }, ...["n", a, b, "Difference", "95 % interval", "p", `only ${a} right`, `only ${b} right`].map((name) => ({ name, number: true }))],
    rows.map(({ name, cell, head: strong }) => ({ strong, cells: [name, count(cell.n), points(cell.a), points(cell.b), signed(cell.difference), known(cell.low) ? `${signed(cell.low)} to ${signed(cell.high)}` : "–", !known(cell.p) ? "–" : cell.p < 0.001 ? "< 0.001" : cell.p.toFixed(3), count(cell.only_a), count(cell.only_b)] })));
  const left = comparison.only_in_a || comparison.only_in_b ? ` Left out: ${some(comparison.only_in_a, "item")} only in ${a}, ${count(comparison.only_in_b)} only in ${b}.` : "";
  $("compared-told").textContent = `Right of zero, ${b} does better. ${comparison.rules === "strict" ? "Strict" : "Reference"} rules; intervals are of paired differences, clustered by medium.${left}`;
}

// The list.

const STATES = { all: "All", wrong: "Wrong", partly: "Partly", right: "Right", error: "Errors" };
const inState = (item, state) => state === "all" || (state === "wrong" ? item.wrong : item.state === state);
const matches = () => items.filter((item) => (!view.task || item.code === view.task) && view.words.every((word) => item.text.includes(word)));
let filtered = [];

function filters() {
  const codes = summary.groups.filter((group) => group.selected);
  $("task").append(h("option", { value: "" }, "All tasks"), ...codes.map((group) => h("option", { value: group.code }, group.known ? `${group.code} · ${group.name}` : group.name)));
  for (const [state, name] of Object.entries(STATES)) {
    const input = h("input", { type: "radio", name: "state", value: state, checked: state === "all", onchange: () => ((view.state = state), refilter()) });
    $("states").append(h("label", {}, input, h("span", {}, name, " ", h("i", { id: `count-${state}` }))));
  }
  view.words = [];
  let waiting = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => ((view.words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean)), refilter()), 120);
  });
  $("task").addEventListener("change", () => ((view.task = $("task").value), refilter()));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}

function refilter() {
  const found = matches();
  for (const state of Object.keys(STATES)) $(`count-${state}`).textContent = count(found.filter((item) => inState(item, state)).length);
  filtered = found.filter((item) => inState(item, view.state));
  view.page = 0;
  paint();
}

function entry(item) {
  const answer = item.state === "error" ? [h("span", { class: "trouble" }, kinds[item.error] ?? item.error)] : [h("span", {}, "said ", h("b", {}, item.said || "–")), h("span", {}, "right ", h("b", {}, item.right || "–"))];
  return h("li", {}, h("button", { type: "button", class: "entry", data: { id: item.id, state: item.state }, onclick: () => opened.show(item) },
    verdict(item.state),
    h("span", { class: "entry-main" }, h("span", { class: "entry-question" }, item.question, item.asks > 1 ? ` (+${item.asks - 1})` : ""), h("span", { class: "entry-more" }, h("b", {}, item.code), h("span", {}, item.media || item.id))),
    h("span", { class: "entry-answer" }, answer),
    h("span", { class: "entry-time" }, known(item.took) ? seconds(item.took) : "")));
}

function paint() {
  const pages = Math.max(1, Math.ceil(filtered.length / PAGE));
  const from = view.page * PAGE;
  $("found").textContent = filtered.length === items.length ? some(items.length, "item") : `${count(filtered.length)} of ${some(items.length, "item")}`;
  $("items").replaceChildren(...filtered.slice(from, from + PAGE).map(entry));
  if (!filtered.length) $("items").append(h("li", { class: "hint none" }, "No item is like that. Take a filter away."));
  const go = (page, name) => h("button", { type: "button", class: "quiet", disabled: page < 0 || page >= pages, onclick: () => ((view.page = page), paint(), $("list").scrollIntoView(), $("items").querySelector("button")?.focus({ preventScroll: true })) }, name);
  $("pager").hidden = pages === 1;
  $("pager").replaceChildren(go(view.page - 1, "‹ Before"), h("span", {}, `${count(from + 1)}–${count(Math.min(from + PAGE, filtered.length))} of ${count(filtered.length)}`), go(view.page + 1, "Next ›"));
}

const opened = new Opened({ lanes, kinds, texts, groups, around: (row) => {
  const at = filtered.indexOf(row);
  return { before: filtered[at - 1], after: at < 0 ? undefined : filtered[at + 1] };
} });

function follow() {
  const found = /^#item=(.+)$/.exec(location.hash);
  const row = found && items.find((item) => item.id === decodeURIComponent(found[1]));
  if (row) opened.show(row);
}

head();
$("rules").addEventListener("change", () => ((view.rules = $("rules").value), plots()));
$("beside-label").hidden = !models.length;
$("beside").append(...models.map((row, i) => h("option", { value: i, selected: row === view.model }, `${row.model} (${row.subset})`)));
$("beside").addEventListener("change", () => ((view.model = models[Number($("beside").value)]), plots(), figures()));
figures();
plots();
numbers();
compared();
timing();
errors();
filters();
refilter();
follow();
addEventListener("hashchange", follow);
