// Panels that stand side by side on a wide page stand in one column on a narrow one, and panels
// with equal axes take no more height than their width fills. Whatever stands where a share of the
// plot says so (annotations, legends, pictures) moves along.
const fitWidth = (() => {
  const NARROW = 178; // pixels of a panel beside others, less than which it takes a row of its own
  const SQUEEZED = 0.75; // of their height, which panels beside a square one keep at least
  const PHONE = 560; // pixels of a figure, less than which its controls stand beneath each other
  const ROW = 44; // pixels of a row of lists
  const SWITCH = 36; // pixels of a switch beside its letters
  const BUTTON = 62; // pixels of a play button, beneath which its slider has its label
  const EPS = 1e-4;
  const SLACK = 16; // pixels of height for which a figure is not drawn again
  const CARTESIAN = new Set(["scatter", "scattergl", "bar", "image", "heatmap", "contour", "box",
    "violin", "histogram", "histogram2d", "histogram2dcontour", "candlestick", "ohlc", "waterfall"]);
  const LINE = 17; // pixels of a line of small text
  const LETTER = 7; // and of a letter, on average

  const id = (name) => name.replace("axis", "");

  // The panels as they were made: axes, shares of the plot, whether their axes have equal units.
  function cellsOf({ data = [], layout = {} }) {
    const found = new Map();
    for (const { xaxis = "x", yaxis = "y" } of data.filter(({ type = "scatter" }) => CARTESIAN.has(type))) {
      const [xName, yName] = [xaxis.replace("x", "xaxis"), yaxis.replace("y", "yaxis")];
      const [x, y] = [layout[xName] ?? {}, layout[yName] ?? {}];
      const over = (axis) => (axis.overlaying ? layout[axis.overlaying.replace(/^./, "$&axis")] ?? axis : axis);
      const [h, v] = [over(x).domain ?? [0, 1], over(y).domain ?? [0, 1]];
      const key = [...h, ...v].map((n) => n.toFixed(4)).join();
      const cell = found.get(key) ?? { x: new Set(), y: new Set(), h: [...h], v: [...v], shape: 0 };
      cell.x.add(xName);
      cell.y.add(yName);
      const equal = y.scaleanchor === xaxis && [x.constrain, y.constrain].includes("domain");
      if (equal && x.range && y.range) {
        const span = ({ range: [low, high] }) => Math.abs(high - low);
        cell.shape = (span(y) / span(x)) * (y.scaleratio ?? 1);
      }
      found.set(key, cell);
    }
    return [...found.values()].sort((one, other) => other.v[1] - one.v[1] || one.h[0] - other.h[0]);
  }

  // Rows of cells from the top: those that share some height.
  function bandsOf(cells) {
    const bands = [];
    for (const cell of cells) {
      const band = bands.at(-1);
      if (band && cell.v[1] > band.low + EPS) {
        band.cells.push(cell);
        band.low = Math.min(band.low, cell.v[0]);
      } else bands.push({ low: cell.v[0], high: cell.v[1], cells: [cell] });
    }
    return bands;
  }

  const overlap = (a, b) => Math.min(a[1], b[1]) - Math.max(a[0], b[0]) > EPS;

  // Return the pixels beneath the upper edge for a share y of the plot as it was made, by a list of
  // [share, pixels] that falls and rises; beyond its ends a pixel stays a pixel.
  const along = (knots, tall) => (y) => {
    if (y >= knots[0][0]) return knots[0][1] - (y - knots[0][0]) * tall;
    for (let i = 1; i < knots.length; i += 1) {
      const [[y0, p0], [y1, p1]] = [knots[i - 1], knots[i]];
      if (y >= y1) return p0 + ((y0 - y) / (y0 - y1 || 1)) * (p1 - p0);
    }
    const [y1, p1] = knots.at(-1);
    return p1 + (y1 - y) * tall;
  };

  // Side by side: rows keep their order, and lose what square panels leave empty.
  function rows(made, bands, wide) {
    const knots = [];
    let top = made.tall * (1 - bands[0].high), before = bands[0].high;
    for (const { low, high, cells } of bands) {
      top += made.tall * (before - high);
      const own = made.tall * (high - low);
      const whole = cells.filter(({ v, shape }) => shape && v[1] - v[0] > (high - low) * 0.9);
      const needed = Math.max(...whole.map((cell) => wide * (cell.h[1] - cell.h[0]) * cell.shape));
      const least = cells.some(({ shape }) => !shape) ? SQUEEZED * own : 0;
      const height = whole.length ? Math.min(own, Math.max(needed, least)) : own;
      knots.push([high, top], [low, top + height]);
      top += height;
      before = low;
    }
    top += made.tall * before;
    const at = along(knots, made.tall);
    return { tall: top, move: () => ({ x: (x) => x, y: (y) => 1 - at(y) / top }) };
  }

  // One above the other: a panel with a heading, those beneath it that have none, the next.
  function column(made, bands, wide) {
    const units = [];
    for (const [number, band] of bands.entries()) {
      for (const cell of [...band.cells].sort((a, b) => a.h[0] - b.h[0] || b.v[1] - a.v[1])) {
        const above = made.headed(cell)
          ? null
          : units.findLast((u) => overlap(u[0].h, cell.h) && u.at(-1).v[0] >= cell.v[1] - EPS
            && Math.abs(u[0].h[0] - cell.h[0]) < 0.02);
        if (above) above.push(cell);
        else units.push(Object.assign([cell], { band: number }));
      }
    }
    const placed = [];
    const first = bands[0].high;
    let top = made.tall * (1 - first);
    for (const cell of units.flat()) {
      const own = made.tall * (cell.v[1] - cell.v[0]);
      const height = cell.shape ? Math.min(wide * cell.shape, Math.max(own, 320)) : own;
      top += placed.length ? made.gapAbove(cell, bands, Math.floor(wide / LETTER)) : 0;
      placed.push({ cell, top, height });
      top += height;
    }
    const last = bands.at(-1);
    const tall = top + made.tall * last.low;
    // What stands at (x, y) belongs to the panel that it is in, or else the nearest.
    const owner = (x, y) => {
      const far = ({ cell: { h, v } }) =>
        2 * Math.max(h[0] - x, x - h[1], 0) + Math.max(v[0] - y, y - v[1], 0);
      return placed.reduce((best, one) => (far(one) < far(best) - EPS ? one : best));
    };
    const move = (x, y, cell) => {
      const one = cell ? placed.find((p) => p.cell === cell) : owner(x, y);
      const { h, v } = one.cell;
      const at = along([[v[1], one.top], [v[0], one.top + one.height]], made.tall);
      return {
        x: (value) => (value - h[0]) / (h[1] - h[0]),
        y: (value) => 1 - at(value) / tall,
      };
    };
    return { tall, move, single: true };
  }

  // A line of text, broken between words where it is too long; tags stay where they are, but for
  // breaks that were made for another width, "<br />".
  function wrapped(text, letters) {
    let room = letters;
    return text.replaceAll("<br />", " ").split(/(<[^>]*>|\s+)/).map((part) => {
      if (/^<br/i.test(part)) room = letters;
      if (part.startsWith("<")) return part;
      if (/^\s+$/.test(part)) {
        room -= 1;
        return part;
      }
      const fits = part.length <= room || room === letters;
      room = (fits ? room : letters) - part.length;
      return fits ? part : `<br>${part}`;
    }).join("");
  }
  const lines = (text) => (text.match(/<br/gi) ?? []).length + 1;

  // What the figure is like before anything moves.
  function asMade(spec) {
    const { layout } = spec;
    const cells = cellsOf(spec);
    const margin = { l: 80, r: 80, t: 100, b: 80, ...layout.template?.layout?.margin, ...layout.margin };
    const height = layout.height ?? 450;
    const tall = Math.max(height - margin.t - margin.b, 1);
    const heads = (layout.annotations ?? []).filter((a) => a.xref?.endsWith(" domain") && a.y >= 1)
      .map((a) => a.xref.replace(" domain", ""));
    const told = spec.data.filter(({ visible = true, meta }) => visible === true && meta?.layer === "readout");
    return {
      cells, margin, height, tall,
      width: layout.width,
      headed: (cell) => [...cell.x].some((name) => heads.includes(id(name))),
      gapAbove(cell, bands, letters) {
        const band = bands.findIndex(({ cells: all }) => all.includes(cell));
        const over = cells.filter((c) => overlap(c.h, cell.h) && c.v[0] >= cell.v[1] - EPS);
        const share = over.length ? Math.min(...over.map((c) => c.v[0])) - cell.v[1] : 0;
        const usual = band ? bands[band - 1].low - bands[band].high : 0;
        return Math.max(over.length ? share * tall : usual * tall, 56 + this.headPx(cell, letters));
      },
      // Room for what stands above a panel: its heading, and numbers that a trace tells.
      headPx(cell, letters) {
        const mine = [...cell.x].map(id);
        const above = (layout.annotations ?? []).filter(({ xref = "paper", yref = "paper", x, y }) => {
          if (yref.endsWith(" domain")) return mine.includes(xref.replace(" domain", "")) && y >= 1;
          return yref === "paper" && y >= cell.v[1] - EPS && (y - cell.v[1]) * tall < 60
            && (xref !== "paper" || (x >= cell.h[0] - 0.05 && x <= cell.h[1]));
        });
        const heights = above.map(({ text, yshift = 0 }) => lines(wrapped(text, letters)) * LINE + yshift);
        const numbers = told.filter((t) => mine.includes(t.xaxis ?? "x") && /^top/.test(t.textposition));
        return Math.max(0, ...heights, ...numbers.map((t) => lines([].concat(t.text)[0] ?? "") * LINE));
      },
      keep: structuredClone({
        annotations: layout.annotations ?? [], images: layout.images ?? [],
        shapes: layout.shapes ?? [], menus: layout.updatemenus ?? [], sliders: layout.sliders ?? [],
        legend: layout.legend ?? null, title: layout.title?.text ?? "",
      }),
      legendPx: layout.meta?.legend_px ?? 0,
      titles: Object.fromEntries(Object.entries(layout).filter(([name]) => name.startsWith("yaxis"))
        .map(([name, axis]) => [name, axis.title?.text ?? ""])),
    };
  }

  // A legend that stands in a margin of its own leaves it on a narrow page.
  function right(made, box) {
    return made.margin.r - (box.clientWidth < PHONE ? made.legendPx : 0);
  }

  function changes(made, plan, wide, box) {
    const change = {};
    for (const cell of made.cells) {
      const to = plan.move((cell.h[0] + cell.h[1]) / 2, (cell.v[0] + cell.v[1]) / 2, cell);
      const clip = (v) => Math.min(Math.max(v, 0), 1);
      for (const name of cell.x) change[`${name}.domain`] = cell.h.map(to.x).map(clip);
      for (const name of cell.y) {
        change[`${name}.domain`] = cell.v.map(to.y).map(clip);
        // In a row the first says what all are of.
        const said = made.cells.find((c) => Math.abs(c.v[0] - cell.v[0]) < EPS
          && Math.abs(c.v[1] - cell.v[1]) < EPS && c.h[0] < cell.h[0] - EPS);
        const title = made.titles[name] || (plan.single && said && made.titles[[...said.y][0]]) || "";
        if (said) change[`${name}.title.text`] = title;
      }
    }
    const paper = (ref) => (ref ?? "paper") === "paper";
    const moved = (item, pairs) => {
      const found = { ...item };
      for (const [px, py] of pairs) {
        if (!paper(item.xref) && !paper(item.yref)) continue;
        const to = plan.move(item[px] ?? 0, item[py] ?? 0);
        if (paper(item.xref) && item[px] !== undefined && (plan.single ? item[px] > 0 && item[px] < 1 : true)) found[px] = to.x(item[px]);
        if (paper(item.yref) && item[py] !== undefined) found[py] = to.y(item[py]);
      }
      return found;
    };
    const { annotations, images, shapes, legend, menus, sliders, title } = made.keep;
    const letters = Math.floor(wide / LETTER);
    const wrap = plan.single || (made.legendPx && box.clientWidth < PHONE);
    if (annotations.length) {
      change.annotations = annotations.map((a) => {
        const found = moved(a, [["x", "y"]]);
        return wrap ? { ...found, text: wrapped(found.text ?? "", letters) } : found;
      });
    }
    if (title) change["title.text"] = plan.single ? wrapped(title, letters) : title;
    if (images.length) change.images = images.map((a) => moved(a, [["x", "y"]]));
    if (shapes.length) change.shapes = shapes.map((a) => moved(a, [["x0", "y0"], ["x1", "y1"]]));
    const first = made.cells[0];
    if (legend?.orientation !== "h") {
      // Beside the panels while there is room, else above them.
      const above = 1 + (made.headPx(first, letters) + 12) / plan.tall;
      change.legend = box.clientWidth < PHONE
        ? { ...legend, orientation: "h", xref: "paper", x: 0, xanchor: "left", y: above, yanchor: "bottom" }
        : { ...legend };
      if (made.legendPx) change["margin.r"] = right(made, box);
    } else if ((legend.y ?? 0) > 1) {
      // At the top it stays, as many pixels above.
      change["legend.y"] = 1 + ((legend.y - 1) * made.tall) / plan.tall;
    } else if (legend.y !== undefined) change["legend.y"] = plan.move(1, legend.y).y(legend.y);
    // On a narrow page the slider is beneath its button, lists are beneath each other, and switches
    // in as many rows as they need.
    const narrow = box.clientWidth < PHONE;
    const plays = ({ buttons: [button] = [] }) => button?.method === "animate";
    const lists = menus.filter((menu) => !plays(menu));
    const lower = narrow && sliders.length && menus.some(plays) ? BUTTON : 0;
    sliders.forEach(({ pad }, i) => {
      change[`sliders[${i}].pad`] = lower ? { ...pad, l: 0, t: (pad?.t ?? 0) + lower } : { ...pad };
    });
    const space = box.clientWidth - made.margin.l;
    const most = Math.max(8, Math.floor((space - 60) / LETTER));
    let [row, left] = [-1, Infinity];
    menus.forEach((menu, i) => {
      if (plays(menu)) return;
      const pad = { ...menu.pad };
      const isSwitch = menu.type === "buttons";
      if (narrow) {
        const wide = isSwitch ? SWITCH + LETTER * menu.buttons[0].label.length : Infinity;
        if (left + wide > space) [row, left] = [row + 1, 0];
        pad.l = left;
        pad.t = (lists[0].pad?.t ?? 0) + ROW * row + lower;
        left += wide;
      }
      change[`updatemenus[${i}].pad`] = pad;
      if (isSwitch) return; // its label says whether it is on
      (menu.buttons ?? []).forEach(({ label }, j) => {
        const long = narrow && label.length > most;
        change[`updatemenus[${i}].buttons[${j}].label`] = long ? `${label.slice(0, most - 1)}…` : label;
      });
    });
    const tops = new Set(lists.map(({ pad }) => pad?.t)).size;
    const more = lower + (row < 0 ? 0 : ROW * (row + 1 - tops));
    change["margin.b"] = made.margin.b + more;
    change["margin.t"] = made.margin.t;
    return [change, more];
  }

  // What a legend that has grown upwards stands in: how far, and the numbers of those lines.
  function hidden(gd) {
    const legend = gd.querySelector(".legend")?.getBoundingClientRect();
    const boxes = [];
    for (const g of gd.querySelectorAll(".infolayer .annotation")) boxes[g.dataset.index] = g.getBoundingClientRect();
    const top = gd.querySelector(".nsewdrag")?.getBoundingClientRect().top ?? 0;
    const over = (gd.layout.annotations ?? []).flatMap(({ yref = "paper", y }, i) =>
      (legend?.height && yref === "paper" && y >= 1 && boxes[i]?.height && boxes[i].top < top ? [i] : []));
    const first = over.filter((i) => boxes[i].bottom > legend.top && boxes[i].top < legend.bottom);
    if (!first.length) return [0, []];
    return [Math.ceil(Math.max(...first.map((i) => boxes[i].bottom)) - legend.top) + 6, over];
  }

  // "updatemenus[0].pad" of a layout that plotly has not seen yet
  function put(layout, path, value) {
    const parts = path.replaceAll("[", ".").replaceAll("]", "").split(".");
    const last = parts.pop();
    parts.reduce((at, part) => (at[part] ??= {}), layout)[last] = value;
  }

  // box: what the figure will be drawn into; spec: what Plotly.newPlot takes, which is changed. The
  // function that it returns is for when it is drawn; it is drawn again only if it must be.
  return function fitWidth(box, spec) {
    const made = asMade(spec);
    if (!made.cells.length) return async () => {};
    const bands = bandsOf(made.cells);
    const beside = bands.some(({ cells }) =>
      cells.some((one) => cells.some((other) => one !== other && !overlap(one.h, other.h))));
    const narrowest = Math.min(...made.cells.map(({ h }) => h[1] - h[0]));
    if (made.width) box.style.maxWidth = `${made.width}px`;
    let [width, wide, plan] = [0, 0, null];
    const planned = (room) => {
      [width, wide] = [box.clientWidth, room];
      plan = (beside && narrowest * wide < NARROW ? column : rows)(made, bands, wide);
      return changes(made, plan, wide, box)[0];
    };
    const tall = (height) => { box.style.height = `${Math.round(height)}px`; };
    const lay = (change) => {
      delete box.layout.height;
      delete box.layout.width;
      return Plotly.relayout(box, { autosize: true, ...change });
    };
    const change = planned(box.clientWidth - made.margin.l - right(made, box));
    tall(plan.tall + made.margin.t + change["margin.b"]);
    delete spec.layout.height;
    delete spec.layout.width;
    for (const [path, value] of Object.entries(change)) put(spec.layout, path, value);
    const size = () => box._fullLayout._size;

    // Legends and labels take room that only a drawn figure has.
    async function settle() {
      if (Math.abs(size().w - wide) > 24) {
        const again = planned(size().w);
        tall(plan.tall + size().t + size().b);
        await lay(again);
      }
      const [more, over] = hidden(box);
      const wrong = plan.tall - size().h + more;
      if (!more && Math.abs(wrong) <= SLACK) return;
      const up = over.map((i) => [`annotations[${i}].yshift`, (box.layout.annotations[i].yshift ?? 0) + more]);
      if (more) up.push(["margin.t", size().t + more]);
      tall(parseFloat(box.style.height) + wrong);
      await lay(Object.fromEntries(up));
    }

    let waiting = 0;
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(async () => {
        if (Math.abs(box.clientWidth - width) < 2 || !box._fullLayout) return;
        const again = planned(box.clientWidth - made.margin.l - right(made, box));
        tall(plan.tall + made.margin.t + again["margin.b"]);
        await lay(again);
        await settle();
      }, 300);
    });
    return settle;
  };
})();
