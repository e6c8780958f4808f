"""From a slider to the painted frame in JupyterLab, and what a page is sent: explorers and a peer.

``python -m benchmarks.explorers`` drives JupyterLab in Chromium. jupyter-scatter, of the same
points under the same slider, is timed in the same session; it is left out where it is missing. The
widget of embedding-atlas draws by WebGPU alone, which a machine without a card does not offer.
"coloured" is from a choice in the list of colours, a column of the table, to the painted frame.

``python -m benchmarks.explorers notebooks`` times processor seconds of each explorer notebook, all
cells run once at its defaults in a folder without runs, as Run All does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = (
    "latent_space", "calibration", "adversarial", "dropmax", "heteroscedastic", "pc_softmax",
    "posthoc", "scoreboard",
)  # fmt: skip
SIZES = (10_000, 100_000, 1_000_000)
MOVES = 8  # of the slider, each way
FLAGS = (
    "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
)  # fmt: skip

_DATA = """
import numpy as np, ipywidgets as ipw
N, EPOCHS, C = {n}, {epochs}, 10
rng = np.random.default_rng(0)
means, y = 4 * rng.standard_normal((C, 2)), np.arange(N) % C
noise = rng.standard_normal((N, 2)).astype("f4")
def z_of(epoch):
    return (means[y] * (epoch + 1) / EPOCHS + noise).astype("f4")
"""
_OURS = """
from vcviz import LatentExplorer, LatentPrior, LatentSet
from vcviz.explorers.subject import Subject
flat = np.full((N, C), -np.log(C), "f4")
own = {"noise": noise[:, 0]}
sets = [LatentSet(z_of(e), flat, y, name="latents", table=own) for e in range(EPOCHS)]
class Kept(Subject):
    def __init__(self):
        super().__init__(sets[-1], None, "stated")
        self.epochs = list(range(EPOCHS))
    def latents(self, split="test", epoch=None):
        return sets[-1 if epoch is None else epoch]
    def prior(self, epoch=None):
        e = EPOCHS - 1 if epoch is None else epoch
        return LatentPrior(means * (e + 1) / EPOCHS, scale=np.ones((C, 2)))
explorer = LatentExplorer(Kept())
def leaves(v):
    return (sum(map(leaves, v.values())) if isinstance(v, dict) else sum(map(leaves, v))
            if isinstance(v, list) else len(v) if isinstance(v, bytes) else len(str(v)))
print("PAYLOAD", leaves(explorer.view.get_state("_figure")), "END")
explorer
"""
_PEER = """
import jscatter, pandas as pd
frame = pd.DataFrame({f"{a}{e}": z_of(e)[:, i] for e in range(EPOCHS) for i, a in enumerate("xy")})
frame["y"] = pd.Categorical(y)
scatter = jscatter.Scatter(data=frame, x=f"x{EPOCHS - 1}", y=f"y{EPOCHS - 1}", color_by="y",
                           transition_points=False, height=400)
slider = ipw.IntSlider(EPOCHS - 1, 0, EPOCHS - 1, description="Epoch")
slider.observe(lambda c: scatter.xy(f"x{c['new']}", f"y{c['new']}"), names="value")
ipw.VBox([slider, scatter.show()])
"""
# Ours says when it has drawn; of any other page the last WebGL call before it is quiet counts.
_WATCH = """
window.moves = []; window.drawn = [];
for (const kind of ["keydown", "change"]) {
  document.addEventListener(kind, () => window.moves.push(performance.now()), true);
}
const note = () => {
  window.drawn.push(performance.now());
  window.firstDrawn ??= performance.now();
};
const painted = () => requestAnimationFrame(() => setTimeout(note));
new MutationObserver((all) => { if (all.some((m) => m.attributeName === "data-drawn")) painted(); })
  .observe(document, {subtree: true, attributes: true, attributeFilter: ["data-drawn"]});
