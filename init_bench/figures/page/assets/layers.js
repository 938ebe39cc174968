// A model's scales: layers down, powers of two across, forward and backward, the findings marked.

const SERIES = [
  { name: "rms", label: "output (RMS)", tone: "black", symbol: "circle", dash: "solid" },
  { name: "sample_std", label: "sample_std (depends on the input)", tone: "blue", symbol: "circle", dash: "solid" },
  { name: "gradient", label: "gradient (RMS)", tone: "wine", symbol: "diamond", dash: "dash" },
];
const FORMAT_NAMES = { float16: "float16", bfloat16: "bfloat16", float8_e4m3: "float8 E4M3", float8_e5m2: "float8 E5M2" };
const NAME_PIXELS = 15;

DRAW.layers = function (section, data) {
  const form = section.querySelector("form");
  const draw = () => drawLayers(section, data, read);
  const series = SERIES.filter((each) => data.steps.some((step) => step[each.name].some((value) => value > 0)));
  const read = { step: addSlider(form, "step", data.steps.map((each) => each.step), 0, draw) };
  read.strip = addCheck(form, "histograms", !narrow(), draw);
  const group = document.createElement("fieldset");
  const boxes = series.map((each) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    box.addEventListener("change", draw);
    label.append(box, sample({ name: each.tone, dash: each.dash }), each.label);
    group.append(label);
    return box;
  });
  form.append(group);
  form.hidden = false;
  read.series = () => series.filter((_, i) => boxes[i].checked);
  draw();
  return draw;
};

function drawLayers(section, data, read) {
  const step = data.steps[read.step()];
  const count = step.layer.length;
  const strip = read.strip();
  const row = count <= 10 ? 32 : count <= 60 ? 21 : Math.max(6, 1260 / count);
  const height = Math.max(260, Math.round(row * count) + 110);
  const size = count > 100 ? 4 : 7;
  const traces = [];
  const words = step.layer.map((name, i) => hoverOf(step, i));
  for (const series of read.series()) {
    const theory = step.theory?.[series.name];
    if (theory) traces.push(scaleTrace(theory, words, { exponents: [], mode: "lines", line: { color: color("watch", 0.35), width: 7 }, hoverinfo: "skip" }));
    const stroke = color(series.tone);
    traces.push(scaleTrace(step[series.name], words, { mode: "lines+markers", line: { color: stroke, width: 1.6, dash: series.dash }, marker: { color: stroke, size, symbol: series.symbol } }));
  }
  traces.push(...findingTraces(step, words));
  if (strip) traces.push(stripTrace(step, data.centers, words));
  const values = traces.flatMap((trace) => trace.exponents ?? []);
  const range = [Math.min(-26, ...values) - 1.5, Math.max(17, ...values) + 1.5];
  const lines = formatLines(data.formats, range);
  const origins = step.findings.filter((each) => each.origin && each.severity === "bad");
  const ticks = namedPlaces(count, row, step.findings.map((each) => each.place));
  const length = narrow() ? 12 : 30;
  const every = range[1] - range[0] > 80 ? 16 : range[1] - range[0] > 30 ? (narrow() ? 16 : 8) : 4;
  const powers = [];
  for (let power = Math.ceil(range[0] / every) * every; power <= range[1]; power += every) powers.push(power);
  const figure = {
    height,
    hovermode: "closest",
    hoverdistance: 30,
    margin: { l: 8, r: 12, t: 92, b: 8 },
    shapes: [...lines.shapes, ...origins.map((each) => shade(each.place))],
    annotations: lines.labels,
    xaxis: axis("power of two", { range, domain: strip ? [0, 0.7] : [0, 1], tickvals: powers, ticktext: powers.map((power) => `2<sup>${power}</sup>`) }),
    yaxis: axis("", { range: [count - 0.4, -0.6], tickvals: ticks, ticktext: ticks.map((place) => plain(shortLayer(step.layer[place], length))), tickfont: { size: 12 }, gridcolor: row < 12 ? "rgba(0,0,0,0)" : color("line") }),
  };
  if (strip) figure.xaxis2 = axis("value / RMS", { domain: [0.75, 1], anchor: "y", showgrid: false, nticks: 5 });
  const said = origins.map((each) => `${step.layer[each.place]}: ${each.verdict}`);
  const theory = step.theory ? "Wide pale line: mean-field theory. " : "";
  const marks = step.findings.length ? "Filled ✕: a fault originates here; hollow circle: it follows from another layer; triangle: to be watched." : "";
  return show(section, traces, figure, `Scales of ${count} layers at step ${step.step}. ${said.length ? `Faults originate in ${said.join("; ")}.` : "No fault."}`, theory + marks);
}

