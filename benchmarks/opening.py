"""How soon a page's first figure is seen and used, beside plotly's own page of the same points.

``python -m benchmarks.opening tour.html`` opens both in Chromium in turns. Times are of the clock,
from the start of the navigation; on a machine that others use only the ratios mean something, and
the load is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vcviz.headless.outputs import FIGURE

SEEN = """() => new Promise((next) => {
  const look = () => {
    const [entry] = performance.getEntriesByName("first-contentful-paint");
    if (entry) next(entry.startTime);
    else setTimeout(look, 5);
  };
  look();
})"""
#: the first figure is drawn by plotly, and a frame with it was painted
LIVE = """() => new Promise((next) => {
  const look = () => document.querySelector(".js-plotly-plot .trace")
    ? requestAnimationFrame(() => setTimeout(() => next(performance.now()))) : setTimeout(look, 5);
  look();
})"""
#: all that is near is drawn, and the page answers
USABLE = """() => new Promise((next) => {
  const done = () => document.documentElement.dataset.figures === "drawn"
    || !document.querySelector("[data-figure]");
  const look = () => done()
    ? requestAnimationFrame(() => setTimeout(() => next(performance.now())))
    : setTimeout(look, 10);
  look();
})"""


def plain_page(page: Path) -> str:
    """Return plotly's own page of the page's first figure, all its epochs and controls included."""
    notebook = json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", ()))
    spec = next(o["data"][FIGURE] for o in outputs if FIGURE in o.get("data", {}))
    figure = go.Figure(spec["data"], spec["layout"], spec["frames"])
    return figure.to_html(include_plotlyjs=True)


def opened(browser: Any, page: Path) -> tuple[float, float, float]:
    """Return seconds until something, the first figure, and everything near it is there."""
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    tab.goto(page.resolve().as_uri(), wait_until="commit")
    live = tab.evaluate(LIVE)
    usable = tab.evaluate(USABLE)
    seen = tab.evaluate(SEEN)
    tab.close()
    return seen / 1e3, live / 1e3, usable / 1e3


def main() -> None:
    """Print both in turns."""
    parser = argparse.ArgumentParser("benchmarks.opening", description=__doc__)
    parser.add_argument("page", type=Path, help="of `vcviz tour`, its notebook beside it")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        plain = Path(folder) / "plain.html"
        plain.write_text(plain_page(arguments.page), encoding="utf-8")
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu-compositing"]
        )
        times: dict[str, list[tuple[float, float, float]]] = {"ours": [], "plotly's own": []}
        for _ in range(arguments.rounds):
            times["ours"].append(opened(browser, arguments.page))
            times["plotly's own"].append(opened(browser, plain))
        browser.close()
        sizes = {"ours": arguments.page.stat().st_size, "plotly's own": plain.stat().st_size}
    for name in times:
        size = sizes[name] / 1e6
        seen, live, usable = (statistics.median(part) for part in zip(*times[name], strict=True))
        print(f"{name}: {size:.2f} MB, seen {seen:.2f} s, figure {live:.2f} s, all {usable:.2f} s")
    ratios = [a[1] / b[1] for a, b in zip(*times.values(), strict=True)]
    print(
        f"figure, ours / plotly's own: {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
        f"{max(ratios):.2f}, {len(ratios)} pairs), load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
