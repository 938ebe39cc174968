// Draw all sections, one after another so that the page answers meanwhile; theme and printing.

const redraw = [];
const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");

function isDark() {
  return root.style.colorScheme ? root.style.colorScheme === "dark" : prefersDark.matches;
}

function retheme(scheme) {
  root.style.colorScheme = scheme;
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colors`);
  redraw.forEach((draw) => draw());
}

function drawSections(sections) {
  const section = sections.shift();
  if (!section) {
    root.dataset.drawn = String(Math.round(performance.now())); // milliseconds since the page was opened
    return;
  }
  const data = document.getElementById(`data-${section.id}`);
  const again = DRAW[section.dataset.kind]?.(section, data && JSON.parse(data.textContent));
  if (again) redraw.push(again);
  setTimeout(drawSections, 0, sections);
}

themeButton.hidden = false;
themeButton.addEventListener("click", () => retheme(isDark() ? "light" : "dark"));
prefersDark.addEventListener("change", () => retheme(""));
let screenScheme = "";
addEventListener("beforeprint", () => { screenScheme = root.style.colorScheme; retheme("light"); });
addEventListener("afterprint", () => retheme(screenScheme));
let wasNarrow = narrow();
addEventListener("resize", () => {
  if (narrow() === wasNarrow) return;
  wasNarrow = narrow();
  redraw.forEach((draw) => draw());
});
retheme("");
drawSections([...document.querySelectorAll("main section[data-kind]")]);
