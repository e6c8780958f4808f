// The page's half of vcviz.explorers.plot: draws what the kernel sends, tells it what a person does.

const ARRAYS = {
  f4: Float32Array, f8: Float64Array, i1: Int8Array, u1: Uint8Array,
  i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array,
};
const CONFIG = { displaylogo: false, responsive: false, doubleClick: "reset",
  plotlyServerURL: "", showSendToCloud: false }; // nothing offers to upload a chart
// A figure with WebGL takes 3 of a page's 16 contexts; one too many blanks the oldest figure.
const WEBGL_FIGURES = 4;
const CLEAR = "rgba(0,0,0,0)";
const LATE_MS = 3000; // how long one drawing may hold up the next
const HOVER_MS = 60; // between two hovers that the kernel hears of

// Another widget that ours names, such as the one that plotly.js comes in.
const other = (model, name) =>
  model.widget_manager.get_model(model.get(name).slice("IPY_MODEL_".length));

// plotly.js comes packed, in a widget of its own that all figures share, and with it what
// vcviz.headless.access says of keys and data tables, and handles.js.
function load(model) {
  globalThis.vcvizPlotly ??= (async () => {
    const library = await other(model, "_library");
    const packed = new Blob([library.get("code")]).stream();
    const code = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
    // As a module of its own: a page's AMD loader would otherwise keep it for itself.
    const source = `const module = { exports: {} }, define = undefined;\n${code}
      export const Plotly = module.exports;
      export { figureParts, makeAccessible, dataTable, keepKeys, Handles };`;
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    return import(url);
  })();
  return globalThis.vcvizPlotly;
}

// ---------------------------------------------------------------- what the kernel sends

function unpack(value, buffers) {
  if (Array.isArray(value)) {
    return typeof value[0] === "object" ? value.map((v) => unpack(v, buffers)) : value;
  }
  if (value === null || typeof value !== "object") return value;
  if ("bytes" in value && "dtype" in value) return unpackArray(value, buffers);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, unpack(v, buffers)]));
}

function unpackArray({ dtype, shape, bytes }, buffers) {
  const view = typeof bytes === "number" ? buffers[bytes] : bytes;
  const start = view.byteOffset ?? 0;
  const flat = new ARRAYS[dtype]((view.buffer ?? view).slice(start, start + view.byteLength));
  return shape.length === 1 ? flat : rows(flat, shape);
}

function rows(flat, [n, ...rest]) {
  const size = n ? flat.length / n : 0;
  return Array.from({ length: n }, (_, i) => {
    const row = flat.subarray(i * size, (i + 1) * size);
    return rest.length === 1 ? row : rows(row, rest);
  });
}

// Sets a dotted path in a copy: what plotly holds of the old value must stay as it was.
function changed(target, path, value) {
  const [name, ...rest] = path;
  const copy = { ...target };
  if (rest.length) copy[name] = changed(copy[name] ?? {}, rest, value);
  else if (value === null || value === undefined) delete copy[name];
  else copy[name] = value;
  return copy;
}

function apply(target, changes, buffers) {
  return Object.entries(changes).reduce(
    (found, [path, value]) => changed(found, path.split("."), unpack(value, buffers)), target,
  );
}

// ---------------------------------------------------------------- the widget