if (PEER) {
  for (const kind of [WebGLRenderingContext, WebGL2RenderingContext]) {
    const draw = kind.prototype.drawArrays;
    kind.prototype.drawArrays = function (...args) { painted(); return draw.apply(this, args); };
  }
}
"""


def main() -> None:
    """Print one table."""
    print("| points | | opened, s | first time, ms | again, ms | coloured, ms | sent, kB |")
    print("|---|---|---|---|---|---|---|")
    for n in SIZES:
        for name, code in (("vcviz", _OURS), ("jupyter-scatter", _PEER)):
            if name != "vcviz" and importlib.util.find_spec("jscatter") is None:
                continue
            found = timed(n, code, peer=name != "vcviz")
            told = f"{found.payload / 1000:,.0f}" if found.payload else "–"
            cells = [f"{n:,}", name, f"{found.opened:.1f}", _told(found.first), _told(found.again)]
            cells.append(f"{found.coloured:.0f}" if found.coloured else "–")
            print(f"| {' | '.join([*cells, told])} |", flush=True)


@dataclass(frozen=True)
class Timed:
    """Seconds from Run All to the first paint, ms of each move down and up and of a colouring,
    bytes sent at first.
    """

    opened: float
    first: list[float]
    again: list[float]
    coloured: float
    payload: int


def timed(n: int, code: str, *, peer: bool) -> Timed:
    """Return what a widget of `n` points takes to open and to follow its slider."""
    epochs = 4 if n >= 1_000_000 else MOVES + 1
    cells = [_DATA.format(n=n, epochs=epochs), code, "print('READY' + '-MARK')"]
    with opened(cells, peer=peer) as page:
        said = page.locator(".jp-OutputArea-output").first.inner_text()
        payload = int(said.split()[1]) if "PAYLOAD" in said else 0
        opened_in = page.evaluate("() => window.firstDrawn - window.ran") / 1000
        page.locator(".widget-slider .noUi-handle").first.focus()
        found: list[list[float]] = []
        for key in ("ArrowLeft", "ArrowRight"):
            found.append(
                [move(page, lambda k=key: page.keyboard.press(k)) for _ in range(epochs - 1)]
            )
        colours = page.locator(".widget-dropdown").filter(has_text="Colour").locator("select")
        coloured = 0.0 if peer else move(page, lambda: colours.select_option(label="noise"))
    return Timed(opened_in, found[0], found[1], coloured, payload)


def move(page: Any, act: Callable[[], Any]) -> float:
    """Return milliseconds from what a person does to the last frame painted because of it."""
    before = page.evaluate("() => { window.drawn.length = 0; return window.moves.length }")
    act()
    page.wait_for_function(
        f"() => window.moves.length > {before} && window.drawn.length", timeout=60_000
    )
    page.wait_for_timeout(1200)
    return float(page.evaluate("() => window.drawn.at(-1) - window.moves.at(-1)"))


def notebooks() -> None:
    """Print one row a notebook."""
    from nbclient import NotebookClient

    print("| notebook | processor, s | clock, s |\n|---|---|---|")
    for name in NOTEBOOKS:
        nb = nbformat.read(Path("notebooks") / f"{name}.ipynb", 4)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(nb, timeout=900, resources={"metadata": {"path": folder}}).execute()
        after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"| {name} | {spent:.0f} | {clock:.0f} |", flush=True)


@contextlib.contextmanager
def opened(cells: list[str], *, peer: bool) -> Iterator[Any]:
    """Run a notebook in JupyterLab and yield its page when all of it is drawn."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(nb, folder / "nb.ipynb")
        with served(folder) as address:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=list(FLAGS)
            )
            page = browser.new_page(viewport={"width": 1300, "height": 950})
            page.add_init_script(_WATCH.replace("PEER", json.dumps(peer)))
            page.goto(f"{address}/lab/tree/nb.ipynb?reset")
            page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
            page.wait_for_timeout(3000)
            page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
            page.evaluate(
                "() => { window.firstDrawn = undefined; window.ran = performance.now(); }"
            )
            page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
            page.wait_for_selector('.jp-OutputArea-output:has-text("READY-MARK")', timeout=120_000)
            page.wait_for_function("() => window.drawn.length", timeout=120_000)
            page.wait_for_timeout(4000)
            yield page
            browser.close()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve JupyterLab on a folder, for this machine alone and without a token."""
    environment = os.environ | {
        f"JUPYTER{part}_DIR": str(folder / ".jupyter" / part)
        for part in ("_CONFIG", "LAB_SETTINGS", "LAB_WORKSPACES")
    }
    options = {
        "--ServerApp.root_dir": folder, "--IdentityProvider.token": "", "--ip": "127.0.0.1",
        "--ServerApp.port_retries": 50, "--LabApp.news_url": "None",
        "--LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }  # fmt: skip
    port = 8950 + os.getpid() % 1000
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"{k}={v}" for k, v in options.items()]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api", timeout=2).read()
                break
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _told(times: list[float]) -> str:
    return f"{statistics.median(times):.0f} ({min(times):.0f} to {max(times):.0f})"


if __name__ == "__main__":
    (notebooks if sys.argv[1:] == ["notebooks"] else main)()
