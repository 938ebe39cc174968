// Tables: sort by a column, keep the rows that hold a word, download as CSV.

DRAW.table = function (section) {
  const form = section.querySelector("form");
  const body = section.querySelector("tbody");
  const rows = [...body.rows];
  const heads = [...section.querySelectorAll("th")];
  const search = form.querySelector("input");
  const said = form.querySelector("output");
  const value = (cell) => cell.dataset.value ?? cell.textContent;
  const names = heads.map((head) => head.textContent);
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());

  function compare(a, b, numeric) {
    if (a === "" || b === "") return (a === "") - (b === ""); // what is missing goes last
    return numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
  }

  function sort(column) {
    const head = heads[column];
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = head.classList.contains("number");
    rows.sort((a, b) => {
      const pair = [value(a.cells[column]), value(b.cells[column])];
      const order = compare(...pair, numeric);
      return up || pair.includes("") ? order : -order;
    });
    body.append(...rows);
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    const total = `${rows.length} row${rows.length === 1 ? "" : "s"}`;
    said.textContent = shown === rows.length ? total : `${shown} of ${total}`;
  }

  function download() {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
    const lines = [names, ...rows.filter((row) => !row.hidden).map((row) => [...row.cells].map(value))];
    const text = lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `${section.id}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
  search.addEventListener("input", filter);
  form.querySelector(".download").addEventListener("click", download);
  filter();
};
