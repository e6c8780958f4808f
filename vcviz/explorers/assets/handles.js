// Points that a person can drag: over each point of a trace with `meta.draggable` lies a button of
// its own, so that it takes the pointer before plotly's zoom does, and keys. It needs no module.

var Handles = (() => {
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  const FLAT = ["scatter", "scattergl"]; // what has points on two axes

  const clip = (value, [low, high]) => Math.min(Math.max(value, low), high);

  // The values at the ends of an axis, also where its own range holds their logarithms.
  const ends = (axis) => [axis.p2d(0), axis.p2d(axis._length)].sort((a, b) => a - b);

  // Where a point may be: on the grid of its steps, in its limits or else in its panel.
  function allowed(value, limits, axis, step) {
    const on = step ? Number((Math.round(value / step) * step).toPrecision(12)) : value;
    return clip(on, limits ?? ends(axis));
  }

  // Every point of a figure that can be dragged: which trace's, which point, and its rules.
  function draggable(data) {
    return data.flatMap(({ type = "scatter", meta, x, xaxis = "x", yaxis = "y", name }, trace) => {
      if (!meta?.draggable || !FLAT.includes(type)) return [];
      const rules = meta.draggable === true ? {} : meta.draggable;
      const label = new DOMParser().parseFromString(name ?? "", "text/html").body.textContent;
      return Array.from(x, (_, point) => ({ trace, point, rules, axes: [xaxis, yaxis], label }));
    });
  }

  return class Handles {
    // plot: plotly's element; tell(event): to the kernel; redraw(): draws what `moved` returns
    constructor(plot, tell, redraw) {
      Object.assign(this, { plot, tell, redraw });
      this.element = document.createElement("div");
      this.element.className = "vcviz-handles";
      this.buttons = [];
      this.found = [];
      this.places = new Map(); // number of a handle -> where a person put it, until the kernel knows
      this.waiting = new Map(); // number of a handle -> what the kernel is still to be told
      this.asked = null; // what the kernel has not answered
      this.hand = null; // what a person holds
    }

    // The figure's data with points where a person put them.
    moved(data) {
      this.found = draggable(data);
      const changed = [...data];
      for (const [k, place] of this.places) {
        const at = this.found[k];
        if (!at) continue;
        const trace = { ...changed[at.trace] };
        ["x", "y"].forEach((name, i) => {
          trace[name] = trace[name].slice();
          trace[name][at.point] = place[i];
        });
        changed[at.trace] = trace;
      }
      return changed;
    }

    // Lay the buttons over the points, for what plotly has drawn now.
    lay() {
      while (this.buttons.length < this.found.length) this.add(this.buttons.length);
      while (this.buttons.length > this.found.length) this.buttons.pop().remove();
      this.found.forEach((_, k) => this.show(k));
    }

    // Show a point where a person put it, without waiting for plotly to draw it there.
    show(k) {
      const { trace, label } = this.found[k], button = this.buttons[k], place = this.now(k);
      const axes = this.axes(k), at = this.pixels(k, place), drawn = this.pixels(k, this.drawn(k));
      button.hidden = this.plot._fullData[trace]?.visible !== true || axes.some(
        ({ _offset, _length }, i) => at[i] < _offset - 1 || at[i] > _offset + _length + 1);
      button.style.left = `${this.plot.offsetLeft + at[0]}px`;
      button.style.top = `${this.plot.offsetTop + at[1]}px`;
      const where = place.map((v) => Number(v.toPrecision(3))).join(", ");
      button.setAttribute("aria-label", `${label} (${where}): drag, or press arrow keys`);
      button.title = "drag, or press arrow keys";
      const by = at.map((v, i) => v - drawn[i]);
      return this.nudge(k, by.every((v) => v === 0) ? "" : `${by[0]}px ${by[1]}px`);
    }

    // Move what plotly has drawn of a point; false if it is not drawn as SVG.
    nudge(k, by) {
      const { trace, point } = this.found[k];
      const group = [...this.plot.querySelectorAll(".scatterlayer .trace")]
        .find((g) => g.__data__?.[0]?.trace?.index === trace);
      for (const part of group?.querySelectorAll(":scope > .points, :scope > .text") ?? []) {
        if (part.children[point]) part.children[point].style.translate = by;
      }
      return Boolean(group);
    }

    axes(k) {
      const layout = this.plot._fullLayout;
      return this.found[k].axes.map((id) => layout[`${id[0]}axis${id.slice(1)}`]);
    }

    pixels(k, place) {
      return this.axes(k).map((axis, i) => axis._offset + axis.d2p(place[i]));
    }

    drawn(k) {
      const { trace, point } = this.found[k], { x, y } = this.plot.data[trace];
      return [x[point], y[point]];
    }

    now(k) {
      return this.places.get(k) ?? this.drawn(k);
    }

    add(k) {
      // No <button>: each page that shows notebooks has a look of its own for those.
      const button = document.createElement("div");
      button.className = "vcviz-handle";
      button.tabIndex = 0;
      button.setAttribute("role", "button");
      button.setAttribute("aria-roledescription", "draggable point");
      const on = (kind, heard) => button.addEventListener(kind, heard);
      on("pointerdown", (event) => event.button === 0 && this.take(k, event));
      on("pointermove", (event) => this.hand?.pointer === event.pointerId && this.follow(event));
      on("pointerup", (event) => this.hand?.pointer === event.pointerId && this.drop());
      on("pointercancel", (event) => this.hand?.pointer === event.pointerId && this.putBack());
      on("mousedown", (event) => event.preventDefault());
      on("keydown", (event) => this.key(k, event));
      this.buttons.push(button);
      this.element.append(button);
    }

    // Where the pointer is in the figure, pixels.
    pointer({ clientX, clientY }) {
      const box = this.plot.getBoundingClientRect();
      return [clientX - box.left, clientY - box.top];
    }

    take(k, event) {
      if (this.hand) return;
      const button = this.buttons[k], start = this.now(k), from = this.pointer(event);
      event.preventDefault();
      button.focus({ preventScroll: true });
      button.setPointerCapture(event.pointerId);
      button.classList.add("held");
      this.asked = null; // an answer that got lost must not hold up this one
      const grip = this.pixels(k, start).map((v, i) => from[i] - v);
      this.hand = { k, start, grip, pointer: event.pointerId, told: false };
    }

    follow(event) {
      const { k, grip } = this.hand, at = this.pointer(event);
      const place = this.axes(k).map((axis, i) => axis.p2d(at[i] - grip[i] - axis._offset));
      this.hand.told = this.put(k, place, false) || this.hand.told;
    }

    // Put a point somewhere, if it may be there, and tell; return whether there is news.
    put(k, wanted, done) {
      const { trace, point, rules } = this.found[k], last = this.now(k);
      const place = this.axes(k).map((axis, i) =>
        allowed(wanted[i], rules["xy"[i]], axis, rules.step));
      if (!done && place.every((v, i) => v === last[i])) return false;
      this.places.set(k, place);
      if (!this.show(k)) this.redraw();
      this.waiting.set(k, { trace, point, x: place[0], y: place[1], done });
      this.send();
      return true;
    }

    drop() {
      const { k, told } = this.release();
      if (told) this.put(k, this.now(k), true);
    }

    putBack() {
      const { k, told, start } = this.release();
      if (told) this.put(k, start, true);
    }

    release() {
      const hand = this.hand;
      this.hand = null;
      this.buttons[hand.k].classList.remove("held");
      return hand;
    }

    key(k, event) {
      if (this.hand && event.key === "Escape") this.putBack();
      else if (!this.hand && STEPS[event.key] && !event.ctrlKey && !event.metaKey) {
        const size = event.shiftKey ? 5 : 1, by = STEPS[event.key], at = this.now(k);
        const { step } = this.found[k].rules;
        const steps = this.axes(k).map((axis) => {
          const [low, high] = ends(axis);
          return step ?? (high - low) / 100;
        });
        this.put(k, at.map((v, i) => v + size * by[i] * steps[i]), true);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    }

    // One message at a time: what a slow kernel has not answered yet is overtaken by the latest.
    send() {
      if (this.asked !== null || !this.waiting.size) return;
      const [[k, event]] = this.waiting;
      this.waiting.delete(k);
      this.asked = Math.random();
      this.tell({ ...event, ticket: this.asked });
    }

    // The kernel has done what it was told, and its figure is here.
    answered(ticket) {
      if (ticket !== this.asked) return;
      this.asked = null;
      this.send();
      if (this.asked !== null) return;
      const given = [...this.places.keys()].filter((k) => k !== this.hand?.k);
      given.forEach((k) => this.places.delete(k));
      if (given.length) this.redraw();
    }
  };
})();
