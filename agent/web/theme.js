// Runs before the first paint, so that a dark page never flashes white. Light, dark, or like the system.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem("rapport.theme") ?? "auto";
    } catch {
      return "auto";
    }
  };
  const apply = () => {
    const choice = read();
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    root.dataset.theme = dark ? "dark" : "light";
    root.dataset.themeChoice = choice;
    document.querySelector("meta[name=theme-color]")?.setAttribute("content", dark ? "#14111b" : "#f6f4f9");
  };
  system.addEventListener("change", apply);
  root.addEventListener("rapport-theme", apply);
  apply();
})();
