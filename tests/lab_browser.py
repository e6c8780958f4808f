"""JupyterLab in a real browser, as ``vcviz lab`` starts it, for the tests marked `browser`."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from browser import Watch, watched
from numpy.typing import NDArray

from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.parameters import TAG

ROOT = Path(__file__).resolve().parent.parent
#: arguments with which a page can be told to open a notebook, as its menus do
EXPOSED = ("--port=0", "--", "--LabApp.expose_app_in_browser=True")

# First of all: what `ask` needs, and on a signal the kernel writes what its threads are at.
_WITNESS = """
import faulthandler as _faulthandler
import json as _json
import os as _os
import signal as _signal
_faulthandler.register(_signal.SIGUSR1, open({file!r}, "w"))
"""
# What a test asks of the kernel: marks the controls, and says what an explorer shows.
_ASSISTANT = """
import inspect as _inspect
import ipywidgets as _ipw
import numpy as _np
from vcviz.explorers.display import Explorer as _Explorer

_explorers = [v for v in Out.values() if isinstance(v, _Explorer)]

def _mark():
    found = []
    for i, explorer in enumerate(_explorers):
        for name, control in explorer.controls.items():
            control.add_class(f"test-{i}-{name}")
        found.append({n: type(c).__name__ for n, c in explorer.controls.items()})
    return found

# JupyterLab hands messages of widgets to a thread of their own: a cell can run while they are read.
_handlers = get_ipython().kernel.shell_handlers
if not hasattr(_handlers["comm_msg"], "under_way"):
    def _followed(handle):
        under_way = set()
        async def followed(*args):
            under_way.add(mark := object())
            try:
                answer = handle(*args)
                return await answer if _inspect.isawaitable(answer) else answer
            finally:
                under_way.discard(mark)
        followed.under_way = under_way
        return followed
    _handlers["comm_msg"] = _followed(_handlers["comm_msg"])

def _sum(values):
    if values is None:
        return 0.0
    if isinstance(values, _np.ndarray) and values.dtype.kind in "iuf":
        return float(values[_np.isfinite(values)].sum(dtype=float))
    flat = _np.asarray(values, dtype=object).ravel()
    numbers = _np.array([v for v in flat if isinstance(v, (int, float, _np.number))], dtype=float)
    return float(numbers[_np.isfinite(numbers)].sum())

def _place(control):
    if isinstance(control, _ipw.SelectionSlider):
        return control.index
    return control.value if isinstance(control, (_ipw.IntSlider, _ipw.FloatSlider)) else None

def _shown(i):
    explorer = _explorers[i]
    places = {n: _place(c) for n, c in explorer.controls.items()}
    return {
        "busy": len(_handlers["comm_msg"].under_way),
        "values": {n: repr(c.value) for n, c in explorer.controls.items()},
        "places": {f"test-{i}-{n}": place for n, place in places.items() if place is not None},
        "traces": [
            [t.get("type", "scatter"), *(_sum(t.get(k)) for k in ("x", "y", "z"))]
            for t in explorer.view._shown.data
        ],
    }
