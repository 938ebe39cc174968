// Final loss or accuracy over two axes; what diverged is marked, not hidden.

DRAW.heat_map = function (section, data) {
  const form = section.querySelector("form");
  const { names, values, first } = data.axes;
  const draw = () => drawHeatMap(section, data, read);
  const read = { others: [] };
  read.metric = addSelect(form, "show", data.metrics.map((metric) => metric[1]), 0, draw);
  read.columns = () => 1;
  if (names.length > 2) {
    const column = addSelect(form, "across", names.slice(1), 0, () => { arrange(); draw(); });
    read.columns = () => column() + 1;
  }
  names.forEach((name, i) => {
    if (i && names.length > 2) read.others[i] = addSelect(form, name, values[i], first[i], draw);
  });
  function arrange() {
    const labels = [...form.querySelectorAll("label")].slice(2);
    labels.forEach((label, i) => { label.hidden = i + 1 === read.columns(); label.style.display = label.hidden ? "none" : ""; });
  }
  if (names.length > 2) arrange();
  draw();
  return draw;
};

function drawHeatMap(section, data, read) {
  const across = read.columns();
  const [metric, metricName, log] = data.metrics[read.metric()];
  const shade = (value) => (log && value !== null ? Math.log10(value) : value);
  const { names, values } = data.axes;
  const rows = data.rows.filter((row) => row.at.every((value, i) => i === 0 || i === across || value === read.others[i]()));
  const down = [...new Set(rows.map((row) => row.at[0]))].sort((a, b) => a - b);
  const columns = [...new Set(rows.map((row) => row.at[across]))].sort((a, b) => a - b);
  const z = down.map(() => columns.map(() => null));
  const hover = down.map(() => columns.map(() => ""));
  const texts = down.map(() => columns.map(() => ""));
  const marks = [];
  const written = down.length * columns.length <= 200 && columns.length * 62 < section.clientWidth;
  const finite = rows.map((row) => row[metric]).filter((value) => value !== null).map(shade);
  for (const row of rows) {
    const [i, j] = [down.indexOf(row.at[0]), columns.indexOf(row.at[across])];
    z[i][j] = shade(row[metric]);
    const lost = row.diverged ? `<br>${row.diverged} of ${row.cells} diverged` : `<br>${row.cells} runs`;
    hover[i][j] = `${plain(values[0][row.at[0]])}<br>${plain(names[across])} ${plain(values[across][row.at[across]])}<br>${metricName} ${number(row[metric])}${lost}`;
    const all = row.diverged === row.cells;
    if (all) marks.push({ x: j, y: i, text: "✕", showarrow: false, font: { size: 15, color: color("bad") } });
    else texts[i][j] = [written ? number3(row[metric]) : "", row.diverged ? `✕${row.diverged}` : ""].filter(Boolean).join(" ");
  }
  const colorbar = { thickness: 10, outlinewidth: 0, ...(log ? logTicks(finite) : {}), ...(narrow() ? { orientation: "h", y: -0.02, yanchor: "top", len: 1 } : {}) };
  const trace = { type: "heatmap", z, text: texts, texttemplate: "%{text}", textfont: { size: 12 }, customdata: hover, hovertemplate: "%{customdata}<extra></extra>", colorscale: "Cividis", xgap: 2, ygap: 2, colorbar, hoverongaps: false };
  const length = narrow() ? 18 : 34;
  const side = narrow() ? "top" : "bottom";
  const figure = {
    height: Math.max(220, 36 * down.length + 110),
    annotations: rows.length ? marks : [nothing()],
    plot_bgcolor: color("raised"),
    xaxis: axis(names[across], { tickvals: columns.map((_, j) => j), ticktext: columns.map((j) => plain(shortName(values[across][j], length))), showgrid: false, side }),
    yaxis: axis("", { tickvals: down.map((_, i) => i), ticktext: down.map((i) => plain(shortName(values[0][i], length))), showgrid: false, autorange: "reversed" }),
  };
  const lost = rows.filter((row) => row.diverged).length;
  return show(section, [trace], figure, `Heat map of ${metricName}, ${down.length} by ${columns.length}; ${lost} with diverged runs.`);
}

/** Ticks of a color bar whose colors follow the logarithm. */
function logTicks(shades) {
  const [low, high] = [Math.min(...shades), Math.max(...shades)];
  const wide = high - low > 2;
  const marks = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const lead of wide ? [1] : [1, 2, 5]) marks.push(lead * 10 ** power);
  }
  const kept = marks.filter((value) => Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9);
  return { tickvals: kept.map(Math.log10), ticktext: kept.map(number) };
}

function number3(value) {
  return value === null ? "" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4 ? value.toExponential(0) : String(Number(value.toPrecision(3)));
}
