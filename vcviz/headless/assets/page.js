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

// Paper has nothing to click.
addEventListener("beforeprint", () => {
  for (const answer of document.querySelectorAll("details.reveal")) answer.open = true;
});
