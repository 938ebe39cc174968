// A quantity over depth at a captured step, theory dashed beside it.

DRAW.depth = function (section, data) {
  const form = section.querySelector("form");
  const draw = () => drawDepth(section, data, read);
  const names = Object.keys(data.quantities).filter((name) => data.lines.some((line) => line[name]));
  const left = addSelect(form, "left", names, 0, draw);
  const right = addSelect(form, "right", names, names.length - 1, draw);
  const read = {
    panels: () => [names[left()], names[right()]],
    log: addCheck(form, "log scale", true, draw),
    step: addSlider(form, "step", data.steps, 0, draw),
    chosen: addAxes(form, data.axes, draw),
  };
  form.append(form.querySelector("fieldset"));
  draw();
  return draw;
};

function drawDepth(section, data, read) {
  const step = data.steps[read.step()];
  const lines = data.lines.filter((line) => line.step === step && read.chosen(line.at));
  const panels = read.panels();
  const stacked = narrow();
  const traces = panels.flatMap((quantity, panel) => lines.flatMap((line, n) => depthTraces(line, data.axes, quantity, panel, n, read.log())));
  const deepest = Math.max(1, ...lines.map((line) => line.layers.length));
  const figure = { height: stacked ? 620 : 400, hovermode: "closest", annotations: lines.length ? [] : [nothing()], margin: { l: 8, r: 12, t: 34, b: 8 } };
  panels.forEach((quantity, panel) => {
    const part = panel ? "2" : "";
    const domains = stacked ? [[0, 1], panel ? [0, 0.42] : [0.58, 1]] : [panel ? [0.54, 1] : [0, 0.46], [0, 1]];
    const ticks = deepest <= 20 ? { dtick: 1 } : {};
    figure[`xaxis${part}`] = axis("hidden layer", { ...ticks, domain: domains[0], anchor: `y${part}` });
    const place = { domain: domains[1], anchor: `x${part}` };
    const drawn = lines.flatMap((line) => line[quantity]?.flat() ?? []);
    const log = read.log() && quantity !== "correlation";
    figure[`yaxis${part}`] = log ? logAxis("", drawn, place) : axis("", { ...place, ...(quantity === "correlation" ? { range: [-0.03, 1.05] } : {}) });
    const title = section.clientWidth < 960 ? quantity : data.quantities[quantity];
    figure.annotations.push({ xref: "paper", yref: "paper", x: domains[0][0], y: domains[1][1], xanchor: "left", yanchor: "bottom", yshift: 6, showarrow: false, text: plain(title), font: { size: 13, color: color("ink") } });
  });
  const words = lines.map((line) => `${line.label}: ${panels.map((name) => `${name} ${number(line[name]?.[0][0])} to ${number(line[name]?.[0].at(-1))}`).join(", ")}`);
  return show(section, traces, figure, `Step ${step}, first to last hidden layer. ${words.join("; ")}.`);
}

function depthTraces(line, gridAxes, quantity, panel, n, log) {
  if (!line[quantity]) return [];
  const [mean, low, high] = line[quantity].map((values) => values.map((value) => (log && quantity !== "correlation" && value <= 0 ? null : value)));
  const style = lineStyle(line.at[0], gridAxes);
  const axes = panel ? { xaxis: "x2", yaxis: "y2" } : {};
  const x = mean.map((_, i) => i + 1);
  const name = plain(line.label);
  const traces = [];
  if (!low.includes(null)) traces.push({ ...axes, x: [...x, ...x.slice().reverse()], y: [...high, ...low.slice().reverse()], fill: "toself", fillcolor: style.faint, line: { width: 0 }, mode: "lines", hoverinfo: "skip" });
  const hovertemplate = `${name}<br>%{text}: %{y:.4g}<extra></extra>`;
  const mode = x.length > 40 ? "lines" : "lines+markers";
  traces.push({ ...axes, x, y: mean, text: line.layers.map(plain), hovertemplate, mode, line: { color: style.color, width: Math.max(1.4, 2.8 - 0.25 * n), dash: style.dash }, marker: { size: 7, symbol: style.marker, color: style.color } });
  const theory = line.theory?.[quantity];
  if (theory) traces.push({ ...axes, x: theory.map((_, i) => i + 1), y: theory, hovertemplate: `${name}<br>theory: %{y:.4g}<extra></extra>`, mode: "lines", line: { color: color("ink"), width: 1.4, dash: "4px,3px" } });
  return traces;
}
