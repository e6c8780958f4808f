const boxes = [...document.querySelectorAll("[data-figure]")];

// What vcviz.headless.parts has packed.
async function unpacked(name) {
  const bytes = figureParts.bytes(document.getElementById(name).textContent);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

let library = null;
function plotly() {
  library ??= (async () => {
    const code = await unpacked("plotly");
    await painted(); // the stills come first
    const script = document.createElement("script");
    script.textContent = code;
    document.head.append(script);
  })();
  return library;
}

if (boxes.length) {
  drawNear(boxes, async (box) => {
    const [json] = await Promise.all([unpacked("figure-" + box.dataset.figure), plotly()]);
    return JSON.parse(json);
  });
} else document.documentElement.dataset.figures = "drawn";

// ---------------------------------------------------------------- what moves by itself, once

const STEP_MS = 350;
const START_MS = 700; // in which the still, and then the figure, can be seen as it ends

for (const box of boxes) {
  box.addEventListener("drawn", () => {
    if (!box.layout?.meta?.plays || box.dataset.restored || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    let stopped = false;
    const stop = () => {
      if (!stopped) Plotly.animate(box, [null], { mode: "immediate", frame: { duration: 0, redraw: false } });
      stopped = true;
    };
    for (const kind of ["pointerdown", "keydown"]) box.addEventListener(kind, stop, { once: true });
    const seen = new IntersectionObserver((entries) => {
      if (stopped || !entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      setTimeout(() => {
        if (stopped) return;
        const { redraw } = box.layout.sliders[0].steps[0].args[1].frame;
        const frame = { duration: STEP_MS, redraw };
        const all = box._transitionData._frames.map(({ name }) => name);
        Plotly.animate(box, all, { mode: "immediate", frame, transition: { duration: 0 } }).then(
          () => { stopped = true; box.dataset.played = "yes"; }, () => {},
        );
      }, START_MS);
    }, { threshold: 0.5 });
    seen.observe(box);
  }, { once: true });
}

// ---------------------------------------------------------------- phrases that light things up

function mark(box, wanted) {
  box.classList.toggle("lit", Boolean(wanted));
  if (!wanted) return;
  const bright = figureParts.lit(wanted);
  const panels = box.layout?.meta?.panels ?? [];
  for (const element of box.querySelectorAll(".cartesianlayer .trace, .still [data-layer]")) {
    const trace = element.__data__?.[0]?.trace;
    const panel = trace ? panels.indexOf(trace.xaxis ?? "x") + 1 : Number(element.dataset.panel);
    element.classList.toggle("bright", bright(panel, trace ? trace.meta?.layer : element.dataset.layer));
  }
}

for (const phrase of document.querySelectorAll("[data-light]")) {
  const box = boxes.find((b) => phrase.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING);
  if (!box) continue;
  const wanted = phrase.dataset.light;
  phrase.setAttribute("role", "button");
  phrase.setAttribute("aria-pressed", "false");
  const show = (on) => {
    mark(box, on ? wanted : null);
    phrase.setAttribute("aria-pressed", String(on));
    // A figure that plays has new marks at every step.
    box.removeEventListener("marks", box.relight);
    if (on) box.addEventListener("marks", (box.relight = () => mark(box, wanted)));
  };
  for (const kind of ["mouseenter", "focus"]) phrase.addEventListener(kind, () => show(true));
  for (const kind of ["mouseleave", "blur"]) phrase.addEventListener(kind, () => show(false));
  phrase.addEventListener("click", (event) => {
    event.preventDefault();
    phrase.focus();
    show(true);
  });
  phrase.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
    if (event.key === " ") event.preventDefault();
  });
}
for (const box of boxes) {
  box.addEventListener("drawn", () => {
    for (const name of ["plotly_afterplot", "plotly_animatingframe"]) {
      box.on?.(name, () => box.dispatchEvent(new Event("marks")));
    }
    box.dispatchEvent(new Event("marks"));
  });
}

// ---------------------------------------------------------------- wide tables

// What is wider than the page is scrolled by keys, too.
new ResizeObserver(() => {
  for (const table of document.querySelectorAll("main table")) {
    table.toggleAttribute("tabindex", table.scrollWidth > table.clientWidth + 1);
    if (table.hasAttribute("tabindex")) table.tabIndex = 0;
  }
}).observe(document.querySelector("main"));

// ---------------------------------------------------------------- code, and paper

const toggle = document.querySelector(".all-code");
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const cells = [...document.querySelectorAll("details.code")];
    const open = cells.some((cell) => !cell.open);
    for (const cell of cells) cell.open = open;
    toggle.textContent = open ? "hide all code" : "show all code";
  });
}

const PAPER = 690; // pixels across a sheet of A4 or Letter, its margins off
const SHEET = 960; // and down it
const DRAWN = 860; // as wide as a figure is drawn for it, or its words would be too small

// Paper has nothing to click, and is less wide than most screens. Of a figure that nobody has come
// near it has the still.
addEventListener("beforeprint", () => {
  for (const box of boxes) {
    const { width, height } = box._fullLayout ?? {};
    if (!width) continue;
    if (width > DRAWN) Plotly.relayout(box, { width: DRAWN });
    box.style.setProperty("--on-paper", Math.min(1, PAPER / Math.min(width, DRAWN), SHEET / height));
  }
});
addEventListener("afterprint", () => {
  for (const box of boxes) {
    if (!box._fullLayout) continue;
    delete box.layout.width;
    Plotly.relayout(box, { autosize: true });
  }
});
