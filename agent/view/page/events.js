// The list of all events: the same as the timeline, for those who read rather than look.

const PAGE = 100;
let shownPage = -1;
let shownRows = null;

const rowAt = (at) => place(view.rows, at + 1e-6, (row) => row.t) - 1;

/** Show the page on which the chosen event is, or else the last one before the instant. */
function list() {
  const rows = view.rows;
  let index = view.chosen ? rows.indexOf(view.chosen) : -1;
  if (index < 0) index = Math.max(0, rowAt(view.at));
  listPage(Math.floor(index / PAGE));
  mark(rows[index]);
}

function listPage(page) {
  const rows = view.rows, pages = Math.max(1, Math.ceil(rows.length / PAGE));
  page = Math.max(0, Math.min(pages - 1, page));
  if (page === shownPage && rows === shownRows) return;
  [shownPage, shownRows] = [page, rows];
  $("found").textContent = rows.length === events.length ? some(events.length, "event") : `${count(rows.length)} of ${some(events.length, "event")}`;
  $("events").start = page * PAGE + 1;
  $("events").replaceChildren(...rows.slice(page * PAGE, (page + 1) * PAGE).map((row) => {
    const [what, words] = told(row.event);
    const node = h("li", {}, h("button", { type: "button", class: "event", data: { group: row.group }, onclick: () => choose(row) },
      h("span", { class: "event-time" }, clock(row.t)),
      calls.length > 1 ? h("b", { class: "letter", data: { letter: calls[row.call].letter } }, calls[row.call].letter) : null,
      h("span", { class: "event-what" }, what), h("span", { class: "event-words" }, words)));
    row.node = node.firstChild;
    return node;
  }));
  if (!rows.length) $("events").append(h("li", { class: "none" }, "No event is like that."));
  const step = (by, name) => h("button", { type: "button", class: "quiet", disabled: page + by < 0 || page + by >= pages, onclick: () => listPage(page + by) }, name);
  $("pager").replaceChildren(step(-1, "Earlier"), h("span", {}, `${count(page + 1)} of ${count(pages)}`), step(1, "Later"));
  $("pager").hidden = pages < 2;
}

/** Mark the row that the instant is at; it is brought into view only inside the list's own box. */
function mark(row) {
  const home = $("events");
  home.querySelector("[aria-current]")?.removeAttribute("aria-current");
  const node = row?.node;
  if (!node?.isConnected) return;
  node.setAttribute("aria-current", "true");
  const box = home.getBoundingClientRect(), own = node.getBoundingClientRect();
  if (own.top < box.top || own.bottom > box.bottom) home.scrollTop += own.top - box.top - home.clientHeight / 2;
}

/** Go to the next or the last event that is shown. */
function step(by) {
  const rows = view.rows;
  if (!rows.length) return;
  const now = view.chosen ? rows.indexOf(view.chosen) : -1;
  let next;
  if (now >= 0) next = now + by;
  else next = by > 0 ? rowAt(view.at) + 1 : rowAt(view.at);
  const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
  if (row) choose(row);
}
