// The page around the call: the join token of its address, its colours, and where everything is computed. The call
// itself is the element that other pages embed, in embed/rapport-call.js.
//
// `window.rapport` shows what is going on in the call, and what was uncaught in this page (`errors`).

import "./embed/rapport-call.js";

const NS = "http://www.w3.org/2000/svg";
const ICONS = {
  home: "M4 11l8-6.500L20 11M6 9.500V19h12V9.500M10 19v-5h4v5",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v1.500M12 19.500V21M4.9 4.9 6 6M18 18l1.1 1.100M3 12h1.500M19.5 12H21M4.9 19.1 6 18M18 6l1.1-1.1",
  moon: "M20 14.200A8 8 0 0 1 9.8 4a8 8 0 1 0 10.2 10.200z",
  auto: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM12 4v16M12 8h5.800M12 12h8M12 16h5.8",
};
const THEMES = [["auto", "auto", "like the system"], ["light", "sun", "light"], ["dark", "moon", "dark"]];

const call = document.querySelector("rapport-call");
const button = document.getElementById("theme");
const place = document.getElementById("place");

// A join token stands in the fragment of the link (#token=...), which no browser sends and no server logs. It leaves the
// address bar at once, where a picture of a screen would show it; until the call has begun a reload still finds it.
function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found) history.replaceState({ token: found }, "", location.pathname + location.search);
  call.token = history.state?.token;
}
takeToken();
addEventListener("hashchange", takeToken);
call.addEventListener("state", ({ detail: { state } }) => {
  if (state === "ready" && history.state?.token) history.replaceState(null, "");
});

Object.defineProperty(window, "rapport", { get: () => call.record });
addEventListener("error", (event) => call.record.errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => call.record.errors.push(String(event.reason?.message ?? event.reason)));

document.getElementById("place-name").textContent = location.host || "this machine";
call.addEventListener("place", ({ detail: { others } }) => {
  if (others.length) place.title = `Words, sound and pictures are also sent to ${others.join(", ")}`;
});

function mark(node, name) {
  const svg = document.createElementNS(NS, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" })) svg.setAttribute(key, value);
  const path = document.createElementNS(NS, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  node.replaceChildren(svg);
}

function showTheme() {
  const { themeChoice, theme } = document.documentElement.dataset;
  const [, picture, words] = THEMES.find(([name]) => name === themeChoice) ?? THEMES[0];
  call.theme = theme;
  mark(button, picture);
  button.setAttribute("aria-label", `Colours: ${words}`);
  button.title = `Colours: ${words}`;
}

button.addEventListener("click", () => {
  const now = THEMES.findIndex(([name]) => name === document.documentElement.dataset.themeChoice);
  try {
    localStorage.setItem("rapport.theme", THEMES[(now + 1) % THEMES.length][0]);
  } catch {
    // A browser that stores nothing keeps the colours it has.
  }
  document.documentElement.dispatchEvent(new Event("rapport-theme"));
});
new MutationObserver(showTheme).observe(document.documentElement, { attributeFilter: ["data-theme", "data-theme-choice"] });
mark(place.querySelector(".mark"), "home");
showTheme();