export default () => {
  let figure; // what the kernel wants shown
  let revision = 1; // of what a person did to it: another number undoes that
  const views = new Set();

  // Nothing here may wait: anywidget gives it two seconds, on a page that may be busy for longer.
  function initialize({ model }) {
    figure = unpack(model.get("_figure"));
    model.on("change:_listened", () => views.forEach((view) => view.draw()));
    other(model, "_channel").then((channel) => {
      // The kernel answers with all of the figure if it shows another version by now.
      const ask = () => channel.send({ version: figure.version });
      const receive = (message, buffers) => {
        if (message.kind === "tip") {
          views.forEach((view) => view.tip(message));
          return;
        }
        if (message.kind === "download") {
          // Once, however many views there are.
          load(model).then(({ figureParts }) => figureParts.saveFile(message.name, buffers[0], message.mime));
          return;
        }
        if (message.kind === "dragged") {
          views.forEach((view) => view.dragged(message.ticket));
          return;
        }
        if (message.kind === "restore") revision += 1;
        else if (message.whole) figure = unpack(message.whole, buffers);
        else if (message.version <= figure.version) return; // was in the figure that came whole
        else if (message.version > figure.version + 1) return ask();
        else update(message, buffers);
        views.forEach((view) => view.draw());
      };
      channel.on("msg:custom", receive);
      model.on("destroy", () => channel.off("msg:custom", receive));
      ask();
    });
  }

  function update({ data, traces, layout, version }, buffers) {
    if (data) figure.data = unpack(data, buffers);
    for (const [i, changes] of Object.entries(traces ?? {})) {
      figure.data[i] = apply(figure.data[i], changes, buffers);
    }
    figure.layout = apply(figure.layout, layout ?? {}, buffers);
    figure.version = version;
  }

  function render({ model, el }) {
    const plot = document.createElement("div");
    plot.style.width = "100%";
    el.style.position = "relative";
    el.append(plot);
    const view = { draw() {}, dragged() {}, tip() {} };
    views.add(view);
    const width = new ResizeObserver(() => view.draw());
    let gone = false;

    load(model).then(({ Plotly, figureParts, makeAccessible, dataTable, keepKeys, Handles }) => {
      if (gone) return;
      const tip = figureParts.tipIn(el);
      view.tip = ({ image, text }) => {
        if (!plot.pointed || !(image || text)) return tip.hide();
        const picture = image ? [figureParts.made("img", { src: image, alt: "" })] : [];
        tip.show(plot.pointed, ...picture, text); // as text, whatever is in it
      };
      const handles = new Handles(plot, (event) => tell(model, "drag", event), () => view.draw());
      view.dragged = (ticket) => handles.answered(ticket);
      let drawing = false, again = false, drawn = 0, known = 0;
      view.draw = async () => {
        // One drawing at a time; what comes meanwhile is drawn once, at the end.
        if (drawing) { again = true; return; }
        if (!plot.clientWidth) return; // not on the page yet, or in a hidden tab
        drawing = true;
        try {
          do {
            again = false;
            const layout = layoutOf(plot, figure, revision);
            const wanted = traces(plot, figure.data);
            const data = listens(model, "drag") ? handles.moved(wanted) : wanted;
            await orLate(Plotly.react(plot, data, layout, CONFIG));
            drawn += 1;
            if (drawn === 1) {
              listen(plot, model, tip);
              plots.add(plot);
              el.append(handles.element, dataTable(plot));
              for (const kind of ["afterplot", "relayouting"]) {
                plot.on(`plotly_${kind}`, () => handles.lay());
              }
              keepKeys(el.closest(".jp-OutputArea-output, .voila-cell, .output_area") ?? el);
            }
            if (plot.clientWidth !== known) {
              known = plot.clientWidth;
              tell(model, "resize", { width: known });
            }
            handles.lay();
            plot.dataset.drawn = drawn;
            makeAccessible(plot, model.get("label"));
          } while (again);
        } finally {
          drawing = false;
        }
      };
      width.observe(plot);
    }).catch((error) => { plot.textContent = `The figure cannot be drawn: ${error}`; });

    return () => {
      gone = true;
      views.delete(view);
      width.disconnect();
      webgl.delete(plot);
      plots.delete(plot);
      globalThis.vcvizPlotly?.then(({ Plotly }) => Plotly.purge(plot));
    };
  }

  return { initialize, render };
};

// plotly's promise waits for pictures; one that left the page meanwhile may never come.
const orLate = (promise) =>
  Promise.race([promise, new Promise((next) => setTimeout(next, LATE_MS))]);

// ---------------------------------------------------------------- phrases of the text around

// [words](#light:points) light up a part of the next figure: what page.js does in a page.
const LIGHT = 'a[href*="#light:"]';
const plots = globalThis.vcvizPlots ?? new Set();
if (!globalThis.vcvizPlots) {
  globalThis.vcvizPlots = plots;
  for (const [kind, on] of [
    ["mouseover", true], ["focusin", true], ["click", true], ["mouseout", false], ["focusout", false],
  ]) {
    document.addEventListener(kind, (event) => {
      const phrase = event.target.closest?.(LIGHT);
      if (!phrase) return;
      if (kind === "click") event.preventDefault();
      light(phrase, on);
    });
  }
}

