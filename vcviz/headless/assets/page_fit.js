// On a narrow page, panels with equal axes are less high than the room that the figure keeps for
// them. This takes the empty strips out of a drawn figure, and puts them back when there is width.
const fitHeight = (() => {
  const LEAST = 12; // pixels of a strip that are worth it

  const axesOf = (gd) =>
    Object.entries(gd._fullLayout).filter(([name, axis]) => /^yaxis\d*$/.test(name) && axis._length);

  // Per row of panels, bottom up: its upper edge as it was made, and the empty share beneath it.
  function strips(gd, made) {
    const { h } = gd._fullLayout._size;
    const rows = new Map();
    for (const [name, axis] of axesOf(gd)) {
      const [low, high] = made.domains[name];
      const narrow = axis.scaleanchor && axis.constrain === "domain";
      const empty = narrow ? high - low - axis._length / h : 0;
      const key = `${low.toFixed(4)} ${high.toFixed(4)}`;
      rows.set(key, { low, high, empty: Math.min(rows.get(key)?.empty ?? 1, empty) });
    }
    return [...rows.values()].filter(({ empty }) => empty * h > LEAST);
  }

  function fitted(gd, made) {
    const rows = strips(gd, made);
    const left = 1 - rows.reduce((sum, { empty }) => sum + empty, 0);
    const moved = (y) => {
      if (y > 1) return 1 + (y - 1) / left;
      const beneath = rows.filter(({ high }) => high <= y + 1e-6);
      return (y - beneath.reduce((sum, { empty }) => sum + empty, 0)) / left;
    };
    const change = {};
    for (const [name, [low, high]] of Object.entries(made.domains)) {
      change[`${name}.domain`] = [moved(low), moved(high)];
    }
    if (made.legend !== undefined) change["legend.y"] = moved(made.legend);
    made.paper.forEach((y, i) => {
      if (y !== null) change[`annotations[${i}].y`] = moved(y);
    });
    return [made.height - (1 - left) * gd._fullLayout._size.h, change];
  }

  const original = (made) => ({
    ...Object.fromEntries(Object.entries(made.domains).map(([k, v]) => [`${k}.domain`, v])),
    ...(made.legend === undefined ? {} : { "legend.y": made.legend }),
    ...Object.fromEntries(
      made.paper.flatMap((y, i) => (y === null ? [] : [[`annotations[${i}].y`, y]])),
    ),
  });

  // box: what Plotly.newPlot drew into, with pictures neither in nor behind the panels
  return async function fitHeight(box) {
    const { height, legend, annotations = [], images = [], shapes = [] } = box.layout;
    const squares = axesOf(box).some(([, a]) => a.scaleanchor && a.constrain === "domain");
    const pinned = [...images, ...shapes].some(({ yref = "paper" }) => yref === "paper");
    if (!squares || pinned || !height) return;
    const made = {
      height,
      legend: legend?.y,
      paper: annotations.map(({ y, yref = "paper" }) => (yref === "paper" ? y : null)),
      domains: Object.fromEntries(
        // Of panels that were made narrower, plotly keeps the domain as it was given here.
        axesOf(box).map(([name, axis]) => [name, [...(axis._inputDomain ?? axis.domain)]]),
      ),
    };
    let width = 0;
    // The height is the box's, as the width is: plotly would not follow a page with both its own.
    const lay = (high, change) => {
      box.style.height = `${high}px`;
      delete box.layout.height;
      delete box.layout.width;
      return Plotly.relayout(box, { autosize: true, ...change });
    };
    const fit = async () => {
      if (Math.abs(box.clientWidth - width) < 2) return;
      if (width) await lay(made.height, original(made));
      width = box.clientWidth;
      if (strips(box, made).length) await lay(...fitted(box, made));
    };
    let waiting = 0;
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(fit, 300);
    });
    await fit();
  };
})();
