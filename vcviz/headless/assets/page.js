// Draw the figures one after the other, so that the page can be read meanwhile.
(async () => {
  for (const box of document.querySelectorAll("[data-figure]")) {
    try {
      const spec = JSON.parse(document.getElementById("figure-" + box.dataset.figure).textContent);
      await Plotly.newPlot(box, spec);
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
