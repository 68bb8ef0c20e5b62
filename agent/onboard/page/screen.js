// The agent's face over a whole screen. The program that holds the call says what to show, as server-sent events, and
// is told which button was touched.

import "./web/rapport-face.js";

const $ = (id) => document.getElementById(id);
const mouth = { level: 0, open: 0, round: 0, width: 0, until: 0 };
const avatar = $("face");
avatar.light = document.documentElement;
avatar.sound = () => {
  if (performance.now() > mouth.until) mouth.level = mouth.open = mouth.round = mouth.width = 0;
  return mouth;
};
avatar.display({ emotion: "calm", intensity: 0.6 });

const shows = {
  display: (m) => avatar.display(m),
  state: (m) => avatar.setState(m.state),
  mouth: ({ level }) => {
    const loud = Math.min(1, Math.max(0, (20 * Math.log10(level + 1e-5) + 46) / 32));
    Object.assign(mouth, { level, open: loud * 0.85, width: 0.12 * loud, until: performance.now() + 120 });
  },
  caption: (m) => {
    const line = $(m.speaker === "user" ? "user" : "agent");
    line.textContent = m.text + (m.cut ? " —" : "");
    line.classList.toggle("partial", !m.final);
  },
  clear: () => {
    $("user").textContent = $("agent").textContent = "";
    $("help").hidden = true;
  },
  resource: (m) => {
    const box = $("help");
    box.replaceChildren(...m.contacts.map((c) => {
      const line = document.createElement("p");
      const name = document.createElement("b");
      name.textContent = c.name;
      line.append(name, ` ${[c.number, c.text, c.url].filter(Boolean).join(" · ")}`);
      return line;
    }));
    box.hidden = m.contacts.length === 0;
  },
  screen: (m) => {
    $("title").textContent = m.title;
    $("text").textContent = m.text;
    const bar = $("buttons");
    bar.replaceChildren(...m.buttons.map(({ name, label }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.name = name;
      button.textContent = label;
      button.addEventListener("click", () => fetch("touch", { method: "POST", body: name }));
      return button;
    }));
    bar.classList.toggle("quiet", !m.title && !m.text);
    $("screen").hidden = !(m.title || m.text || m.buttons.length);
    $("words").hidden = Boolean(m.title);
    $("sign").hidden = !m.perceives;
    $("sign").querySelector("span").textContent = m.perceives;
  },
};

// Where one button means the whole screen, the whole screen is that button.
document.addEventListener("click", (event) => {
  if (!event.target.closest("button")) document.querySelector('button[data-name=""]')?.click();
});

function listen() {
  const events = new EventSource("events");
  events.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    shows[message.t]?.(message);
    document.documentElement.dataset.shown = message.t;
  });
  events.addEventListener("error", () => shows.screen({ title: "", text: "", buttons: [], perceives: "" }));
}
listen();
