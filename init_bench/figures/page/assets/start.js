// Draw all sections, one after another so that the page answers meanwhile and what is in view comes
// first; theme and printing.

const redraw = [];
const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const whenIdle = window.requestIdleCallback ?? setTimeout; // Safari has none
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

/** Take out of a list that is not empty: the section that the address names, else the first in view, else the first. */
function takeNext(sections) {
  const named = (section) => `#${section.id}` === location.hash;
  const inView = (section) => {
    const { top, bottom } = section.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const section = sections.find(named) ?? sections.find(inView) ?? sections[0];
  sections.splice(sections.indexOf(section), 1);
  return section;
}

function drawSections(sections) {
  if (!sections.length) {
    root.dataset.drawn = String(Math.round(performance.now())); // milliseconds since the page was opened
    return;
  }
  const section = takeNext(sections);
  const data = document.getElementById(`data-${section.id}`);
  const again = DRAW[section.dataset.kind]?.(section, data && JSON.parse(data.textContent));
  if (again) redraw.push(again);
  whenIdle(() => drawSections(sections), { timeout: 50 });
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
