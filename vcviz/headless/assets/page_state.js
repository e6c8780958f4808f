// What the figures of a page are set to stands in its address, "#1.step=4&1.color=entropy": the
// number of a figure, a control, its value. Who opens the address, or reloads, finds them so.
const pageState = (() => {
  const PAUSE_MS = 250; // browsers refuse an address that changes at every step of a slider
  const boxes = () => [...document.querySelectorAll("[data-figure]")];
  const read = () => {
    const found = {};
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
      const [, number, control] = /^([\w-]+)\.(\w+)$/.exec(name) ?? [];
      if (control) (found[number] ??= {})[control] = value;
    }
    return found;
  };

  // The value of every control as text: step of the slider, option of each list, switches.
  function get(box) {
    const { sliders = [], updatemenus = [] } = box.layout;
    const found = {};
    if (sliders[0]) found.step = String(sliders[0].active ?? 0);
    updatemenus.forEach(({ buttons, active = 0 }, i) => {
      if (buttons?.[0]?.method !== "animate") found[`menu${i}`] = String(active);
    });
    const { color, rows = [], kept = [] } = box.points?.get() ?? {};
    return color ? { ...found, color, rows: rows.join("."), kept: kept.join(".") } : found;
  }

  async function set(box, to) {
    const { sliders = [], updatemenus = [] } = box.layout;
    for (const [i, { buttons }] of updatemenus.entries()) {
      const active = Number(to[`menu${i}`] ?? NaN);
      const button = buttons?.[active < 0 ? 0 : active];
      if (!button || active === updatemenus[i].active) continue;
      await Plotly[button.method](box, ...(active < 0 ? button.args2 ?? [] : button.args));
      await Plotly.relayout(box, `updatemenus[${i}].active`, active);
    }
    const step = sliders[0]?.steps[to.step];
    if (step && Number(to.step) !== sliders[0].active) {
      await Plotly.animate(box, ...step.args);
      await Plotly.relayout(box, "sliders[0].active", Number(to.step));
    }
    const rows = (text) => (text ? text.split(".").map(Number) : []);
    await box.points?.set({ color: to.color, rows: rows(to.rows), kept: rows(to.kept) });
  }

  const start = new Map(); // box -> what it was drawn as, which needs no words
  let waiting = 0;
  function address() {
    const found = new URLSearchParams();
    const before = read();
    for (const box of boxes()) {
      const number = box.dataset.figure;
      const values = start.has(box) ? get(box) : before[number] ?? {};
      for (const [name, value] of Object.entries(values)) {
        if (value !== (start.get(box) ?? {})[name]) found.set(`${number}.${name}`, value);
      }
    }
    if (!found.size && !Object.keys(before).length) return location.href; // it may name a heading
    return location.href.split("#")[0] + (found.size ? `#${found}` : "");
  }
  const changed = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState(null, "", address()), PAUSE_MS);
  };

  // A button that copies the address. Where a page may not, the address stands there, selected.
  function copyButton() {
    const { made } = figureParts;
    const button = made("button", { className: "copy-link", type: "button", textContent: "copy link", title: "to this page as it is set now" });
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(address());
        button.textContent = "link copied";
        setTimeout(() => { button.textContent = "copy link"; }, 2000);
      } catch {
        const field = made("input", { className: "copy-link", readOnly: true, value: address(), ariaLabel: "link to this page as it is set now" });
        field.addEventListener("blur", () => field.replaceWith(button));
        button.replaceWith(field);
        field.select();
      }
    });
    return button;
  }

  addEventListener("hashchange", async () => {
    const wanted = read();
    if (!Object.keys(wanted).length) return; // a heading of the page
    for (const [box, first] of start) await set(box, { ...first, ...wanted[box.dataset.figure] });
  });
  const [first] = Object.keys(read());
  boxes().find(({ dataset }) => dataset.figure === first)?.scrollIntoView({ block: "center" });

  // box: a figure that has just been drawn; beneath: what its button stands before
  return async function pageState(box, beneath) {
    start.set(box, get(box));
    if (Object.keys(start.get(box)).length) beneath.before(copyButton());
    const wanted = read()[box.dataset.figure];
    if (wanted) {
      box.dataset.restored = "yes";
      await set(box, wanted);
    }
    for (const name of ["plotly_sliderchange", "plotly_buttonclicked", "plotly_animated"]) box.on(name, changed);
    box.addEventListener("state", changed);
  };
})();
