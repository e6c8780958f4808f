// Figures are drawn when they come near the window, one after the other, the nearest first: until
// then there are stills. `docs/drawn.py` puts this behind the scripts that our exported pages have.
const NEAR = "700px 0px";
const folder = document.currentScript.src.replace(/[^/]*$/, "");
const specs = new Map(); // name -> what Plotly.newPlot takes
const drawnFigure = (name, spec) => specs.set(name, spec); // called by the files of the figures

// A script rather than a fetch, so that a page can be read from a disk.
const loading = new Map();
function loaded(file) {
  if (!loading.has(file)) {
    loading.set(file, new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = folder + file;
      script.onload = done;
      script.onerror = () => failed(new Error(`${file} is missing`));
      document.head.append(script);
    }));
  }
  return loading.get(file);
}

function headingAbove(box) {
  const before = [...document.querySelectorAll("h1, h2, h3")].filter(
    (h) => h.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  return before.pop()?.firstChild.textContent.trim() ?? document.title;
}

async function draw(box) {
  const name = box.dataset.figure;
  await Promise.all([loaded(`figures/${name}.js`), loaded("plotly.js")]);
  const spec = structuredClone(specs.get(name));
  takeInk(box, spec);
  const settle = fitWidth(box, spec);
  box.querySelector(":scope > .still")?.remove();
  await Plotly.newPlot(box, spec);
  await settle();
  makeAccessible(box, "", headingAbove(box));
  if (!box.dataset.drawn) box.after(dataTable(box));
  box.dataset.drawn = "yes";
}

const distance = (box) => {
  const { top, bottom } = box.getBoundingClientRect();
  return Math.max(top - innerHeight, -bottom, 0);
};
const painted = () => new Promise((next) => {
  requestAnimationFrame(() => setTimeout(next));
  setTimeout(next, 200);
});
const queue = new Set();
let drawing = false;
async function work() {
  if (drawing) return;
  drawing = true;
  while (queue.size) {
    const [box] = [...queue].sort((a, b) => distance(a) - distance(b));
    queue.delete(box);
    await draw(box).catch((error) => box.append(`This figure could not be drawn: ${error}`));
    await painted();
  }
  drawing = false;
  document.documentElement.dataset.figures = "drawn";
}

const coming = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    coming.unobserve(target);
    delete document.documentElement.dataset.figures;
    queue.add(target);
  }
  work();
}, { rootMargin: NEAR });
const boxes = [...document.querySelectorAll("[data-figure]")];
for (const box of boxes) coming.observe(box);

// Ink is that of the page: light or dark, which a reader of the manual may change.
new MutationObserver(() => {
  for (const box of boxes.filter(({ dataset }) => dataset.drawn)) queue.add(box);
  work();
}).observe(document.body, { attributeFilter: ["data-theme"] });
