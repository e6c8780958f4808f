// JupyterLab takes arrow keys, Enter and letters for itself while a notebook is not being written
// in, also from a list or a button of a widget that has the focus. Keys with Ctrl stay its own.
var keepKeys = (() => {
  const KEPT = "data-lm-suppress-shortcuts";
  const guard = ({ target, ctrlKey, metaKey }) => {
    if (target.closest?.("[data-keeps-keys]")) target.toggleAttribute(KEPT, !(ctrlKey || metaKey));
  };
  // box: an element whose controls get their keys before JupyterLab does.
  return function keepKeys(box) {
    box.dataset.keepsKeys = "yes";
    // On the window, where an event comes by before JupyterLab, on the document, has seen it.
    globalThis.vcvizKeys ??= window.addEventListener("keydown", guard, true) ?? guard;
  };
})();

// plotly.js draws sliders, buttons, lists and legends for the mouse alone. Here they get a role, a
// name and keys; a key does to the drawn control what the mouse does, so plotly's own code runs.
var makeAccessible = (() => {
  const SLIDER = ".slider-group";
  const BUTTON = ".updatemenu-button";
  const HEADER = ".updatemenu-header";
  const OPTION = ".updatemenu-dropdown-button";
  const ENTRY = ".legend .traces";
  const INSET = 10; // of a slider's first and last step from its ends, pixels

  const { plain } = figureParts;
  const settings = (element) => element.__data__ ?? {}; // d3 keeps here what an element draws

  const give = (element, values) => {
    for (const [name, value] of Object.entries(values)) {
      if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
    }
  };

  const press = (element, kinds, place = {}) => {
    for (const kind of kinds) {
      element.dispatchEvent(
        new MouseEvent(kind, { bubbles: true, cancelable: true, view: window, ...place }),
      );
    }
  };

  const steps = (slider) => settings(slider)._visibleSteps ?? settings(slider).steps ?? [];
  const position = (slider) =>
    Math.max(steps(slider).findIndex((s) => s._index === settings(slider).active), 0);

  const buttonName = ({ label, method, args }) => {
    if (method === "animate" && args?.[0] === null) return "Play";
    if (method === "animate" && Array.isArray(args?.[0]) && args[0][0] === null) return "Pause";
    return plain(label);
  };

  function describe(gd) {
    for (const slider of gd.querySelectorAll(SLIDER)) {
      const now = position(slider);
      give(slider, {
        tabindex: 0,
        role: "slider",
        "aria-label": plain(settings(slider).currentvalue?.prefix).replace(/:$/, "") || "slider",
        "aria-orientation": "horizontal",
        "aria-valuemin": 0,
        "aria-valuemax": steps(slider).length - 1,
        "aria-valuenow": now,
        "aria-valuetext": plain(steps(slider)[now]?.label),
      });
    }
    for (const button of gd.querySelectorAll(BUTTON)) {
      const own = settings(button);
      give(button, { tabindex: 0, role: "button", "aria-label": buttonName(own) });
      if (!own.args2) continue;
      // A switch: what it does is undone when it is pressed again, as its label shows by a sign.
      const name = plain(own.label).replace(/^[☐☑] /, "");
      const on = settings(button.parentNode).active === own._index;
      give(button, { role: "switch", "aria-label": name, "aria-checked": on });
    }
    const options = [...gd.querySelectorAll(OPTION)];
    for (const header of gd.querySelectorAll(HEADER)) {
      const { buttons = [], active = 0 } = settings(header.parentNode);
      const open = options.length > 0 && buttons.includes(settings(options[0]));
      give(header, {
        tabindex: 0,
        role: "button",
        "aria-haspopup": "listbox",
        "aria-expanded": open,
        "aria-label": plain(buttons[active]?.label) || "choose",
      });
      if (!open) continue;
      give(options[0].parentNode, { role: "listbox", "aria-label": "choose" });
      for (const option of options) {
        give(option, {
          tabindex: -1,
          role: "option",
          "aria-selected": settings(option) === buttons[active],
          "aria-label": plain(settings(option).label),
        });
      }
    }
    // One stop of the Tab key for a legend; the arrow keys go from entry to entry.
    for (const legend of gd.querySelectorAll(".legend")) {
      const entries = [...legend.querySelectorAll(".traces")];
      const stop = entries.find((entry) => entry === document.activeElement) ?? entries[0];
      for (const entry of entries) {
        const trace = settings(entry)[0]?.trace ?? {};
        give(entry, {
          tabindex: entry === stop ? 0 : -1,
          role: "checkbox",
          "aria-label": plain(trace.name) || "trace",
          "aria-checked": trace.visible === true,
        });
      }
    }
  }

  function slide(gd, slider, to) {
    const count = steps(slider).length;
    const wanted = Math.min(Math.max(to, 0), count - 1);
    if (wanted === position(slider)) return;
    const { inputAreaStart = 0, inputAreaLength = 0 } = settings(slider)._dims ?? {};
    const along = (inputAreaLength - 2 * INSET - 2 * inputAreaStart) * (wanted / (count - 1));
    const spot = new DOMPoint(INSET + inputAreaStart + along, 0).matrixTransform(
      slider.getScreenCTM(),
    );
    const rail = slider.querySelector(".slider-rail-touch-rect");
    press(rail, ["mousedown", "mouseup"], { clientX: spot.x, clientY: spot.y });
    describe(gd);
  }

  function open(gd, header) {
    if (header.getAttribute("aria-expanded") !== "true") press(header, ["click"]);
    describe(gd);
    (gd.querySelector(`${OPTION}[aria-selected=true]`) ?? gd.querySelector(OPTION))?.focus();
  }

  function close(gd, press_) {
    const header = gd.querySelector(`${HEADER}[aria-expanded=true]`);
    press_(header);
    // The list of options goes with a short fade.
    give(header, { "aria-expanded": false });
    header.focus();
  }

  const isPress = (key) => key === "Enter" || key === " ";

  // Return the element of a row that an arrow key, Home or End leads to.
  function neighbour(row, at, key) {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[key];
    if (by) return row[Math.min(Math.max(row.indexOf(at) + by, 0), row.length - 1)];
    return { Home: row[0], End: row[row.length - 1] }[key];
  }

  function onSlider(gd, slider, key) {
    const [now, last] = [position(slider), steps(slider).length - 1];
    const page = Math.max(Math.round(last / 10), 1);
    const to = {
      ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1,
      PageUp: now + page, PageDown: now - page, Home: 0, End: last,
    }[key];
    if (to === undefined) return false;
    slide(gd, slider, to);
    return true;
  }

  function onOption(gd, option, key) {
    const header = gd.querySelector(`${HEADER}[aria-expanded=true]`);
    if (!header) return false;
    if (isPress(key)) close(gd, () => press(option, ["click"]));
    else if (key === "Escape" || key === "Tab") close(gd, (h) => press(h, ["click"]));
    else {
      const next = neighbour([...gd.querySelectorAll(OPTION)], option, key);
      if (!next) return false;
      next.focus();
    }
    return key !== "Tab";
  }

  function onEntry(entry, key) {
    if (isPress(key)) {
      press(entry.querySelector(".legendtoggle"), ["mousedown", "mouseup"]);
      return true;
    }
    const row = [...entry.closest(".legend").querySelectorAll(".traces")];
    const next = neighbour(row, entry, key);
    if (!next) return false;
    for (const other of row) other.setAttribute("tabindex", other === next ? 0 : -1);
    next.focus();
    return true;
  }

  function onKey(gd, event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const [at, key] = [event.target, event.key];
    const found = (selector) => at.closest?.(selector);
    let done = false;
    if (found(SLIDER)) done = onSlider(gd, found(SLIDER), key);
    else if (found(OPTION)) done = onOption(gd, found(OPTION), key);
    else if (found(HEADER) && (isPress(key) || key === "ArrowDown" || key === "ArrowUp")) {
      open(gd, found(HEADER));
      done = true;
    } else if (found(BUTTON) && isPress(key)) {
      press(found(BUTTON), ["click"]);
      done = true;
    } else if (found(ENTRY)) done = onEntry(found(ENTRY), key);
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Name a drawn figure and let the keyboard reach its controls. gd: what Plotly.newPlot drew into;
  // label: its name for a screen reader, default its title; otherwise: its name without a title,
  // default the headings of its panels.
  return function makeAccessible(gd, label, otherwise) {
    const { title, annotations = [] } = gd.layout ?? {};
    const headings = annotations.filter((a) => / domain$/.test(a.xref)).map((a) => plain(a.text));
    const name = label || plain(title?.text ?? title) || otherwise || headings.join("; ");
    gd.setAttribute("role", "figure");
    gd.setAttribute("aria-label", name || "Figure");
    if (gd.dataset.accessible) return describe(gd);
    gd.dataset.accessible = "yes";
    gd.addEventListener("keydown", (event) => onKey(gd, event));
    let entry = -1; // the legend is drawn anew at every change, and its focus with it
    gd.addEventListener("focusin", (event) => {
      const at = event.target.closest?.(ENTRY);
      entry = at ? [...gd.querySelectorAll(ENTRY)].indexOf(at) : -1;
    });
    const again = () => {
      describe(gd);
      const lost = document.activeElement === document.body || !document.activeElement;
      if (entry >= 0 && lost) gd.querySelectorAll(ENTRY)[entry]?.focus();
    };
    // The mouse opens a list without any of plotly's events.
    gd.addEventListener("click", () => setTimeout(() => describe(gd)));
    for (const name of ["plotly_afterplot", "plotly_sliderchange", "plotly_buttonclicked"]) {
      gd.on(name, again);
    }
    describe(gd);
  };
})();
