// Controls above a figure. Each returns a function that reads its present value.

function labeled(form, text, control, kind = "") {
  const label = document.createElement("label");
  label.className = kind;
  label.append(...(kind === "check" ? [control, text] : [text, control]));
  form.append(label);
  form.hidden = false;
  return control;
}

function addSelect(form, text, options, first, changed) {
  const select = document.createElement("select");
  options.forEach((option, i) => select.add(new Option(option, i, i === first, i === first)));
  select.addEventListener("change", changed);
  select.setAttribute("aria-label", text); // else a reader hears all options as the name
  labeled(form, text, select);
  return () => Number(select.value);
}

function addCheck(form, text, checked, changed) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = checked;
  box.addEventListener("change", changed);
  labeled(form, text, box, "check");
  return () => box.checked;
}

function addSlider(form, text, values, first, changed) {
  const slider = document.createElement("input");
  slider.type = "range";
  Object.assign(slider, { min: 0, max: values.length - 1, step: 1, value: first });
  const words = document.createElement("span");
  const tell = () => {
    const value = values[Number(slider.value)];
    words.textContent = `${text} ${value}`;
    slider.setAttribute("aria-valuetext", `${text} ${value}`);
  };
  slider.addEventListener("input", () => { tell(); changed(); });
  tell();
  if (values.length > 1) labeled(form, words, slider, "slide");
  return () => Number(slider.value);
}

/** Sample of a line, as the legend has it. */
function sample(style) {
  const dashes = { solid: "", dash: "5 3", dot: "2 3", dashdot: "5 3 1 3", longdash: "9 3", longdashdot: "9 3 1 3" };
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", 26);
  svg.setAttribute("height", 10);
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const drawn = { x1: 0, x2: 26, y1: 5, y2: 5, "stroke-width": 3, "stroke-dasharray": dashes[style.dash] };
  Object.entries(drawn).forEach(([name, value]) => line.setAttribute(name, value));
  line.style.stroke = `var(--${style.name})`;
  svg.append(line);
  return svg;
}

/** Check boxes that are the legend as well: a line sample beside each value. */
function addLegend(form, axes, checked, changed) {
  const group = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.textContent = axes.names[0];
  group.append(legend);
  const boxes = axes.values[0].map((value, i) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = checked(i);
    box.addEventListener("change", changed);
    label.append(box, sample(lineStyle(i, axes)), value);
    group.append(label);
    return box;
  });
  form.append(group);
  form.hidden = false;
  return () => new Set(boxes.flatMap((box, i) => (box.checked ? [i] : [])));
}

/** What belongs to the combination that is chosen: at all steps, and at the step that is chosen. */
function chosenOf(parts, steps, read) {
  const all = parts.filter((part) => read.chosen(part.at));
  return [all, all.find((part) => part.step === steps[read.step()])];
}

const MOST_LINES = 8;

/** Controls for the axes of a grid; returns whether a combination is chosen. */
function addAxes(form, axes, changed, { all = true, single = false } = {}) {
  const others = axes.names.slice(1).map((name, i) => {
    const options = all ? [...axes.values[i + 1], "all"] : axes.values[i + 1];
    return addSelect(form, name, options, axes.first[i + 1], changed);
  });
  const lines = single
    ? addSelect(form, axes.names[0], axes.values[0], 0, changed)
    : addLegend(form, axes, (i) => i < MOST_LINES, changed);
  return (at) => {
    const first = lines();
    return (single ? first === at[0] : first.has(at[0])) && others.every((read, i) => {
      const value = read();
      return value === at[i + 1] || value === axes.values[i + 1].length;
    });
  };
}