"""
# A page takes over all widgets that a kernel holds, so those of other notebooks go before it opens.
_FORGET = """
import ipywidgets as _ipw
from vcviz.explorers.plot import _library
Out.clear()
_ipw.Widget.close_all()
_library.cache_clear()
"""
# anywidget gives a widget 2 s to start, and complains if a busy machine takes longer.
_PATIENCE = """
const inTime = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (ms) => inTime(20 * ms);
"""
# What a page does that is busy for those 2 s: the time is up before a widget has started.
_TOO_LATE = """
const inTime = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (ms) => ms === 2000 ? {addEventListener: (_, late) => late()} : inTime(ms);
"""
OPEN = """async (path) => {
  const panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await panel.revealed;
  await panel.sessionContext.ready;
}"""
_DIALOG = ".jp-Dialog"
# Without a question whether to keep what the notebook shows.
_CLOSE = "() => jupyterapp.shell.currentWidget.dispose()"
# The figure of the explorer whose first control bears a name; below it may stand others.
_PLOT = """const plotOf = (name) => document.querySelector('.' + CSS.escape(name))
  ?.closest('.jp-OutputArea-output').querySelector('.js-plotly-plot[data-drawn]');"""
_PAGE_SHOWN = (
    """([name, places]) => {"""
    + _PLOT
    + """
  const sum = (v) => {
    if (!Array.isArray(v) && !ArrayBuffer.isView(v)) return Number.isFinite(v) ? v : 0;
    let all = 0;
    for (const one of v) all += sum(one);
    return all;
  };
  const plot = plotOf(name);
  const moving = Object.entries(places).filter(([slider, place]) => {
    const handle = document.querySelector('.' + CSS.escape(slider) + ' .noUi-handle');
    return handle && Math.abs(handle.getAttribute('aria-valuenow') - place) > 0.006;
  });
  return plot && {moving: moving.map(([slider]) => slider),
    traces: plot.data.map((t) => [t.type ?? 'scatter', sum(t.x), sum(t.y), sum(t.z)])};
}"""
)
# What the page has of a layer: its numbers, and which of its points are marked as chosen.
_PAGE_LAYER = (
    """([name, layer]) => {"""
    + _PLOT
    + """
  return plotOf(name).data.filter((t) => t.meta?.layer === layer).map((t) => ({
    axes: [t.xaxis ?? 'x', t.yaxis ?? 'y'], x: Array.from(t.x), y: Array.from(t.y),
    chosen: t.selectedpoints ? Array.from(t.selectedpoints) : null}));
}"""
)
# Where a panel lies on the screen, and the range of its axes.
_PAGE_PANEL = (
    """([name, x, y]) => {"""
    + _PLOT
    + """
  const plot = plotOf(name), box = plot.getBoundingClientRect();
  const [across, up] = [[x, 'xaxis'], [y, 'yaxis']].map(([id, axis]) =>
    plot._fullLayout[axis + id.slice(1)]);
  return {left: box.left + across._offset, top: box.top + up._offset, width: across._length,
    height: up._length, x: across.range, y: up.range};
}"""
)
# Keeps the numbers of a layer's first trace at every drawing.
_PAGE_RECORD = (
    """([name, layer]) => {"""
    + _PLOT
    + """
  const plot = plotOf(name), seen = [];
  const note = () => seen.push(Array.from(plot.data.find((t) => t.meta?.layer === layer).x));
  window.seenTo?.disconnect();
  window.seenTo = new MutationObserver(note);
  window.seenTo.observe(plot, {attributes: true, attributeFilter: ['data-drawn']});
  note();
  window.seen = seen;
}"""
)


def small_copies(folder: Path) -> None:
    """Write our notebooks to a folder, with the parameters of a quick run in their cells."""
    import nbformat

    for name, path in list_notebooks().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nb = read_notebook(path)
        smoke = nb.metadata.vcviz.smoke
        (cell,) = [c for c in nb.cells if TAG in c.metadata.get("tags", [])]
        cell.source += "".join(f"\n{key} = {value!r}" for key, value in smoke.items())
        nbformat.write(nb, folder / f"{name}.ipynb")


@contextlib.contextmanager
def served(
    folder: Path,
    *arguments: str,
    address: str = r"http://\S+token=\w+",
    command: tuple[str, ...] = ("vcviz", "lab"),
) -> Iterator[str]:
    """Start JupyterLab (or another server) as a person does, and yield the address it prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])),
        **{f"JUPYTER_{k}_DIR": str(folder / ".jupyter" / k) for k in ("CONFIG", "RUNTIME")},
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".jupyter" / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".jupyter" / "settings"),
    }
    log = folder / "log.txt"
    start = [sys.executable, "-m", *command, "--no-browser", *(arguments or ["--port=0"])]
    with log.open("w") as file:
        process = subprocess.Popen(start, cwd=folder, stderr=file, stdout=file, env=environment)
    try:
        deadline = time.monotonic() + 150
        while not (found := re.search(address, log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found.group()
    finally:
        process.terminate()
        process.wait(20)


class Lab:
    """One JupyterLab, one browser and one kernel for all notebooks of a test module.

    Parameters
    ----------
    folder : where JupyterLab was started
    address : what it printed
    browser : Playwright's browser
    """

    def __init__(self, folder: Path, address: str, browser: Any) -> None:
        self.folder, self.browser = folder, browser
        self.base, self.token = address.split("/lab")[0], re.search(r"token=(\w+)", address)[1]
        self.kernel_id: str | None = None
        self._sheet: Sheet | None = None
        self._script = ""
        self._client: Any = None
        self._process_id = 0

    def notebook(self, name: str, *, late: bool = False) -> Sheet:
        """Open a notebook and run all of its cells, or return it if it is still open.

        With `late` anywidget finds that no widget started in time.
        """
        if self._sheet is not None and self._sheet.name == name:
            return self._sheet
        page, watch = self._blank_page(_TOO_LATE if late else _PATIENCE)
        path = f"vcviz-notebooks/{name}.ipynb"
        if self.kernel_id is not None:
            # All notebooks share a kernel: to import everything anew would take most of the time.
            self._post(
                "sessions",
                {"path": path, "name": name, "type": "notebook", "kernel": {"id": self.kernel_id}},
            )
            self.ask(_FORGET)
        page.evaluate(OPEN, path)
        page.get_by_text("(ipykernel) | Idle").wait_for()
        code = [c for c in read_notebook(self.folder / path).cells if c.cell_type == "code"]
        last = self.ask("get_ipython().execution_count") + len(code)
        page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
        page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
        failed = page.locator('[data-mime-type="application/vnd.jupyter.error"]')
        deadline = time.monotonic() + 600
        while self.ask("get_ipython().execution_count") < last:
            assert failed.count() == 0, failed.first.inner_text()
            assert time.monotonic() < deadline, f"{name} takes too long"
            page.wait_for_timeout(200)
        self._sheet = Sheet(self, name, page, watch)
        return self._sheet

    def _blank_page(self, script: str) -> tuple[Any, Watch]:
        """Return a page of JupyterLab without a notebook: that of the last one, if it can be."""
        last, self._sheet = self._sheet, None
        if last is not None and self._script == script and not last.page.locator(_DIALOG).count():
            last.page.evaluate(_CLOSE)
            last.watch.errors.clear()
            last.watch.requests.clear()
            return last.page, last.watch
        if last is not None:
            last.page.close()
        self._script = script
        return self._new_page(script)

    def _new_page(self, script: str) -> tuple[Any, Watch]:
        page = self.browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(150_000)
        watch = watched(page)
        page.add_init_script(script)
        page.goto(f"{self.base}/lab?reset&token={self.token}")
        page.wait_for_function("() => window.jupyterapp?.restored")
        page.evaluate("() => jupyterapp.restored")
        return page, watch

    def ask(self, expression: str) -> Any:
        """Return what an expression is in the kernel, when it has done what it was sent."""
        if self._client is None:
            self._client = self._connect()
        statements = "\n" in expression
        reply = self._reply(
            self._client.execute(
                expression if statements else "",
                store_history=False,
                user_expressions={} if statements else {"said": f"_json.dumps({expression})"},
            )
        )
        said = reply.get("user_expressions", {}).get("said", reply)
        assert said["status"] == "ok", said
        return None if statements else json.loads(ast.literal_eval(said["data"]["text/plain"]))

    def _reply(self, request: str) -> Any:
        """Return the reply to a request; what a kernel publishes can be lost if there is much."""
        for _ in range(6):
            with contextlib.suppress(queue.Empty):
                while True:
                    reply = self._client.get_shell_msg(timeout=20)
                    if reply["parent_header"].get("msg_id") == request:
                        return reply["content"]
            self._client.kernel_info()  # a request can lie unread until the next one comes
        assert self._process_id, "the kernel has not answered even once"
        os.kill(self._process_id, signal.SIGUSR1)
        time.sleep(2)
        raise AssertionError(self._stacks.read_text())

    def close(self) -> None:
        """Let go of the kernel."""
        if self._client is not None:
            self._client.stop_channels()
            self._client.context.destroy()

    def _connect(self) -> Any:
        from jupyter_client.blocking import BlockingKernelClient

        self.kernel_id = json.load(self._get("kernels"))[0]["id"]
        file = self.folder / ".jupyter" / "RUNTIME" / f"kernel-{self.kernel_id}.json"
        client = BlockingKernelClient(connection_file=str(file))
        client.load_connection_file()
        client.start_channels(iopub=False, stdin=False, hb=False)
        self._client = client
        self.ask(_WITNESS.format(file=str(self._stacks)))
        self._process_id = self.ask("_os.getpid()")
        return client

    @property
    def _stacks(self) -> Path:
        """Where a kernel that hangs writes what its threads are at."""
        return self.folder / "stacks.txt"

    def _get(self, what: str) -> Any:
        return urllib.request.urlopen(f"{self.base}/api/{what}?token={self.token}")

    def _post(self, what: str, content: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.base}/api/{what}?token={self.token}",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).read()


class Sheet:
    """A notebook that was run in JupyterLab.

    Attributes
    ----------
    name : of the notebook
    page, watch : Playwright's page, and what it asked for and complained about
    controls : name -> type of each explorer's controls
    """

    def __init__(self, lab: Lab, name: str, page: Any, watch: Watch) -> None:
        self.lab, self.name, self.page, self.watch = lab, name, page, watch
        page.get_by_text("(ipykernel) | Idle").wait_for()
        lab.ask(_ASSISTANT)
        self.controls: list[dict[str, str]] = lab.ask("_mark()")

    def control(self, i: int, name: str) -> Any:
        """Return a control of the i-th explorer, scrolled into view."""
        found = self.page.locator(f".test-{i}-{name}")
        for _ in range(60):
            if found.count():
                break
            self.page.locator(".jp-WindowedPanel-outer").evaluate("box => box.scrollBy(0, 400)")
            self.page.wait_for_timeout(100)
        found.evaluate("box => box.closest('.jp-OutputArea-output').scrollIntoView()")
        return found

    def expected(self, i: int) -> Any:
        """Return the values of an explorer's controls in the kernel, and what it wants shown."""
        return self.lab.ask(f"_shown({i})")

    def agrees(self, i: int, *, unlike: Any = None, like: Any = None, timeout: float = 150) -> Any:
        """Return what kernel and page both show, once they do.

        Not before the controls' values are others than in `unlike`, or all is as in `like`.
        """
        deadline, wait = time.monotonic() + timeout, 50.0
        while True:
            wanted = self.expected(i)
            values, there, moving = wanted["values"], None, []
            reached = (unlike is None or values != unlike["values"]) and (
                like is None
                or (values == like["values"] and same(wanted["traces"], like["traces"]))
            )
            if reached and not wanted["busy"]:
                found = self.page.evaluate(_PAGE_SHOWN, [self._mark(i), wanted["places"]])
                if found is None:
                    self.output(i)  # scrolls there
                else:
                    there, moving = found["traces"], found["moving"]
                if not moving and same(there, wanted["traces"]):
                    return wanted
            assert time.monotonic() < deadline, (
                values,
                wanted["busy"],
                moving,
                there and (len(there), len(wanted["traces"])),
                _different(there, wanted["traces"]),
                like and _different(wanted["traces"], like["traces"]),
                self.watch,
            )
            self.page.wait_for_timeout(wait)  # asking is work for kernel and page
            wait = min(1.5 * wait, 500)

    def layer(self, i: int, layer: str) -> list[dict[str, Any]]:
        """Return the page's traces of a layer: ``axes``, ``x``, ``y`` and what is ``chosen``."""
        return self.page.evaluate(_PAGE_LAYER, [self._mark(i), layer])

    def record(self, i: int, layer: str) -> None:
        """Keep, from now on, the x of a layer's first trace at every drawing; see `recorded`."""
        self.page.evaluate(_PAGE_RECORD, [self._mark(i), layer])

    def recorded(self) -> list[list[float]]:
        """Return what `record` has kept."""
        return self.page.evaluate("() => window.seen")

    def panel(self, i: int, x: str = "x", y: str = "y") -> Panel:
        """Return where a panel is, scrolled to the middle of the screen."""
        self.figure(i).evaluate("plot => plot.scrollIntoView({block: 'center'})")
        return Panel(**self.page.evaluate(_PAGE_PANEL, [self._mark(i), x, y]))

    def figure(self, i: int, number: int = 0) -> Any:
        """Return a figure of an explorer; the first is its own."""
        return self.output(i).locator(".js-plotly-plot[data-drawn]").nth(number)

    def output(self, i: int) -> Any:
        """Return all that an explorer shows, scrolled into view."""
        return self.control(i, next(iter(self.controls[i]))).locator(
            "xpath=ancestor::*[contains(@class, 'jp-OutputArea-output')]"
        )

    def tool(self, i: int, title: str) -> None:
        """Click a button above a figure, such as "Lasso Select"."""
        figure = self.figure(i)
        figure.hover(position={"x": 5, "y": 5})
        figure.locator(f'.modebar-btn[data-title="{title}"]').click()

    def drag(self, corners: Any) -> None:
        """Draw with the mouse, from corner to corner in pixels of the screen."""
        (x, y), *others = [(float(x), float(y)) for x, y in corners]
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for x, y in others:
            self.page.mouse.move(x, y)
        self.page.mouse.up()

    def until(self, what: Any, *, timeout: float = 150) -> Any:
        """Return what a function returns, once that is true."""
        deadline = time.monotonic() + timeout
        while not (found := what()):
            assert time.monotonic() < deadline, (found, self.watch)
            self.page.wait_for_timeout(50)
        return found

    def _mark(self, i: int) -> str:
        return f"test-{i}-{next(iter(self.controls[i]))}"

    def press(self, i: int, name: str) -> bool:
        """Move a control by keyboard; return whether it can be moved."""
        target = self._target(i, name)
        if target is None:
            return False
        target.focus()
        kind = self.controls[i][name]
        if kind in ("Checkbox", "Choices"):
            key = "Space"
        elif kind == "Dropdown":
            last = target.evaluate("list => list.selectedIndex === list.options.length - 1")
            key = "ArrowUp" if last else "ArrowDown"
        else:
            low, now = (float(target.get_attribute(f"aria-value{end}")) for end in ("min", "now"))
            key = "ArrowLeft" if now > low else "ArrowRight"
        self.page.keyboard.press(key)
        return True

    def click(self, i: int, name: str) -> bool:
        """Move a control by mouse; return whether it can be moved."""
        target = self._target(i, name)
        if target is None:
            return False
        kind = self.controls[i][name]
        if kind in ("Checkbox", "Choices"):
            target.click()
        elif kind == "Dropdown":
            # The list itself is drawn outside the page, where no test can click.
            labels = target.locator("option").all_inner_texts()
            now = target.evaluate("list => list.selectedIndex")
            target.select_option(index=(now + 1) % len(labels))
        else:
            rail = self.control(i, name).locator(".noUi-base").bounding_box()
            at = target.bounding_box()["x"] + target.bounding_box()["width"] / 2
            share = 0.2 if at > rail["x"] + rail["width"] / 2 else 0.8
            y = rail["y"] + rail["height"] / 2
            self.page.mouse.move(at, y)
            self.page.mouse.down()
            self.page.mouse.move(rail["x"] + share * rail["width"], y, steps=3)
            self.page.mouse.up()
        return True

    def reset(self, i: int) -> None:
        """Click the button that puts everything back."""
        self.output(i).get_by_role("button", name="Reset").first.click()

    def _target(self, i: int, name: str) -> Any:
        """Return what of a control takes keys and clicks; None if there is nothing to move."""
        box = self.control(i, name)
        if not box.is_visible():
            return None
        target = box.locator(".noUi-handle, select, input[type=checkbox], button").first
        off = target.count() == 0 or target.is_disabled()
        off = off or box.locator("[disabled]").count() > 0
        one = self.controls[i][name] == "Dropdown" and target.locator("option").count() < 2
        return None if off or one else target


@dataclass(frozen=True)
class Panel:
    """A panel on the screen, in pixels, and the ranges of its axes."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def pixels(self, points: Any) -> NDArray[np.float64]:
        """Return (N, 2) where on the screen points (N, 2) of the panel are."""
        points = np.asarray(points, dtype=float)
        (x0, x1), (y0, y1) = self.x, self.y
        across = (points[:, 0] - x0) / (x1 - x0)
        up = (points[:, 1] - y0) / (y1 - y0)
        return np.column_stack([self.left + across * self.width, self.top + (1 - up) * self.height])

    def holds(self, pixels: NDArray[np.float64], margin: float = 0) -> NDArray[np.bool_]:
        """Return (N,) whether places on the screen are in the panel, well inside by a margin."""
        low = np.array([self.left, self.top]) + margin
        high = np.array([self.left + self.width, self.top + self.height]) - margin
        return ((pixels > low) & (pixels < high)).all(1)


def same(there: Any, wanted: Any) -> bool:
    """Return whether traces have the same types and sums."""
    return there is not None and len(there) == len(wanted) and not _different(there, wanted)


def _different(there: Any, wanted: Any) -> list[Any]:
    """Return number and both sides of the traces that differ."""
    return [
        (i, mine, other)
        for i, (mine, other) in enumerate(zip(there or [], wanted, strict=False))
        if mine[0] != other[0]
        or any(
            abs(a - b) > 1e-4 * max(abs(a), abs(b), 1)
            for a, b in zip(mine[1:], other[1:], strict=True)
        )
    ]
