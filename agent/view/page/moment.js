// What held at the instant, call by call: who spoke, what was seen, what was decided and why.

const PARTS = { end_of_turn: "waiting for the end of the turn", words: "waiting for the last words", decide: "thinking", voice: "first sound" };

function moments() {
  $("clock").textContent = clock(view.at);
  $("moments").replaceChildren(...calls.map((call, n) => moment(call, n)));
}

function moment(call, n) {
  const now = holding(call, view.at);
  const line = (lane, ...children) => h("div", { class: "held" }, h("dt", {}, call.lanes.find(({ id }) => id === lane)?.name ?? lane), h("dd", {}, ...children));
  const sure = (span) => (span.c === undefined ? null : h("small", {}, ` ${percent(span.c)}`));
  const rows = ["person", "agent", "display", "expression", "gaze", "voice", "gesture", "people", "scene", "other", "state", "safety", "notes"]
    .filter((lane) => now[lane])
    .map((lane) => line(lane, clean(now[lane].l), now[lane].k === "cut" ? h("small", {}, " cut off") : null, sure(now[lane])));
  const chosen = view.chosen?.call === n ? view.chosen : null;
  return h("section", { class: "moment", "aria-label": calls.length > 1 ? `Call ${call.letter}` : "The call" },
    calls.length > 1 ? h("h3", {}, h("b", { class: "letter", data: { letter: call.letter } }, call.letter), " ", call.name) : null,
    view.at > call.length + 0.001 ? h("p", { class: "hint" }, `This call ended at ${clock(call.length)}.`) : null,
    h("div", { class: "moment-parts" },
      h("div", {}, h("h4", {}, "What held"), rows.length ? h("dl", { class: "helds" }, rows) : h("p", { class: "hint" }, "Nothing was said, seen or shown.")),
      decision(call, n), chosen && chosen.event.type !== "decision" ? whole(chosen) : null));
}

/** The decision that was the last one at the instant, or the chosen one, with all that it rests on. */
function decision(call, n) {
  let event = view.chosen?.call === n && view.chosen.event.type === "decision" ? view.chosen.event : null;
  for (let i = place(call.events, view.at + 1e-6, (e) => e.t) - 1; !event && i >= 0; i--) if (call.events[i].type === "decision") event = call.events[i];
  if (!event) {
    const first = call.events.find((e) => e.type === "decision");
    const lead = first ? [" The first one is at ", h("button", { type: "button", class: "link", onclick: () => go(first.t) }, clock(first.t)), "."] : [];
    return h("div", {}, h("h4", {}, "Last decision"), h("p", { class: "hint" }, first ? "None yet." : "This call has none.", ...lead));
  }
  const what = [event.action, event.strategy ?? event.token, event.emotion, event.gesture !== "none" ? event.gesture : null].filter(Boolean).map(clean);
  const parts = event.reply ? Object.entries(PARTS).map(([name, words]) => [words, call.events.find((e) => e.type === "metric" && e.name === name && e.reply === event.reply)?.value]).filter(([, value]) => known(value) && value >= 0.0005) : [];
  const evidence = event.evidence ?? [];
  return h("div", { class: "decision" }, h("h4", {}, "Last decision"),
    h("p", { class: "badges" }, what.map((word, i) => h("span", { class: "badge", data: { first: i === 0 } }, word)), typeof event.confidence === "number" ? h("span", { class: "badge" }, `${percent(event.confidence)} sure`) : null, event.mind ? h("span", { class: "badge" }, event.mind) : null),
    event.text ? h("p", { class: "said" }, `“${event.text}”`) : null,
    h("p", { class: "reason" }, event.reason || (!("reason" in event) ? "The reason was withheld when this was written." : "No reason was given.")),
    evidence.length ? h("ul", { class: "evidence", "aria-label": "Evidence" }, evidence.map((proof) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => go(proof.t) }, `${clean(proof.kind)} ${clean(proof.label)}`.trim()), h("small", {}, ` ${[percent(proof.confidence), typeof proof.t === "number" ? clock(proof.t) : ""].filter(Boolean).join(" · ")}`)))) : null,
    h("p", { class: "hint" }, `Decided at ${clock(event.t)}`, event.cue ? ` on ${clean(event.cue)}` : "", event.reply ? `, reply ${event.reply}` : "", "."),
    parts.length ? h("dl", { class: "pairs" }, parts.map(([words, value]) => h("div", {}, h("dt", {}, words), h("dd", {}, seconds(value))))) : null);
}

/** Everything that an event says, key by key. */
function whole(row) {
  const value = (x) => (Array.isArray(x) || (x && typeof x === "object") ? JSON.stringify(x) : x === null ? "none" : String(x));
  const entries = Object.entries(row.event).filter(([, x]) => !(x && typeof x === "object" && !Object.keys(x).length) && x !== "");
  return h("div", {}, h("h4", {}, "Chosen event"), h("dl", { class: "whole" }, entries.map(([key, x]) => h("div", {}, h("dt", {}, clean(key)), h("dd", {}, value(x))))));
}

/** One sentence for those who hear the slider instead of seeing it. */
function sentence() {
  return [clock(view.at), ...calls.map((call) => {
    const now = holding(call, view.at);
    const parts = call.lanes.filter(({ id }) => now[id] && id !== "latency").slice(0, 6).map(({ id, name }) => `${name}: ${clean(now[id].l)}`);
    return `${calls.length > 1 ? `${call.letter}: ` : ""}${parts.join("; ") || "nothing"}`;
  })].join(". ");
}
