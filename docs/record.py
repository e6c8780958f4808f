"""Record ``docs/explore.webp``, the moving picture of the README: a person at `vcviz.explore`.

``python docs/record.py`` opens the notebook below in JupyterLab, as ``vcviz lab`` starts it, and
uses it by mouse in Chromium: rows are lassoed, seen again in the reliability diagram, and attacked
step by step. It takes two minutes or so; nothing is downloaded.
"""

from __future__ import annotations

import io
import math
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from browser import browsing
from conftest import _chromium
from lab_browser import EXPOSED, Lab, served
from tiny_notebooks import save

TRAIN = """\
import torch
import vcviz

train, test = vcviz.load_data("digits", seed=0)
x, y = torch.tensor(train.x).float() / 255, torch.tensor(train.y)
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 16, 3), torch.nn.ReLU(), torch.nn.Flatten(),
    torch.nn.Linear(576, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8), torch.nn.Linear(8, 10),
)
adam = torch.optim.Adam(model.parameters(), 0.003)
for _ in range(200):
    adam.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    adam.step()
held_out = torch.utils.data.TensorDataset(torch.tensor(test.x).float() / 255, torch.tensor(test.y))
loader = torch.utils.data.DataLoader(held_out, batch_size=100)"""
SHOW = "vcviz.explore(model, loader)"

#: of the picture, in pixels
WIDTH, HEIGHT = 860, 810
# Screenshots have no mouse pointer.
POINTER = """() => {
  const dot = document.createElement("div");
  dot.style = "position:fixed;z-index:99999;pointer-events:none;width:14px;height:14px;"
    + "margin:-7px;border-radius:7px;background:#d55e00b0;border:1px solid #fff;left:-20px";
  document.body.append(dot);
  document.addEventListener("mousemove", (e) => {
    dot.style.left = e.clientX + "px";
    dot.style.top = e.clientY + "px";
  }, true);
}"""


class Film:
    """Frames of a page of JupyterLab, each with the milliseconds that it is shown."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[tuple[Image.Image, int]] = []
        self.output = page.locator(".jp-OutputArea-output").last
        cell = page.locator(".jp-InputArea").last
        cell.evaluate("box => box.scrollIntoView()")
        box = cell.bounding_box()
        self.clip = {"x": box["x"] + 50, "y": box["y"] - 4, "width": WIDTH, "height": HEIGHT}

    def shot(self) -> Image.Image:
        """Return what is seen now."""
        return Image.open(io.BytesIO(self.page.screenshot(clip=self.clip))).convert("RGB")

    def keep(self, milliseconds: int) -> None:
        """Keep what is seen once it no longer changes."""
        now = self.shot()
        for _ in range(60):
            self.page.wait_for_timeout(200)
            before, now = now, self.shot()
            if now == before:
                break
        self.frames.append((now, milliseconds))

    def tab(self, title: str) -> None:
        """Open a tab of the explorer."""
        self.click(self.output.locator(".lm-TabBar-tabLabel", has_text=title))

    def click(self, what: Any) -> None:
        """Go somewhere and click."""
        box = what.bounding_box()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        self.keep(300)
        self.page.mouse.down()
        self.page.mouse.up()

    def slider(self, label: str) -> Any:
        """Return the visible slider with this label."""
        rows = self.output.locator(".jupyter-widgets:visible", has_text=label)
        return rows.last.locator(".noUi-base")

    def slide(self, label: str, shares: list[float], milliseconds: int = 150) -> None:
        """Drag a slider to shares of its length, a frame at each."""
        rail = self.slider(label).bounding_box()
        y = rail["y"] + rail["height"] / 2
        handle = self.slider(label).locator(".noUi-handle").bounding_box()
        self.page.mouse.move(handle["x"] + handle["width"] / 2, y)
        self.page.mouse.down()
        for share in shares:
            self.page.mouse.move(rail["x"] + share * rail["width"], y, steps=2)
            self.keep(milliseconds)
        self.page.mouse.up()

    def lasso(self, corners: list[tuple[float, float]]) -> None:
        """Draw a lasso in the first panel; corners are shares of its width and height."""
        plot = self.output.locator(".js-plotly-plot:visible").first
        plot.hover(position={"x": 5, "y": 5})
        self.click(plot.locator('.modebar-btn[data-title="Lasso Select"]'))
        area = plot.locator(".nsewdrag").first.bounding_box()
        (x, y), *others = [
            (area["x"] + a * area["width"], area["y"] + b * area["height"]) for a, b in corners
        ]
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for i, (x, y) in enumerate(others):
            self.page.mouse.move(x, y, steps=3)
            if i % 3 == 2:
                self.keep(250)
        self.page.mouse.up()
        self.keep(1500)

    def save(self, path: Path) -> None:
        """Write the frames as an animated WebP."""
        pictures, times = zip(*self.frames, strict=True)
        pictures[0].save(
            path, save_all=True, append_images=pictures[1:], duration=list(times), loop=0,
            quality=70, method=6, minimize_size=True,
        )  # fmt: skip


def act(film: Film) -> None:
    """Use the explorer as a person would."""
    film.keep(1500)
    film.output.locator("select").first.select_option(label="LDA")
    film.keep(1500)
    film.lasso(
        [(0.53 + 0.1 * math.cos(a), 0.42 + 0.2 * math.sin(a)) for a in np.linspace(0, 6.2, 13)]
    )
    film.tab("Calibration")
    film.keep(1500)
    film.slide("Temperature T", [0.42 + 0.03 * i for i in range(6)])
    film.keep(1200)
    film.tab("Attack")
    film.keep(700)
    film.slide("Step shown", [0.5, 0], 100)
    film.slide("Step shown", [step / 20 for step in (0, 1, 2, 3, 4, 5, 10, 20)], 350)
    film.keep(2500)


def main() -> None:
    """Record the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vcviz-notebooks").mkdir()
        save(folder / "vcviz-notebooks" / "explore.ipynb", TRAIN, SHOW)
        with (
            served(folder, *EXPOSED) as address,
            browsing(_chromium()) as browser,
            closing(Lab(folder, address, browser)) as lab,
        ):
            page = lab.notebook("explore").page
            page.set_viewport_size({"width": WIDTH + 160, "height": HEIGHT + 160})
            page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
            page.evaluate(POINTER)
            page.locator(".js-plotly-plot[data-drawn]").first.wait_for()
            film = Film(page)
            act(film)
            film.save(DOCS / "explore.webp")


if __name__ == "__main__":
    main()
