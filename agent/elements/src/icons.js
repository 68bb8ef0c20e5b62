// Line icons, 24 x 24, drawn for this page.

const NS = "http://www.w3.org/2000/svg";

const PATHS = {
  mic: "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  "mic-off": "M15.5 9.5v-3a3.5 3.5 0 0 0-6.6-1.6M8.5 8.5v3a3.5 3.5 0 0 0 5.4 2.9M5.5 11.5a6.5 6.5 0 0 0 10.3 5.3M18.5 11.5a6.4 6.4 0 0 1-.5 2.5M12 18v3M4 4l16 16",
  camera: "M4.5 6.5h9A1.5 1.5 0 0 1 15 8v8a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16V8a1.5 1.5 0 0 1 1.5-1.5zM15 10.5l6-3v9l-6-3",
  "camera-off": "M9 6.5h4.5A1.5 1.5 0 0 1 15 8v4.5M15 16a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16V8a1.5 1.5 0 0 1 1.5-1.5M15 10.5l6-3v9l-3-1.5M3 3l18 18",
  hand: "M8 12.5V6.2a1.4 1.4 0 0 1 2.8 0M10.8 11V4.7a1.4 1.4 0 0 1 2.8 0V11M13.6 11V5.9a1.4 1.4 0 0 1 2.8 0v6.6M16.4 10.2a1.4 1.4 0 0 1 2.8 0v4.3a6.5 6.5 0 0 1-6.5 6.5c-3 0-4.6-1.3-6-3.7l-2.4-4.1a1.4 1.4 0 0 1 2.4-1.5L8 13.5",
  captions: "M4.5 5.5h15A1.5 1.5 0 0 1 21 7v10a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17V7a1.5 1.5 0 0 1 1.5-1.5zM7 11h3M12.5 11H17M7 14.5h6M15.5 14.5H17",
  settings: "M4 7h9M17 7h3M4 12h3M11 12h9M4 17h7M15 17h5M15 5v4M9 10v4M13 15v4",
  hangup: "M12 9c3.4 0 6.4 1 8.3 2.6.9.8 1 2 .4 3.1l-.7 1.2c-.4.7-1.3 1-2 .7l-2.6-1a1.6 1.6 0 0 1-1-1.7l.1-1.3a13 13 0 0 0-5 0l.1 1.3a1.6 1.6 0 0 1-1 1.7l-2.6 1c-.7.3-1.6 0-2-.7l-.7-1.2c-.6-1.1-.5-2.3.4-3.1C5.6 10 8.6 9 12 9z",
  send: "M5 12h13M12.5 6.5 18 12l-5.5 5.5",
  close: "M6.5 6.500l11 11M17.5 6.500l-11 11",
  words: "M5 5.500h14A1.5 1.5 0 0 1 20.5 7v8.500A1.5 1.5 0 0 1 19 17h-7l-4.5 3.500V17H5a1.5 1.5 0 0 1-1.5-1.500V7A1.5 1.5 0 0 1 5 5.500zM8 9.500h8M8 13h5",
  voice: "M4 10.500v3M8 7.500v9M12 4.500v15M16 8.500v7M20 10.500v3",
  face: "M12 20.500a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM9 9.500v1M15 9.500v1M8.5 14c.9 1.3 2.1 2 3.5 2s2.6-.7 3.5-2",
  gaze: "M2.5 12c2.4-4 5.6-6 9.5-6s7.1 2 9.5 6c-2.4 4-5.6 6-9.5 6s-7.1-2-9.5-6zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  gesture: "M8 12.500V6.200a1.4 1.4 0 0 1 2.8 0M10.8 11V4.700a1.4 1.4 0 0 1 2.8 0V11M13.6 11V5.900a1.4 1.4 0 0 1 2.8 0v6.600M16.4 10.200a1.4 1.4 0 0 1 2.8 0v4.300a6.5 6.5 0 0 1-6.5 6.500c-3 0-4.6-1.3-6-3.700l-2.4-4.100a1.4 1.4 0 0 1 2.4-1.500L8 13.5",
  people: "M9 11.500a3.250 3.250 0 1 0 0-6.5 3.250 3.250 0 0 0 0 6.500zM3 19c.4-3.3 2.6-5 6-5s5.6 1.7 6 5M15.5 11a2.8 2.8 0 0 0 0-5.400M17.5 14.300c2 .6 3.2 2.2 3.5 4.7",
  home: "M4 11l8-6.500L20 11M6 9.500V19h12V9.500M10 19v-5h4v5",
  shield: "M12 3.500l7 2.500v5.500c0 4.3-2.8 7.3-7 9-4.2-1.7-7-4.7-7-9V6zM9 12l2.2 2.200L15.2 10",
  keyboard: "M4.5 6.500h15A1.5 1.5 0 0 1 21 8v8a1.5 1.5 0 0 1-1.5 1.500h-15A1.5 1.5 0 0 1 3 16V8a1.5 1.5 0 0 1 1.5-1.500zM7 10h.01M10.3 10h.01M13.7 10h.01M17 10h.01M8 14h8",
  speaker: "M4 9.500h3.500L12 5.500v13l-4.5-4H4zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.500a7.8 7.8 0 0 1 0 11",
  warn: "M12 4.500l8.5 15h-17zM12 10v4.500M12 17h.01",
  "speaker-off": "M4 9.500h3.500L12 5.500v13l-4.500-4H4zM16 9.500l5 5M21 9.500l-5 5",
  radio: "M8 8.500h8v11a1.500 1.500 0 0 1-1.500 1.500h-5A1.500 1.500 0 0 1 8 19.500zM10 8.500V3.500M11 12h2M11 15h2M18.500 10.500a4 4 0 0 1 0 5",
  panel: "M4.500 5h15A1.500 1.500 0 0 1 21 6.500v11a1.500 1.500 0 0 1-1.500 1.500h-15A1.500 1.500 0 0 1 3 17.500v-11A1.500 1.500 0 0 1 4.500 5zM14.500 5v14M17 9h1.500M17 12h1.500",
  more: "M4.900 12a.600.600 0 1 0 1.200 0 .600.600 0 1 0-1.200 0M11.400 12a.600.600 0 1 0 1.200 0 .600.600 0 1 0-1.200 0M17.900 12a.600.600 0 1 0 1.200 0 .600.600 0 1 0-1.200 0",
  info: "M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17zM12 11v5M12 8h.01",
  down: "M12 5.500v13M6.500 13l5.500 5.500 5.500-5.500",
  stop: "M7 7h10v10H7z",
};

/** An icon as an SVG element, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(NS, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" })) svg.setAttribute(key, value);
  const path = document.createElementNS(NS, "path");
  path.setAttribute("d", PATHS[name] ?? "");
  svg.append(path);
  return svg;
}

/** Put an icon into every element with a data-icon. */
export function fillIcons(root) {
  for (const place of root.querySelectorAll("[data-icon]")) place.prepend(icon(place.dataset.icon));
}

/** Change the icon of a button that has one. */
export function setIcon(element, name) {
  if (element.dataset.icon === name) return;
  element.dataset.icon = name;
  element.querySelector("svg.icon")?.replaceWith(icon(name));
}
