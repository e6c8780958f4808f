"""Controls of an AdversarialExplorer, its busy state, and its gates as a table."""

from __future__ import annotations

import contextlib
import html
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np

from vcviz.base.errors import InputError, clip
from vcviz.explorers.controls import PLAIN, Choices, dropdown, folded_panel, player
from vcviz.figures.trajectory_paths import WHICH
from vcviz.records import Gates, Trajectory
from vcviz.records.numbers import attack_title

#: a list shows a value of None as nothing chosen
NO_TARGET = "none"
#: controls of the attack itself, which take no input while it goes on
ATTACK = ("source", "method", "loss", "norm", "epsilon", "steps", "target")
#: seconds between two messages to the page
_EVERY = 0.1


def attack_controls(
    first: Trajectory, start: dict[str, Any], titles: Sequence[str]
) -> dict[str, ipw.Widget]:
    """Return name -> control for the first attack; `start` is empty if none can be made anew."""
    controls: dict[str, ipw.Widget] = {}
    if len(titles) > 1:
        controls["source"] = dropdown("Attacked", [(t, i) for i, t in enumerate(titles)])
    if start:
        from vcviz.attacks import ATTACKS, LOSSES, NORMS  # with torch, which nothing else needs

        methods = [(attack_title(name), name) for name in ATTACKS]
        controls["method"] = dropdown("Attack", methods, value=start["method"])
        for name, known in (("loss", LOSSES), ("norm", NORMS)):
            choices = [(kind.title, key) for key, kind in known.items()]
            controls[name] = dropdown(name.capitalize(), choices, value=start[name])
        late: dict[str, Any] = {
            "continuous_update": False, "style": PLAIN, "layout": ipw.Layout(width="260px"),
        }  # fmt: skip
        epsilon, steps = start["epsilon"], start["steps"]
        controls["epsilon"] = ipw.FloatSlider(
            epsilon,
            min=0,
            max=max(0.5, 2 * epsilon),
            step=0.005,
            description="Radius ε",
            readout_format=".3g",
            **late,
        )
        controls["steps"] = ipw.IntSlider(
            steps, 1, max(60, steps), description="Attack steps", **late
        )
        targets: list[tuple[str, Any]] = [
            ("none", NO_TARGET),
            ("least likely class", "least_likely"),
        ]
        targets += [(name, k) for k, name in enumerate(first.class_names)]
        controls["target"] = dropdown(
            "Target", targets, value=NO_TARGET if start["targeted"] is None else start["targeted"]
        )
    controls["step"] = ipw.IntSlider(
        first.steps,
        0,
        first.steps,
        description="Step shown",
        style=PLAIN,
        layout=ipw.Layout(flex="1 1 auto"),
    )
    if first.z.shape[2] > 2:
        views = [("PCA of all steps", ("pca",)), ("LDA", ("lda",))]
        pairs = [(f"dimensions {i + 1} and {i + 2}", ("pair", i, i + 1)) for i in (0, 2)]
        controls["axes"] = dropdown("Axes", views + pairs[: first.z.shape[2] // 2])
    controls["which"] = dropdown("Inputs drawn", [(title, name) for name, title in WHICH.items()])
    controls["numbers"] = ipw.Text(
        "",
        description="Rows",
        placeholder="3, 17, 40-45",
        continuous_update=False,
        style=PLAIN,
        layout=ipw.Layout(width="220px", display="none"),
    )
    present = [int(k) for k in np.unique(first.y)]
    options = [(first.class_names[k], k) for k in present]
    controls["classes"] = Choices(options, description="Classes")
    return controls


def attack_panel(
    controls: dict[str, ipw.Widget],
    follow: ipw.Widget,
    busy: ipw.Widget,
    reset: Callable[[], None],
) -> ipw.Widget:
    """Return the controls in rows: the step, the attack; on demand, more of it, what is drawn."""
    shown = controls | {"step": player(controls["step"], interval=300), "follow": follow}
    rows = [
        ("step", "follow", "source"), ("method", "norm", "epsilon"),
        ("steps", "loss", "target", "axes"), ("which", "numbers", "classes"),
    ]  # fmt: skip
    boxes = [[shown[name] for name in row if name in shown] for row in rows]
    return ipw.VBox([folded_panel(boxes[:2], boxes[2:], reset), busy])


def numbers_of(text: str) -> tuple[int, ...]:
    """Return the row numbers in a text such as ``3, 17, 40-45``.

    Raises
    ------
    InputError
        If it holds anything else.
    """
    found: list[int] = []
    for part in re.split(r"[\s,;]+", text.strip()):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if match is None:
            if part:
                raise InputError(f"row numbers look like 3, 17, 40-45; got {clip(text)}")
            continue
        low, high = int(match[1]), int(match[2] or match[1])
        if high - low > 1000:
            raise InputError(f"{part} names more than a thousand rows; name fewer")
        found += range(low, high + 1)
    return tuple(found)


class Busy:
    """A bar that says what is going on and how far it is; controls rest meanwhile.

    Attributes
    ----------
    widget : the bar, hidden while there is nothing to do
    """

    def __init__(self, controls: Sequence[ipw.Widget]) -> None:
        self._controls = list(controls)
        self._bar = ipw.IntProgress(0, 0, 1, layout=ipw.Layout(width="240px"))
        self._label = ipw.Label()
        self.widget = ipw.HBox([self._bar, self._label], layout=ipw.Layout(display="none"))

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Give a function to report steps to; the bar is gone at the end, whatever happens."""
        last = 0.0
        resting: list[Any] = []

        def report(done: int, total: int) -> None:
            nonlocal last, resting
            if not resting and self.widget.layout.display is not None:
                resting = [c for c in self._controls if not c.disabled]
                for control in resting:
                    control.disabled = True
                self.widget.layout.display = None
            now = time.monotonic()
            if now - last > _EVERY or done == total:
                last = now
                self._bar.max, self._bar.value = total, done
                self._label.value = f"{what}: {done:,} of {total:,} steps"

        try:
            yield report
        finally:
            for control in resting:
                control.disabled = False
            self.widget.layout.display = "none"


def gates_table(gates: Gates, title: str, *, folded: bool = False) -> str:
    """Return gates as an HTML table: whether each holds, its number, what it says.

    With `folded` it is opened by a click, unless a gate failed.
    """
    words = {True: "✓ holds", False: "✗ fails", None: "– not tried"}
    rows = "".join(
        f"<tr style='vertical-align:top'><td style='white-space:nowrap'>{words[gate.passed]}</td>"
        f"<td style='text-align:right;white-space:nowrap'>{_number(gate.value)}</td>"
        f"<td style='text-align:left;padding-left:12px'><b>{html.escape(gate.name)}</b>: "
        f"{html.escape(gate.text)}</td></tr>"
        for gate in gates
    )
    head = (
        "<tr><th scope='col'>result</th><th scope='col'>number</th>"
        "<th scope='col' style='text-align:left;padding-left:12px'>gate, and what the number is"
        "</th></tr>"
    )
    return (
        f"<details{' open' if gates.failed or not folded else ''}>"
        f"<summary><b>{html.escape(title)}</b>: {html.escape(gates.summary)}</summary>"
        f"<table style='font-size:12px;line-height:1.4'>{head}{rows}</table></details>"
    )


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3g}"
