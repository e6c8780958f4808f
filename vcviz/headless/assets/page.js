// The name of a figure without a title: the heading that it stands under.
function headingAbove(box) {
  const before = [...document.querySelectorAll("h1, h2, h3, h4")].filter(
    (h) => h.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  const heading = before.pop()?.cloneNode(true);
  heading?.querySelectorAll(".anchor-link").forEach((link) => link.remove());
  return heading?.textContent.trim() || document.title;
}

// Draw the figures one after the other, so that the page can be read meanwhile.
(async () => {
  for (const box of document.querySelectorAll("[data-figure]")) {
    try {
      const spec = JSON.parse(document.getElementById("figure-" + box.dataset.figure).textContent);
      await Plotly.newPlot(box, spec);
      await fitHeight(box);
      makeAccessible(box, "", headingAbove(box));
      box.after(dataTable(box));
    } catch (error) {
      box.classList.add("figure-failed");
      box.textContent = "This figure could not be drawn: " + error;
    }
    await new Promise((next) => setTimeout(next));
  }
  document.documentElement.dataset.figures = "drawn";
})();

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
const DRAWN = 860; // as wide as a figure is drawn for it, or its words would be too small

// Paper has nothing to click, and is less wide than most screens.
addEventListener("beforeprint", () => {
  for (const answer of document.querySelectorAll("details.reveal")) answer.open = true;
  for (const box of document.querySelectorAll(".figure")) {
    const { width } = box._fullLayout ?? {};
    if (!width) continue;
    if (width > DRAWN) Plotly.relayout(box, { width: DRAWN });
    box.style.setProperty("--on-paper", Math.min(1, PAPER / Math.min(width, DRAWN)));
  }
});
addEventListener("afterprint", () => {
  for (const box of document.querySelectorAll(".figure")) {
    if (!box._fullLayout) continue;
    delete box.layout.width;
    Plotly.relayout(box, { autosize: true });
  }
});
