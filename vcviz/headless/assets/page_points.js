// What can be done with the points of a figure that carries their rows, without a kernel: colour
// them by a number, find, lasso and save them, see what is behind them. The rows are in
// layout.meta.rows, where vcviz.explorers.page_rows has put them: of each split, and of its values
// a code for each row, in each run.
const pointTools = (() => {
  const NONE = 65535; // of a row that has no value
  const MANY = 12; // pictures of chosen rows
  const KEPT = 6; // rows that are kept
  const HINT = "Point at a latent to see it, click it to keep it; lasso some, or find them, to count "
    + "and save them (Shift adds, Alt takes away).";

  const { bytes, made, saveCsv, tipIn } = figureParts;
  const numbers = (text, type) => new type(bytes(text).buffer);
  const TYPES = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array,
    f4: Float32Array, f8: Float64Array };
  // The first entry of each row of customdata; plotly lays it open only where a trace is visible.
  const rowsOf = ({ customdata: told }) =>
    (told.bdata ? Array.from(numbers(told.bdata, TYPES[told.dtype])) : told.map((one) => one[0]));
  const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");

  // What is known of the rows of a split, laid open.
  function opened(split) {
    const row = numbers(split.row, Uint32Array);
    const values = split.values.map((value) => ({
      ...value,
      of: value.codes.map((codes) => Float64Array.from(numbers(codes, Uint16Array),
        (code) => (code === NONE ? NaN : value.from + code * value.step))),
    }));
    return {
      ...split, row, values,
      label: numbers(split.label, Uint16Array),
      predicted: split.predicted.map((codes) => numbers(codes, Uint16Array)),
      place: new Map(Array.from(row, (number, i) => [number, i])),
    };
  }

  function mixed(scale, share) {
    const at = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
    const below = Math.min(Math.floor(at), scale.length - 2);
    const rgb = (color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
    const [one, other] = [rgb(scale[below]), rgb(scale[below + 1])];
    return `rgb(${one.map((v, i) => Math.round(v + (other[i] - v) * (at - below))).join()})`;
  }

  // The colours with how many rows have each: of a scale with its ends, of words with all of them.
  function keyOf({ label, low, high, levels, counts, colors }, known) {
    const paint = colors ?? counts.map((_, i) => mixed(known.scale, (i + 0.5) / counts.length));
    const most = Math.max(...counts, 1);
    const bar = (i) => {
      const one = made("i", { title: `${counts[i]} rows` });
      one.style.cssText = `background:${paint[i]};height:${levels.length ? 12 : 2 + (24 * counts[i]) / most}px`;
      return one;
    };
    const bars = counts.map((_, i) => bar(i));
    if (levels.length) {
      return levels.map((level, i) => made("span", { className: "point-level" }, bars[i], ` ${level} · ${counts[i]}`));
    }
    // What is nothing beside the length of the scale is 0.
    const [least, largest] = [low, high].map((end) => (Math.abs(end) < 1e-3 * (high - low) ? "0" : short(end)));
    const scale = made("span", { className: "point-scale", role: "img", ariaLabel: `${label}, from ${least} to ${largest}` }, ...bars);
    return [least, scale, largest].map((part) => made("span", {}, part));
  }

  // The mean of some tiles of a sprite, as a picture with its caption.
  async function meanOf({ source, columns, w, h, of }, places) {
    const sheet = made("img", { src: source });
    await sheet.decode();
    const pen = made("canvas", { width: sheet.width, height: sheet.height }).getContext("2d", { willReadFrequently: true });
    pen.drawImage(sheet, 0, 0);
    const sum = new Float64Array(4 * w * h);
    for (const i of places) {
      const { data } = pen.getImageData((i % columns) * w, Math.floor(i / columns) * h, w, h);
      data.forEach((value, at) => { sum[at] += value; });
    }
    const name = `mean of ${places.length}${of && `, ${of}`}`;
    const picture = made("canvas", { width: w, height: h, role: "img", ariaLabel: `picture: ${name}` });
    picture.getContext("2d").putImageData(new ImageData(Uint8ClampedArray.from(sum, (value) => value / places.length), w, h), 0, 0);
    return made("figure", {}, picture, made("figcaption", { textContent: name }));
  }

  // A question as a function of a row's place: a row, a class, conditions with "and" that one of
  // these runs has to meet, or a text.
  function asked(question, table, known, runs) {
    const text = question.trim().toLowerCase();
    if (table.place.has(Number(text))) return (i) => table.row[i] === Number(text);
    const ofClass = text.replace(/^class\s+/, "");
    const k = known.classes.findIndex((name) => name.toLowerCase() === ofClass);
    if (k >= 0) return (i) => table.label[i] === k;
    const conditions = text.split(/\s+and\s+/).map((part) => {
      const right = /^(not )?(right|wrong)$/.exec(part);
      if (right) return (i, r) => (table.predicted[r][i] === table.label[i]) === ((right[2] === "right") !== Boolean(right[1]));
      const label = /^class\s+(.*)$/.exec(part);
      if (label) return (i) => known.classes[table.label[i]].toLowerCase() === label[1];
      const [, name, sign, number] = /^(.+?)\s*([<>])=?\s*(-?[\d.]+)$/.exec(part) ?? [];
      const value = table.values.find((v) => v.name.toLowerCase() === name);
      return value && ((i, r) => (sign === ">" ? value.of[r][i] >= Number(number) : value.of[r][i] <= Number(number)));
    });
    if (conditions.every(Boolean)) return (i) => runs.some((r) => conditions.every((is) => is(i, r)));
    return (i) => Boolean(table.texts?.[i].toLowerCase().includes(text));
  }

  // box: a drawn figure. Returns what it is set to, and lets it be set.
  return function pointTools(box) {
    const known = box.layout.meta?.rows;
    if (!known) return null;
    const panels = box.layout.meta.panels ?? [];
    const tables = Object.fromEntries(Object.entries(known.splits).map(([name, split]) => [name, opened(split)]));
    const points = box.data.map((trace, number) => ({
      number, color: trace.marker?.color, meta: trace.meta ?? {}, run: Math.max(panels.indexOf(trace.xaxis ?? "x"), 0),
      rows: trace.meta?.split ? rowsOf(trace) : [],
    })).filter(({ meta, color }) => meta.split || (meta.layer === "key" && meta.class !== undefined && color));
    const drawn = points.filter(({ meta }) => meta.split);
    const split = () => drawn.find(({ number }) => box._fullData[number].visible === true)?.meta.split ?? Object.keys(tables)[0];
    const table = () => tables[split()];
    const state = { color: "class", rows: [], kept: [] };

    const color = made("select");
    const key = made("span", { className: "point-key" });
    const inRun = made("select");
    inRun.append(...["any run", ...known.runs].map((name, r) => made("option", { textContent: name, value: r - 1 })));
    const find = made("input", { type: "search", size: 34, placeholder: "row, class, text, confidence > 0.9 and wrong" });
    const told = made("output", { textContent: HINT });
    const save = made("button", { type: "button", textContent: "save CSV", hidden: true });
    const clear = made("button", { type: "button", textContent: "choose none", hidden: true });
    const gallery = made("div", { className: "point-pictures" });
    const kept = made("ul", { className: "point-kept" });
    const asking = made("form", {}, made("label", {}, "Find ", find), " ", made("label", { hidden: known.runs.length < 2 }, "in ", inRun));
    const bar = made("div", { className: "point-tools", role: "group", ariaLabel: "points" },
      made("div", {}, made("label", {}, "Colour of points ", color), key, asking), made("div", {}, told, " ", save, " ", clear), gallery, kept);
    const tip = tipIn(bar);
    const values = Object.values(tables)[0].values;
    const others = values.filter(({ label }) => label !== known.drawn);
    const named = [[known.drawn, "class"], ...others.map(({ name, label }) => [label, name])];
    color.append(...named.map(([label, value]) => made("option", { textContent: label, value })));
    color.parentNode.hidden = !values.length;

    // ---------------------------------------------------------- one row

    const probability = (t, i, r) => t.values.find(({ name }) => name === "confidence")?.of[r][i];
    const read = (t, i, r) => {
      const p = probability(t, i, r);
      return known.classes[t.predicted[r][i]] === undefined ? "" : `read as ${known.classes[t.predicted[r][i]]}${p === undefined ? "" : `, p = ${short(p)}`}`;
    };
    const heading = (t, i) => `row ${t.row[i]} · ${known.classes[t.label[i]]}`;
    // The pictures of a row beside each other, of an attack before and after it.
    const picture = (t, i, size) => made("span", { className: "point-row" }, ...(t.sprites ?? []).map(({ columns, rows, w, h, source, of }) => {
      const [W, H] = [size, (size * h) / w];
      const sheet = made("img", { src: source, alt: "" });
      sheet.style.cssText = `width:${columns * W}px;height:${rows * H}px;`
        + `margin:${-Math.floor(i / columns) * H}px 0 0 ${-(i % columns) * W}px`;
      const name = `${heading(t, i)}${of && `, ${of}`}`;
      const one = made("span", { className: "point-picture", role: "img", ariaLabel: `picture of ${name}`, title: name }, sheet);
      one.style.cssText = `width:${W}px;height:${H}px`;
      return one;
    }));

    box.on("plotly_hover", ({ points: [point], event }) => {
      const one = drawn.find(({ number }) => number === point?.curveNumber);
      const t = table();
      const i = one && t.place.get(one.rows[point.pointNumber]);
      if (i === undefined) return;
      tip.show(event, picture(t, i, 80), made("span", {}, heading(t, i), made("br"), read(t, i, one.run),
        ...(t.texts ? [made("br"), t.texts[i]] : [])));
    });
    box.on("plotly_unhover", tip.hide);
    box.addEventListener("mouseleave", tip.hide);
    addEventListener("keydown", ({ key: pressed }) => { if (pressed === "Escape") tip.hide(); });
    box.on("plotly_click", ({ points: [point] }) => {
      const one = drawn.find(({ number }) => number === point?.curveNumber);
      if (one) keep([...new Set([...state.kept, one.rows[point.pointNumber]])].slice(-KEPT));
    });

    function keep(rows, quiet) {
      const t = table();
      state.kept = rows.filter((row) => t.place.has(row));
      kept.replaceChildren(...state.kept.map((row) => {
        const i = t.place.get(row);
        const away = made("button", { type: "button", textContent: "×", ariaLabel: `put row ${row} away` });
        away.addEventListener("click", () => keep(state.kept.filter((other) => other !== row)));
        const lines = known.runs.flatMap((run, r) => [made("br"), `${known.runs.length > 1 ? `${run}: ` : ""}${read(t, i, r)}`]);
        return made("li", {}, picture(t, i, 72), made("span", {}, made("b", {}, heading(t, i)), ...lines,
          ...(t.texts ? [made("br"), t.texts[i]] : [])), away);
      }));
      if (!quiet) changed();
    }

    // ---------------------------------------------------------- chosen rows

    function choose(rows, quiet) {
      const t = table();
      state.rows = [...new Set(rows)].filter((row) => t.place.has(row)).sort((a, b) => a - b);
      const chosen = new Set(state.rows);
      const places = state.rows.map((row) => t.place.get(row));
      const mean = (of) => places.reduce((sum, i) => sum + of(i), 0) / places.length;
      const each = known.runs.map((run, r) => {
        const p = mean((i) => probability(t, i, r) ?? NaN);
        return `${known.runs.length > 1 ? `${run} ` : ""}${Math.round(100 * mean((i) => t.predicted[r][i] === t.label[i]))} % right${p >= 0 ? `, mean confidence ${short(p)}` : ""}`;
      });
      told.textContent = places.length ? `${places.length} of ${t.row.length} rows chosen: ${each.join("; ")} (${known.when})` : HINT;
      save.hidden = clear.hidden = !places.length;
      show(t, places);
      const marks = drawn.map(({ rows: own, meta }) => (chosen.size && meta.split === split()
        ? own.flatMap((row, i) => (chosen.has(row) ? [i] : [])) : null));
      if (!quiet) changed();
      return Plotly.restyle(box, { selectedpoints: marks, "selected.marker.opacity": 0.95, "unselected.marker.opacity": 0.08 },
        drawn.map(({ number }) => number));
    }

    // The mean picture of the chosen rows, and the first of them.
    async function show(t, places) {
      const { rows } = state;
      const means = await Promise.all((places.length > 1 ? t.sprites ?? [] : []).map((sprite) => meanOf(sprite, places)));
      if (state.rows === rows) gallery.replaceChildren(...(t.sprites ? [...means, ...places.slice(0, MANY).map((i) => picture(t, i, 32))] : []));
    }

    let how = "new";
    box.addEventListener("mousedown", ({ shiftKey, altKey }) => { how = shiftKey ? "add" : altKey ? "remove" : "new"; }, true);
    const combined = (rows) => {
      if (how === "add") return [...state.rows, ...rows];
      return how === "remove" ? state.rows.filter((row) => !rows.includes(row)) : rows;
    };
    box.on("plotly_selected", async (event) => {
      if (!event?.points) return;
      const found = event.points.flatMap(({ curveNumber, pointNumber }) =>
        drawn.filter(({ number }) => number === curveNumber).map(({ rows }) => rows[pointNumber]));
      const rows = combined(found);
      // The rows stand out in every panel, which an outline in one would undo.
      if (box.layout.selections?.length) await Plotly.relayout(box, { selections: [] });
      choose(rows);
    });
    box.on("plotly_deselect", () => choose([]));
    clear.addEventListener("click", () => { find.value = ""; choose([]); });
    asking.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!find.value.trim()) return choose([]);
      const t = table();
      const is = asked(find.value, t, known, inRun.value < 0 ? Object.keys(known.runs) : [inRun.value]);
      const rows = Array.from(t.row).filter((_, i) => is(i));
      if (rows.length === 1) keep([...new Set([...state.kept, ...rows])].slice(-KEPT), true);
      choose(rows);
      if (!rows.length) told.textContent = `No row is found; known are ${["class", "right", "wrong", ...t.values.map(({ name }) => name)].join(", ")}.`;
    });
    inRun.addEventListener("change", () => { if (find.value.trim()) asking.requestSubmit(); });
    save.addEventListener("click", () => {
      const t = table();
      const lines = [["run", "row", "label", "predicted", ...t.values.map(({ name }) => name), ...(t.texts ? ["text"] : [])]];
      known.runs.forEach((run, r) => state.rows.forEach((row) => {
        const i = t.place.get(row);
        lines.push([run, row, known.classes[t.label[i]], known.classes[t.predicted[r][i]] ?? "",
          ...t.values.map(({ of, levels }) => levels[of[r][i]] ?? (Number.isNaN(of[r][i]) ? "" : Number(of[r][i].toPrecision(5)))),
          ...(t.texts ? [t.texts[i]] : [])]);
      }));
      saveCsv("chosen-rows.csv", lines);
    });

    // ---------------------------------------------------------- colours

    function paint(name, quiet) {
      state.color = name;
      color.value = name;
      const value = (t) => t.values.find((v) => v.name === name);
      const own = (v, x) => {
        if (Number.isNaN(x)) return known.none;
        return v.colors ? v.colors[x] : mixed(known.scale, (x - v.low) / (v.high - v.low));
      };
      const colors = points.map(({ color: before, meta, rows, run }) => {
        if (name === "class") return before;
        if (!meta.split) return known.none; // in the legend the symbol alone says the class
        const t = tables[meta.split];
        return rows.map((row) => own(value(t), value(t).of[run][t.place.get(row)]));
      });
      // Whatever the slider says.
      key.replaceChildren(...(name === "class" ? [] : [...keyOf(value(table()), known), made("span", {}, known.when)]));
      if (!quiet) changed();
      return Plotly.restyle(box, { "marker.color": colors }, points.map(({ number }) => number));
    }
    color.addEventListener("change", () => paint(color.value));

    let split_ = split();
    box.on("plotly_afterplot", () => {
      if (split() === split_) return;
      split_ = split(); // other rows have been brought into view
      keep([], true);
      choose([], true);
      paint(state.color, true);
    });
    const changed = () => box.dispatchEvent(new Event("state"));
    box.after(bar);
    return {
      get: () => ({ ...state }),
      set: async (to) => {
        if (to.color && named.some(([, value]) => value === to.color)) await paint(to.color, true);
        if (to.rows) await choose(to.rows, true);
        if (to.kept) keep(to.kept, true);
      },
    };
  };
})();