async function light(phrase, on) {
  const { Plotly, figureParts } = await globalThis.vcvizPlotly;
  const plot = [...document.querySelectorAll(".js-plotly-plot")].find((one) => plots.has(one)
    && phrase.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
  if (!plot) return;
  const wanted = figureParts.lit(phrase.getAttribute("href").split("#light:")[1]);
  const panels = plot.layout.meta?.panels ?? [];
  const bright = ({ xaxis = "x", meta }) => wanted(panels.indexOf(xaxis) + 1, meta?.layer);
  if (plot.opacities?.length !== plot.data.length) {
    plot.opacities = plot.data.map((trace) => trace.opacity ?? 1);
  }
  const opacity = plot.opacities.map((own, i) => (on && !bright(plot.data[i]) ? 0.1 * own : own));
  if (!on) delete plot.opacities;
  await Plotly.restyle(plot, { opacity });
}

// Figures drawn with WebGL; shared by all widgets of a page.
const webgl = (globalThis.vcvizWebgl ??= new Set());

function traces(plot, data) {
  const wanted = data.some(({ type }) => type === "scattergl");
  if (!wanted) webgl.delete(plot);
  else if (webgl.size < WEBGL_FIGURES) webgl.add(plot);
  const plain = wanted && !webgl.has(plot);
  return data.map((t) => (plain && t.type === "scattergl" ? { ...t, type: "scatter" } : { ...t }));
}

function layoutOf(plot, { layout }, revision) {
  // A copy through and through: plotly writes what a person does into the layout that it gets.
  const found = { uirevision: revision, ...structuredClone(layout) };
  // Which points are selected is the kernel's to say: a lasso goes when it has been told.
  found.selectionrevision = Math.random();
  found.selections = [];
  found.width = Math.min(layout.width ?? Infinity, plot.clientWidth);
  // A figure without a background of its own takes the page's ink, be the page light or dark.
  if (layout.template?.layout?.paper_bgcolor === CLEAR && !found.font?.color) {
    const [red, green, blue] = getComputedStyle(plot).color.match(/[\d.]+/g);
    found.font = { ...found.font, color: `rgba(${red},${green},${blue},0.8)` };
  }
  return found;
}

// ---------------------------------------------------------------- what a person does

const listens = (model, kind) => model.get("_listened").includes(kind);

function tell(model, kind, event) {
  if (listens(model, kind)) model.send({ kind, ...event });
}

function listen(plot, model, tip) {
  const place = ({ curveNumber, pointNumber, x, y }) => (
    { trace: curveNumber, point: pointNumber ?? null, x: x ?? null, y: y ?? null }
  );
  let timer = null;
  plot.on("plotly_click", ({ points }) => points.length && tell(model, "click", place(points[0])));
  plot.on("plotly_hover", ({ points, event }) => {
    plot.pointed = event;
    clearTimeout(timer);
    timer = setTimeout(() => points.length && tell(model, "hover", place(points[0])), HOVER_MS);
  });
  plot.on("plotly_unhover", () => {
    clearTimeout(timer);
    plot.pointed = null; // what the kernel still says of it comes too late
    tip.hide();
    tell(model, "unhover", {});
  });
  // With Shift or Alt, plotly joins what was selected before: the kernel does, of what is traced.
  let combine = null, traced = null;
  plot.addEventListener("mousedown", (event) => {
    combine = event.altKey ? "remove" : event.shiftKey ? "add" : null;
    traced = null;
  }, true);
  plot.on("plotly_selecting", (event) => { traced = event?.lassoPoints ?? event?.range ?? null; });
  plot.on("plotly_deselect", () => tell(model, "select", { axes: null, polygon: null }));
  plot.on("plotly_relayout", (change) => {
    const keys = Object.keys(change);
    if (keys.some((key) => key.startsWith("selections"))) {
      const found = (plot.layout.selections ?? []).at(-1);
      if (combine && traced) tell(model, "select", { ...outline(traced), combine });
      else if (found) tell(model, "select", { axes: [found.xref, found.yref], polygon: corners(found) });
      else tell(model, "select", { axes: null, polygon: null });
    }
    const found = keys.map((key) => /^[xy]axis(\d*)\.(range|autorange)/.exec(key)?.[1]);
    for (const number of new Set(found.filter((n) => n !== undefined))) {
      const [x, y] = ["x", "y"].map((letter) => plot._fullLayout[`${letter}axis${number}`]);
      if (x && y) {
        const range = [[...x.range], [...y.range]];
        tell(model, "viewport", { axes: [`x${number}`, `y${number}`], range });
      }
    }
  });
}

// What is traced of a lasso, or of a box: its two corners.
function outline(traced) {
  const axes = Object.keys(traced).sort(); // x before y
  const [x, y] = axes.map((name) => traced[name]);
  const polygon = x.length > 2 ? x.map((value, i) => [value, y[i]])
    : corners({ x0: x[0], x1: x[1], y0: y[0], y1: y[1] });
  return { axes, polygon };
}

// Plotly keeps a lasso as an SVG path and a box by two of its corners.
function corners({ type, path, x0, x1, y0, y1 }) {
  if (type !== "path") return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
  return path.replace(/^M|Z$/g, "").split("L").map((pair) => pair.split(",").map(Number));
}
