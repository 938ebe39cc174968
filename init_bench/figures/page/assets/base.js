"use strict";
// What all figures share: colors of the page, layout, text that Plotly must not read as markup.

const DRAW = {}; // kind of section → function that draws it, returns a function that draws it anew
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const MARKERS = ["circle", "square", "diamond", "triangle-up", "cross", "star"];
const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
};

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

/** Color of the page by its name, as the present theme has it. */
function color(name, alpha = 1) {
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  return alpha < 1 ? found.replace("rgb(", "rgba(").replace(")", `, ${alpha})`) : found;
}

/** Color, as in the figures, and dash of the n-th value of the first axis: values of one color differ in dash. */
function lineStyle(n, { colors }) {
  const name = colors[n];
  const earlier = colors.slice(0, n).filter((other) => other === name).length;
  return {
    name,
    color: color(name),
    faint: color(name, 0.16),
    dash: DASHES[earlier % DASHES.length],
    marker: MARKERS[n % MARKERS.length],
  };
}

/** A text that Plotly shows as it is. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** The end of a layer's name tells it apart, the beginning of an initializer's. */
function shortLayer(text, length) {
  return text.length <= length ? text : "…" + text.slice(1 - length);
}

function shortName(text, length) {
  const name = text.replace(/ \(book: .*\)$/, "");
  return name.length <= length ? name : name.slice(0, length - 1) + "…";
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

function axis(title, more = {}) {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: color("line"),
    linecolor: color("line"),
    tickcolor: color("line"),
    zeroline: false,
    automargin: true,
    exponentformat: "power",
    ...more,
  };
}

/** Logarithmic axis with a label at every power of ten, or fewer over many; plain over few. */
function logAxis(title, values, more = {}) {
  const powers = values.filter((value) => value > 0).map(Math.log10);
  const span = powers.reduce((a, b) => Math.max(a, b), -Infinity) - powers.reduce((a, b) => Math.min(a, b), Infinity);
  return axis(title, { type: "log", ...(span > 1.5 ? { dtick: Math.ceil(span / 7) } : { nticks: 6 }), ...more });
}

function layout(more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: FONT, size: 13, color: color("quiet") },
    margin: { l: 8, r: 12, t: 12, b: 8 },
    hoverlabel: {
      bgcolor: color("raised"),
      bordercolor: color("line"),
      font: { family: FONT, size: 12, color: color("ink") },
      namelength: -1,
      align: "left",
    },
    showlegend: false,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("quiet"), activecolor: color("accent") },
    ...more,
  };
}

function narrow() {
  return document.documentElement.clientWidth < 600;
}

/** Draw, and say in words what is drawn. */
function show(section, traces, figure, words, remark = "") {
  const plot = section.querySelector(".plot");
  plot.setAttribute("aria-label", words);
  plot.style.height = `${figure.height}px`; // whatever Plotly does meanwhile, nothing below moves
  section.querySelector(".remark").textContent = remark;
  const size = narrow() ? "narrow" : "wide";
  // A color bar that turns from upright to level leaves its old margins: such a plot starts anew.
  const again = plot.dataset.size === size;
  plot.dataset.size = size;
  return Plotly[again ? "react" : "newPlot"](plot, traces, layout(figure), CONFIG);
}
