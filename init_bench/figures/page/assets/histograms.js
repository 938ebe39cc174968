// Histograms, a panel per layer; many layers become a strip: a column per layer.

const MOST_PANELS = 8;

DRAW.histograms = function (section, data) {
  const form = section.querySelector("form");
  const draw = () => drawHistograms(section, data, read);
  const read = {
    chosen: addAxes(form, data.axes, draw, { all: false, single: true }),
    step: addSlider(form, "step", data.steps, 0, draw),
    still: data.steps.length > 1 ? addCheck(form, "same x axis at all steps", true, draw) : () => false,
  };
  draw();
  return draw;
};

function drawHistograms(section, data, read) {
  const [network, panel] = chosenOf(data.panels, data.steps, read);
  if (!panel) return show(section, [], { height: 300, annotations: [nothing()], xaxis: axis(""), yaxis: axis("") }, "Not measured.");
  const drawn = panel.layers.length > MOST_PANELS ? stripOf(panel, data) : barsOf(panel, data, read.still() ? network : [panel]);
  const words = panel.layers.map((layer) => `${layer.name}: std ${number(layer.std)}, sample_std ${number(layer.sample_std)}`);
  const when = data.steps.length > 1 ? ` at step ${panel.step}` : "";
  return show(section, drawn.traces, drawn.figure, `Histograms of activations by layer${when}. ${words.join("; ")}.`);
}

function sharesOf(layer, data) {
  return layer.share.map((part) => part * data.unit);
}

function centersOf(layer) {
  return layer.share.map((_, i) => layer.low + (i + 0.5) * layer.width);
}

/** The range of the bins where they are the same for all layers, else that of the values that a
 *  layer has at any of these steps; of zeros alone, the bins'. */
function rangeOf(i, panels, data) {
  const ends = panels.flatMap(({ layers }) => {
    const { low, width, share } = layers[i] || { share: [] };
    const filled = share.flatMap((part, bin) => (part ? [bin] : []));
    const [first, last] = data.reach && filled.length > 1 ? [filled[0], filled.at(-1)] : [0, share.length - 1];
    return share.length ? [low + first * width, low + (last + 1) * width] : [];
  });
  const margin = 0.03 * (Math.max(...ends) - Math.min(...ends));
  return { range: [Math.min(...ends) - margin, Math.max(...ends) + margin] };
}

function barsOf(panel, data, panels) {
  const count = panel.layers.length;
  const across = narrow() ? Math.min(2, count) : count;
  const down = Math.ceil(count / across);
  const total = down > 1 ? 225 * down : 300;
  const [gapX, gapY] = [(narrow() ? 0.06 : 0.03) * (across > 1), down > 1 ? 94 / total : 0];
  const [width, height] = [(1 - gapX * (across - 1)) / across, (1 - gapY * (down - 1)) / down];
  const figure = { height: total, bargap: 0, annotations: [], margin: { l: 8, r: 8, t: narrow() ? 56 : 44, b: 8 } };
  const bar = lineStyle(panel.at[0], data.axes).color;
  const traces = panel.layers.map((layer, i) => {
    const part = i ? String(i + 1) : "";
    const [column, row] = [i % across, Math.floor(i / across)];
    const x0 = column * (width + gapX);
    const y1 = 1 - row * (height + gapY);
    figure[`xaxis${part}`] = axis("", { domain: [x0, x0 + width], anchor: `y${part}`, nticks: narrow() ? 3 : 4, tickangle: 0, exponentformat: "e", ...rangeOf(i, panels, data) });
    figure[`yaxis${part}`] = axis(column ? "" : "share", { domain: [y1 - height, y1], anchor: `x${part}`, rangemode: "tozero", nticks: 4, tickformat: ".0%", ...(i ? { matches: "y", showticklabels: !column } : {}) });
    figure.annotations.push({ xref: "paper", yref: "paper", x: x0, y: y1, xanchor: "left", yanchor: "bottom", showarrow: false, align: "left", text: `<b>layer ${plain(layer.name)}</b><br>${spreadOf(layer)}`, font: { size: 11.5, color: color("ink") } });
    return { type: "bar", x: centersOf(layer), y: sharesOf(layer, data), width: layer.width, xaxis: `x${part}`, yaxis: `y${part}`, marker: { color: bar, line: { width: 0 } }, hovertemplate: "%{x:.3g}: %{y:.1%}<extra></extra>" };
  });
  return { traces, figure };
}

function spreadOf(layer) {
  const finite = layer.std !== null || layer.share.some((part) => part);
  const gap = narrow() ? "<br>" : ", ";
  return finite ? `std ${number3(layer.std)}${gap}sample_std ${number3(layer.sample_std)}` : "no finite value";
}

function stripOf(panel, data) {
  const z = panel.layers[0].share.map((_, bin) => panel.layers.map((layer) => layer.share[bin] * data.unit));
  const size = (2 * data.reach) / z.length;
  const y = data.reach ? z.map((_, bin) => (bin + 0.5) * size - data.reach) : centersOf(panel.layers[0]);
  const trace = { type: "heatmap", z, x: panel.layers.map((layer) => plain(layer.name)), y, colorscale: "Cividis", colorbar: { thickness: 10, outlinewidth: 0, tickformat: ".0%" }, hovertemplate: "%{x}<br>%{y:.3g}: %{z:.1%}<extra></extra>" };
  return { traces: [trace], figure: { height: 420, xaxis: axis("layer"), yaxis: axis(data.reach ? "value / root mean square" : "value") } };
}
