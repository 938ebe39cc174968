// Histograms, a panel per layer; many layers become a strip: a column per layer.

const MOST_PANELS = 8;

DRAW.histograms = function (section, data) {
  const form = section.querySelector("form");
  const draw = () => drawHistograms(section, data, read);
  const read = {
    chosen: addAxes(form, data.axes, draw, { all: false, single: true }),
    step: addSlider(form, "step", data.steps, 0, draw),
  };
  draw();
  return draw;
};

function drawHistograms(section, data, read) {
  const step = data.steps[read.step()];
  const panel = data.panels.find((each) => each.step === step && read.chosen(each.at));
  if (!panel) return show(section, [], { height: 300, annotations: [nothing()], xaxis: axis(""), yaxis: axis("") }, "Not measured.");
  const drawn = panel.layers.length > MOST_PANELS ? stripOf(panel) : barsOf(panel);
  const words = panel.layers.map((layer) => `${layer.name}: std ${number(layer.std)}, sample_std ${number(layer.sample_std)}`);
  return show(section, drawn.traces, drawn.figure, `Histograms of activations by layer. ${words.join("; ")}.`);
}

function centersOf(layer) {
  return layer.share.map((_, i) => layer.low + (i + 0.5) * layer.width);
}

function barsOf(panel) {
  const count = panel.layers.length;
  const across = narrow() ? Math.min(2, count) : count;
  const down = Math.ceil(count / across);
  const [gapX, gapY] = [0.03 * (across > 1), down > 1 ? 0.13 : 0];
  const [width, height] = [(1 - gapX * (across - 1)) / across, (1 - gapY * (down - 1)) / down];
  const figure = { height: down > 1 ? 190 * down : 300, bargap: 0, annotations: [], margin: { l: 8, r: 8, t: 44, b: 8 } };
  const traces = panel.layers.map((layer, i) => {
    const part = i ? String(i + 1) : "";
    const [column, row] = [i % across, Math.floor(i / across)];
    const x0 = column * (width + gapX);
    const y1 = 1 - row * (height + gapY);
    figure[`xaxis${part}`] = axis("", { domain: [x0, x0 + width], anchor: `y${part}`, nticks: 4 });
    figure[`yaxis${part}`] = axis(column ? "" : "share", { domain: [y1 - height, y1], anchor: `x${part}`, rangemode: "tozero", nticks: 4, tickformat: ".0%", ...(i ? { matches: "y", showticklabels: !column } : {}) });
    figure.annotations.push({ xref: "paper", yref: "paper", x: x0, y: y1, xanchor: "left", yanchor: "bottom", showarrow: false, align: "left", text: `<b>layer ${plain(layer.name)}</b><br>std ${number3(layer.std)}, signal ${number3(layer.sample_std)}`, font: { size: 11.5, color: color("ink") } });
    return { type: "bar", x: centersOf(layer), y: layer.share, width: layer.width, xaxis: `x${part}`, yaxis: `y${part}`, marker: { color: color("c0"), line: { width: 0 } }, hovertemplate: "%{x:.3g}: %{y:.1%}<extra></extra>" };
  });
  return { traces, figure };
}

function stripOf(panel) {
  const z = panel.layers[0].share.map((_, bin) => panel.layers.map((layer) => layer.share[bin]));
  const trace = { type: "heatmap", z, x: panel.layers.map((layer) => plain(layer.name)), y: centersOf(panel.layers[0]), colorscale: "Cividis", colorbar: { thickness: 10, outlinewidth: 0 }, hovertemplate: "%{x}<br>%{y:.3g}: %{z:.1%}<extra></extra>" };
  return { traces: [trace], figure: { height: 420, xaxis: axis("layer"), yaxis: axis("value") } };
}
