// The name of a figure without a title: the heading that it stands under.
function headingAbove(box) {
  const before = [...document.querySelectorAll("h1, h2, h3, h4")].filter(
    (h) => h.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  const heading = before.pop()?.cloneNode(true);
  heading?.querySelectorAll(".anchor-link, .headerlink").forEach((link) => link.remove());
  return heading?.textContent.trim() || document.title;
}

// A pause in which the browser paints, also where nobody looks at the page.
const painted = () =>
  new Promise((next) => {
    requestAnimationFrame(() => setTimeout(next));
    setTimeout(next, 200);
  });

// Draw the figures of a page when they come near its window, one after the other, the nearest
// first, so that it can be read meanwhile. load: returns what is to be drawn into a box, when
// plotly.js is there. Returns a function that draws some boxes again.
function drawNear(boxes, load) {
  const NEAR = "700px 0px"; // how far from the window a figure is drawn already

  // Coordinates that vcviz.headless.moving has taken out of the frames, as steps from frame to frame.
  function putBack({ data, frames, moves = [] }) {
    for (const { trace, key, at, n, low, step, codes } of moves) {
      const halves = figureParts.bytes(codes);
      const places = new Int32Array(n);
      frames.forEach((frame, f) => {
        const values = Float32Array.from(places, (_, i) => {
          const away = halves[f * n + i] + 256 * halves[(frames.length + f) * n + i];
          places[i] += (away >> 1) ^ -(away & 1);
          return places[i] ? low + step * (places[i] - 1) : NaN;
        });
        frame.data[frame.traces.indexOf(trace)][key] = values;
        if (f === at) data[trace][key] = values.slice();
      });
    }
  }

  async function draw(box) {
    const { moves, ...spec } = await load(box);
    putBack({ moves, ...spec });
    takeInk(box, spec);
    const settle = fitWidth(box, spec);
    const still = box.querySelector(":scope > .still");
    still?.remove();
    try {
      await Plotly.newPlot(box, spec);
      await settle();
    } catch (error) {
      Plotly.purge(box);
      if (still) box.replaceChildren(still);
      throw error;
    }
    makeAccessible(box, "", headingAbove(box));
    if (box.dataset.drawn) return;
    const table = dataTable(box);
    box.after(table);
    box.points = pointTools(box);
    await pageState(box, table);
    box.dataset.drawn = "yes";
  }

  const distance = (box) => {
    const { top, bottom } = box.getBoundingClientRect();
    return Math.max(top - innerHeight, -bottom, 0);
  };
  const queue = new Set();
  let drawing = false;
  async function work() {
    if (drawing) return;
    drawing = true;
    while (queue.size) {
      const [box] = [...queue].sort((a, b) => distance(a) - distance(b));
      queue.delete(box);
      try {
        await draw(box);
      } catch (error) {
        box.classList.add("figure-failed");
        box.append(figureParts.made("p", {}, `This figure could not be drawn: ${error}`));
      }
      box.dispatchEvent(new Event("drawn"));
      await painted();
    }
    drawing = false;
    document.documentElement.dataset.figures = "drawn";
  }
  const ask = (some) => {
    if (some.length) delete document.documentElement.dataset.figures;
    for (const box of some) queue.add(box);
    work();
  };
  const coming = new IntersectionObserver((entries) => {
    const near = entries.filter((entry) => entry.isIntersecting).map(({ target }) => target);
    for (const box of near) coming.unobserve(box);
    ask(near);
  }, { rootMargin: NEAR });
  for (const box of boxes) coming.observe(box);
  return ask;
}
