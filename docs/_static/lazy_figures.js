// The figures of the manual: numbers and plotly.js are files beside the pages, loaded as scripts
// rather than fetched, so that a page can be read from a disk. `docs/drawn.py` puts this behind the
// scripts that draw the figures of our exported pages.
const folder = document.currentScript.src.replace(/[^/]*$/, "");
const specs = new Map(); // name -> what is drawn
const drawnFigure = (name, spec) => specs.set(name, spec); // called by the files of the figures

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

const boxes = [...document.querySelectorAll("[data-figure]")];
const ask = drawNear(boxes, async (box) => {
  const name = box.dataset.figure;
  await Promise.all([loaded(`figures/${name}.js`), loaded("plotly.js")]);
  return structuredClone(specs.get(name));
});

// Ink is that of the page: light or dark, which a reader of the manual may change.
new MutationObserver(() => ask(boxes.filter(({ dataset }) => dataset.drawn)))
  .observe(document.body, { attributeFilter: ["data-theme"] });