function scaleTrace(values, words, style) {
  const x = values.map((value) => (value > 0 ? Math.log2(value) : null));
  return { x, y: values.map((_, i) => i), exponents: x.filter((value) => value !== null), customdata: words, hovertemplate: "%{customdata}<extra></extra>", connectgaps: true, ...style };
}

function hoverOf(step, i) {
  const found = step.findings.filter((each) => each.place === i);
  const facts = [
    ["output RMS", step.rms], ["std", step.std], ["sample_std", step.sample_std], ["gradient RMS", step.gradient],
    ["dead units", step.dead], ["saturated", step.saturated], ["weight gain", step.weight_gain],
  ].filter((pair) => pair[1][i] !== null).map((pair) => `${pair[0]} ${number(pair[1][i])}`);
  const said = found.map((each) => `<b>${plain(each.verdict)}</b>: ${plain(each.meaning)}`);
  return [`<b>${plain(step.layer[i] || "(the model itself)")}</b> ${plain(step.module[i])}`, ...facts, ...said].join("<br>");
}

function findingTraces(step, words) {
  const looks = [
    { keep: (each) => each.severity === "bad" && each.origin, tone: "bad", symbol: "x" },
    { keep: (each) => each.severity === "bad" && !each.origin, tone: "bad", symbol: "circle-open" },
    { keep: (each) => each.severity === "watch", tone: "watch", symbol: "triangle-up-open" },
  ];
  return looks.map((look) => {
    const found = step.findings.filter(look.keep);
    const value = (each) => (each.backward ? step.gradient : step.sample_std)[each.place];
    return {
      x: found.map((each) => (value(each) > 0 ? Math.log2(value(each)) : null)),
      y: found.map((each) => each.place),
      mode: "markers",
      customdata: found.map((each) => words[each.place]),
      hovertemplate: "%{customdata}<extra></extra>",
      marker: { color: color(look.tone), size: 12, symbol: look.symbol, line: { width: 2, color: color(look.tone) } },
    };
  }).filter((trace) => trace.x.length);
}

function stripTrace(step, centers, words) {
  const z = step.histogram.map((row) => row.map((share) => (share === null ? null : Math.sqrt(share))));
  const scale = [[0, color("ground")], [0.3, isDark() ? "#35566f" : "#b9d3e6"], [1, color("blue")]];
  return { type: "heatmap", z, x: centers, y: z.map((_, i) => i), xaxis: "x2", showscale: false, zmin: 0, zmax: 1, colorscale: scale, customdata: step.histogram.map((row, i) => row.map((share) => `${words[i].split("<br>")[0]}<br>share ${number(share)}`)), hovertemplate: "%{customdata}<br>at %{x:.2g} RMS<extra></extra>" };
}

function shade(place) {
  return { type: "rect", xref: "paper", x0: 0, x1: 1, y0: place - 0.5, y1: place + 0.5, fillcolor: color("bad", 0.12), line: { width: 0 }, layer: "below" };
}

/** Lines where the formats end; formats that end at nearly the same place share a label. */
function formatLines(formats, range) {
  const ends = Object.entries(formats).flatMap(([name, pair]) => pair.map((at) => ({ at, name: FORMAT_NAMES[name] ?? name })));
  const inside = ends.filter((end) => end.at > range[0] && end.at < range[1]).sort((a, b) => a.at - b.at);
  const groups = [];
  for (const end of inside) {
    const last = groups[groups.length - 1];
    if (last && end.at - last.at < 0.02 * (range[1] - range[0])) last.names.push(end.name);
    else groups.push({ at: end.at, names: [end.name] });
  }
  const tone = color("quiet");
  return {
    shapes: inside.map((end) => ({ type: "line", yref: "paper", x0: end.at, x1: end.at, y0: 0, y1: 1, line: { color: tone, width: 1, dash: "dot" } })),
    labels: groups.map((group) => ({ x: group.at, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, textangle: -90, text: group.names.join(", ").replace("float16, float8 E5M2", "E5M2, float16").replace("float8 E5M2, float16", "E5M2, float16"), font: { size: 11, color: tone } })),
  };
}

/** Places that are named: those with a finding first, then as many as there is room for. */
function namedPlaces(count, row, findings) {
  const named = [];
  const free = (place) => named.every((other) => Math.abs(other - place) * row >= NAME_PIXELS);
  for (const place of [...findings, ...Array(count).keys()]) if (free(place)) named.push(place);
  return named.sort((a, b) => a - b);
}
