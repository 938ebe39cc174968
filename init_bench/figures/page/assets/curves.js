// Loss curves: a line per combination with its band; of equal lines each stays visible.

const SMOOTHING = [1, 11, 51];

/** Mean over a window that shrinks toward the ends. */
function smoothed(values, window) {
  if (window === 1) return values;
  const half = (window - 1) / 2;
  const sums = [0];
  for (const value of values) sums.push(sums[sums.length - 1] + value);
  return values.map((_, i) => {
    const reach = Math.min(half, i, values.length - 1 - i);
    return (sums[i + reach + 1] - sums[i - reach]) / (2 * reach + 1);
  });
}

DRAW.curves = function (section, data) {
  const form = section.querySelector("form");
  const draw = () => drawCurves(section, data, read);
  const chosen = addAxes(form, data.axes, draw);
  const words = SMOOTHING.map((n) => (n === 1 ? "none" : `${n} points`));
  const read = {
    chosen,
    window: addSelect(form, "smoothing", words, 1, draw),
    loss: addCheck(form, "log loss", false, draw),
    steps: addCheck(form, "log steps", false, draw),
    band: addCheck(form, "band", true, draw),
  };
  form.append(form.querySelector("fieldset"));
  draw();
  return draw;
};

function drawCurves(section, data, read) {
  const lines = data.lines.filter((line) => read.chosen(line.at));
  const window = SMOOTHING[read.window()];
  const log = read.loss();
  const shift = read.steps() ? 1 : 0;
  const steps = data.steps.map((step) => step + shift);
  const repeats = {};
  const traces = [];
  const drawn = lines.map((line) => smoothed(line.loss, window));
  const under = hiddenBy(drawn);
  const top = log ? Infinity : topOf(lines, drawn, data.chance);
  lines.forEach((line, n) => {
    const style = lineStyle(line.at[0], data.axes);
    const repeat = (repeats[line.at[0]] = (repeats[line.at[0]] ?? -1) + 1);
    const dash = repeat || under[n] ? DASHES[Math.max(repeat, under[n]) % DASHES.length] : style.dash;
    const y = drawn[n];
    const x = steps.slice(0, y.length);
    const name = plain(line.label);
    if (read.band() && line.cells > 1) traces.push(bandOf(x, y, smoothed(line.sd, window), style.faint, log));
    const width = under[n] ? Math.max(1.6, 3 - 0.6 * under[n]) : 2.4 + 1.2 * under.includes(1);
    const hovertemplate = `${name}: %{y:.4g}<extra></extra>`;
    traces.push({ x, y, name, hovertemplate, mode: "lines", line: { color: style.color, dash, width } });
    if (line.diverged && x.length) traces.push(end(x, y, line, style.color, top));
  });
  const shapes = data.chance && lines.length && !log ? [chanceLine(data.chance)] : [];
  const annotations = lines.length ? (shapes.length ? [chanceLabel(data.chance)] : []) : [nothing()];
  const figure = {
    height: narrow() ? 340 : 440,
    hovermode: "x unified",
    xaxis: axis(shift ? "step + 1" : "step", { type: shift ? "log" : "linear" }),
    yaxis: log ? logAxis("loss", drawn.flat()) : axis("loss", top < Infinity ? { range: [0, top] } : { rangemode: "tozero" }),
    shapes,
    annotations,
  };
  return show(section, traces, figure, wordsOfCurves(lines, data.steps), remarkOn(lines, top));
}

/** Of each line, how many earlier ones it runs on: it is drawn thinner and dashed on top of them. */
function hiddenBy(lines) {
  const values = lines.flat();
  const room = 0.006 * (values.reduce((a, b) => Math.max(a, b), 0) || 1);
  return lines.map((line, n) => lines.slice(0, n).filter((other) => {
    const length = Math.min(line.length, other.length);
    let gap = 0;
    for (let i = 0; i < length; i++) gap += Math.abs(line[i] - other[i]);
    return length > 0 && gap / length < room;
  }).length);
}

/** Where the loss axis ends: runs that diverged, while others did not, would press these to the ground. */
function topOf(lines, drawn, chance) {
  const most = (kept) => drawn.filter((_, n) => kept(lines[n])).flat().reduce((a, b) => Math.max(a, b), chance ?? 0);
  const top = 1.1 * most((line) => !line.diverged);
  return lines.every((line) => line.diverged) || most((line) => line.diverged) < 2 * top ? Infinity : top;
}

function bandOf(x, y, sd, fillcolor, log) {
  const least = y.reduce((a, b) => (b > 0 && b < a ? b : a), Infinity);
  const low = y.map((value, i) => (log ? Math.max(value - sd[i], least / 3) : Math.max(value - sd[i], Math.min(value, 0)))); // no loss is negative, but some likelihoods are
  const high = y.map((value, i) => value + sd[i]);
  const around = { x: [...x, ...x.slice().reverse()], y: [...high, ...low.reverse()] };
  return { ...around, fill: "toself", fillcolor, line: { width: 0 }, mode: "lines", hoverinfo: "skip" };
}

function end(x, y, line, stroke, top) {
  const last = x.length - 1;
  const text = `${plain(line.label)}: ${line.diverged} diverged`;
  return { x: [x[last]], y: [Math.min(y[last], top)], mode: "markers", cliponaxis: false, marker: { symbol: "x", size: 10, color: stroke }, hovertemplate: `${text}<extra></extra>` };
}

function chanceLine(chance) {
  return { type: "line", xref: "paper", x0: 0, x1: 1, y0: chance, y1: chance, line: { color: color("quiet"), width: 1, dash: "dot" } };
}

function chanceLabel(chance) {
  return { xref: "paper", x: 1, y: chance, xanchor: "right", yanchor: "bottom", showarrow: false, text: "chance", font: { size: 12, color: color("quiet") } };
}

function nothing(text = "no runs of this choice") {
  return { xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false, text, font: { size: 14, color: color("quiet") } };
}

function wordsOfCurves(lines, steps) {
  const ends = lines.map((line) => `${line.label} ends at ${number(line.loss[line.loss.length - 1])}`);
  return `Loss over ${steps[steps.length - 1] + 1} steps, ${lines.length} lines: ${ends.join("; ")}.`;
}

function remarkOn(lines, top) {
  const diverged = lines.filter((line) => line.diverged);
  const cut = top < Infinity ? " The axis leaves out what they reached; the log scale shows it." : "";
  return diverged.map((line) => `${line.label}: ${line.diverged} diverged.`).join(" ") + cut;
}
