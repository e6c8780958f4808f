// What a figure shows now, as tables: for a screen reader, for reading off, and for other programs.
var dataTable = (() => {
  const MOST_ROWS = 2000; // of a table in the page; its file has them all
  const ARRAYS = ["x", "y", "z", "r", "theta", "labels", "values"];
  const KINDS = { bar: "bars", heatmap: "grid", contour: "grid", box: "boxes", histogram: "values" };

  const { made, saveCsv } = figureParts;
  const plain = (text) => figureParts.plain(text, " · ");
  const isRow = (value) => Array.isArray(value) || ArrayBuffer.isView(value);

  const axisOf = (gd, trace, letter) =>
    gd.layout[(trace[letter + "axis"] ?? letter).replace(letter, letter + "axis")] ?? {};

  // The title of a trace's axis; where panels share one, only the outermost says it.
  function axisTitle(gd, trace, letter) {
    const own = axisOf(gd, trace, letter);
    const shared = own.matches && axisOf(gd, { [letter + "axis"]: own.matches }, letter);
    for (const { title } of [own, shared || {}]) {
      const text = plain(title?.text ?? (typeof title === "string" ? title : ""));
      if (text) return text;
    }
    return letter;
  }

  // The bold line above a panel, or above the panel at the top of its column.
  function panelTitle(gd, trace) {
    const domain = (id) => String(axisOf(gd, { xaxis: id }, "x").domain);
    const mine = trace.xaxis ?? "x";
    const above = (gd.layout.annotations ?? []).filter((a) => / domain$/.test(a.xref) && a.text);
    const column = (a) => a.xref.replace(" domain", "");
    const found =
      above.find((a) => column(a) === mine) ?? above.find((a) => domain(column(a)) === domain(mine));
    return found ? plain(found.text.split(/<br\s*\/?>/i)[0]) : "";
  }

  // What hovering tells of each point: the word before a field names it, as in "row %{text}".
  function toldColumns(trace) {
    const template = String(trace.hovertemplate ?? "").replace(/<[^>]*>/g, " ");
    const named = (field) => {
      const before = template.split(`%{${field}`)[0];
      const word = before.length < template.length && /([\p{L}_]+)\s*[=:]?\s*$/u.exec(before);
      return word ? word[1] : field;
    };
    const columns = {};
    for (const field of ["text", "hovertext"]) {
      const values = trace[field];
      if (isRow(values) && values.some((v) => v)) columns[named(field)] = values;
    }
    const told = trace.customdata;
    for (let k = 0; k < (told?.[0]?.length ?? 0); k += 1) {
      const name = named(`customdata[${k}]`);
      if (!name.startsWith("customdata")) columns[name] = Array.from(told, (row) => row[k]);
    }
    return columns;
  }

  // The rows of a trace, column -> values; null if it is a picture.
  function columnsOf(gd, trace) {
    const given = Object.fromEntries(ARRAYS.filter((k) => isRow(trace[k])).map((k) => [k, trace[k]]));
    if (isRow(given.z?.[0])) {
      const [nx, ny] = [given.z[0].length, given.z.length];
      const at = (values, i) => (isRow(values) ? values[i] : i);
      const cells = Array.from({ length: nx * ny }, (_, i) => [Math.floor(i / nx), i % nx]);
      return {
        [axisTitle(gd, trace, "x")]: cells.map(([, j]) => at(trace.x, j)),
        [axisTitle(gd, trace, "y")]: cells.map(([i]) => at(trace.y, i)),
        [plain(trace.colorbar?.title?.text) || "value"]: cells.map(([i, j]) => given.z[i][j]),
      };
    }
    const n = Math.max(0, ...Object.values(given).map((values) => values.length));
    if (!n) return null;
    const columns = {};
    for (const [key, values] of Object.entries(given)) {
      columns[key === "x" || key === "y" ? axisTitle(gd, trace, key) : key] = values;
    }
    for (const letter of ["x", "y"]) {
      const error = trace[`error_${letter}`];
      if (!error?.visible || !isRow(error.array)) continue;
      const name = axisTitle(gd, trace, letter);
      columns[`${name}, above`] = error.array;
      columns[`${name}, below`] = isRow(error.arrayminus) ? error.arrayminus : error.array;
    }
    return { ...columns, ...toldColumns(trace) };
  }

  const isGap = (value) => value === null || value === undefined || Number.isNaN(value);

  // Tables of what is visible: one for each layer of each panel, with a row for each point.
  function tablesOf(gd) {
    const found = new Map();
    for (const trace of gd._fullData ?? []) {
      if (trace.visible !== true || trace.opacity === 0) continue;
      const columns = columnsOf(gd, trace);
      if (!columns) continue;
      const names = ["name", ...Object.keys(columns)];
      const layer = plain(trace.meta?.layer) || KINDS[trace.type] || "points and lines";
      const title = [panelTitle(gd, trace), layer].filter(Boolean).join(" · ");
      const key = JSON.stringify([title, trace.xaxis, trace.yaxis, names]);
      if (!found.has(key)) found.set(key, { title, names, rows: [] });
      const values = Object.values(columns);
      const { rows } = found.get(key);
      const n = Math.max(...values.map((v) => v.length));
      for (let i = 0; i < n; i += 1) {
        const cells = values.map((v) => v[i]);
        if (!cells.slice(0, 2).some(isGap)) rows.push([trace.name, ...cells]); // lines are cut by gaps
      }
    }
    return [...found.values()].filter((table) => table.rows.length);
  }

  const shown = (value, digits) => {
    if (typeof value !== "number") return plain(value);
    return String(Number.isInteger(value) ? value : Number(value.toPrecision(digits)));
  };

  // All tables as lines of one file, with an empty line between two.
  const linesOf = (tables) => tables.flatMap(({ title, names, rows }, i) => [
    ...(i ? [[]] : []),
    ["table", ...names],
    ...rows.map((row) => [title, ...row.map((value) => shown(value, 7))]),
  ]);

  function drawn({ title, names, rows }) {
    const table = document.createElement("table");
    const most = rows.slice(0, MOST_ROWS);
    const count =
      most.length < rows.length
        ? `the first ${most.length} of ${rows.length} rows; the CSV file has all`
        : `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
    table.createCaption().textContent = `${title} (${count})`;
    const head = table.createTHead().insertRow();
    for (const name of names) head.append(made("th", { scope: "col" }, name));
    const body = table.createTBody();
    for (const row of most) {
      const line = body.insertRow();
      for (const value of row) line.insertCell().textContent = shown(value, 5);
    }
    return table;
  }

  function fill(gd, details) {
    const tables = tablesOf(gd);
    const name = gd.getAttribute("aria-label") || "Figure";
    const box = made("div", { className: "data-table-box", tabIndex: 0, role: "region", ariaLabel: `Data of: ${name}` },
      ...(tables.length ? tables.map(drawn) : [made("p", {}, "Only pictures are shown here.")]));
    const file = name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "");
    const button = made("button", { type: "button" }, "Save as CSV");
    button.addEventListener("click", () => saveCsv(`${file || "figure"}.csv`, linesOf(tablesOf(gd))));
    const scrolled = details.querySelector(".data-table-box")?.scrollTop ?? 0;
    details.querySelectorAll(":scope > :not(summary)").forEach((old) => old.remove());
    details.append(button, box);
    box.scrollTop = scrolled;
  }

  // Return a <details> element with the data of a drawn figure, for a place beneath it. It is
  // filled when it is opened, and again, while it is open, when the figure changes.
  return function dataTable(gd) {
    const details = made("details", { className: "data-table" }, made("summary", {}, "Data table"));
    let waiting = 0;
    const again = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => details.open && fill(gd, details), 250);
    };
    details.addEventListener("toggle", () => {
      if (details.open) fill(gd, details);
      else details.querySelectorAll(":scope > :not(summary)").forEach((old) => old.remove());
    });
    for (const name of ["plotly_afterplot", "plotly_animated", "plotly_animatingframe"]) {
      gd.on(name, again);
    }
    return details;
  };
})();
