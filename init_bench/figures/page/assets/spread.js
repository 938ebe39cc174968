// Range and spread of each hidden layer, followed over the captured steps.

DRAW.spread = function (section, data) {
  const form = section.querySelector("form");
  const draw = () => drawSpread(section, data, read);
  const read = {
    chosen: addAxes(form, data.axes, draw, { all: false, single: true }),
    step: addSlider(form, "step", data.steps, data.steps.length - 1, draw),
  };
  draw();
  return draw;
};

function drawSpread(section, data, read) {
  const [chosen, line] = chosenOf(data.lines, data.steps, read);
  if (!line) return show(section, [], { height: 380, annotations: [nothing()], xaxis: axis("hidden layer"), yaxis: axis("activation") }, "No runs of this choice at this step.");
  const x = line.layers.map((_, i) => i + 1);
  const ends = (low, high) => ({ x: x.flatMap((i) => [i, i, null]), y: x.flatMap((_, i) => [low(i), high(i), null]) });
  const wide = Math.max(4, Math.min(22, 420 / x.length));
  const stroke = color(data.axes.colors[line.at[0]]);
  const hover = line.layers.map((name, i) => `${plain(name)}<br>mean ${number(line.mean[i])}, std ${number(line.std[i])}<br>${number(line.min[i])} to ${number(line.max[i])}<br>exact zeros ${(100 * (line.zero[i] ?? 0)).toFixed(1)} %`);
  const traces = [
    { ...ends((i) => line.min[i], (i) => line.max[i]), mode: "lines", line: { color: stroke, width: 1.5 }, hoverinfo: "skip" },
    { ...ends((i) => line.mean[i] - line.std[i], (i) => line.mean[i] + line.std[i]), mode: "lines", line: { color: color(data.axes.colors[line.at[0]], 0.45), width: wide }, hoverinfo: "skip" },
    { x, y: line.mean, mode: "markers", marker: { color: color("ink"), size: 6 }, customdata: hover, hovertemplate: "%{customdata}<extra></extra>" },
  ];
  const top = Math.max(...chosen.flatMap((each) => each.max.filter((value) => value !== null)));
  const bottom = Math.min(...chosen.flatMap((each) => each.min.filter((value) => value !== null)));
  const room = 0.08 * (top - bottom) || 1;
  const zeros = x.length <= 20 ? x.map((i) => ({ x: i, y: line.max[i - 1], yshift: 9, showarrow: false, text: line.zero[i - 1] > 0 ? `${Math.round(100 * line.zero[i - 1])} %` : "", font: { size: 11, color: color("quiet") } })) : [];
  const annotations = line.max.some((value) => value !== null) ? zeros : [nothing("no finite value at this step")];
  const figure = { height: 380, hovermode: "closest", annotations, xaxis: axis("hidden layer", { range: [0.4, x.length + 0.6], ...(x.length <= 20 ? { dtick: 1 } : {}) }), yaxis: axis("activation", { range: [bottom - room, top + 1.6 * room] }) };
  return show(section, traces, figure, `Spread of activations at step ${line.step}: std ${line.layers.map((name, i) => `${name} ${number(line.std[i])}`).join(", ")}.`);
}
