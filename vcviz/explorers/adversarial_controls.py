"""Controls of an AdversarialExplorer, its busy state, and its gates as a table."""

from __future__ import annotations

import contextlib
import html
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import ipywidgets as ipw
import numpy as np

from vcviz.base.errors import InputError, clip
from vcviz.explorers.controls import PLAIN, Choices, Control, Row, choice, dropdown
from vcviz.figures.trajectory_paths import COLORS, WHICH
from vcviz.records import Gates, Trajectory
from vcviz.records.numbers import attack_title

#: a list shows a value of None as nothing chosen
NO_TARGET = "none"
#: seconds between two messages to the page
_EVERY = 0.1


class AttackValues(NamedTuple):
    """What is asked of an attack: the values of the controls of these names."""

    method: str = "pgd"
    norm: str = "linf"
    loss: str = "ce"
    epsilon: float = 0.1
    steps: int = 20
    target: int | str = NO_TARGET

    @classmethod
    def of(cls, path: Trajectory) -> AttackValues:
        """Return those of an attack that has been made."""
        target: int | str = NO_TARGET
        if path.target is not None:
            one = (path.target == path.target[0]).all()
            target = int(path.target[0]) if one else "least_likely"
        method = path.method.removeprefix("targeted ")
        return cls(method, path.norm, path.loss, float(path.epsilon), path.steps, target)

    def arguments(self) -> dict[str, Any]:
        """Return them as `vcviz.attack` takes them; a method of one step has no other number."""
        found = self._asdict()
        target = found.pop("target")
        found["targeted"] = None if target == NO_TARGET else target
        return found | ({"steps": 1} if _one_step(self.method) else {})


def attack_controls(
    first: Trajectory,
    start: AttackValues,
    titles: Sequence[str],
    follow: ipw.Widget,
    *,
    anew: bool,
) -> tuple[list[Row], list[Row]]:
    """Return the rows of controls that are in view, and those that are folded away.

    Parameters
    ----------
    first, start : the first attack, and what was asked of it
    titles : of what can be attacked
    follow : the list of inputs to follow, which stands among the controls
    anew : whether anything can be attacked anew
    """
    step = ipw.IntSlider(
        first.steps, 0, first.steps, description="Step shown", style=PLAIN,
        layout=ipw.Layout(flex="1 1 auto"),
    )  # fmt: skip
    numbers = ipw.Text(
        "", description="Rows", placeholder="3, 17, 40-45", continuous_update=False, style=PLAIN,
        layout=ipw.Layout(width="220px"),
    )  # fmt: skip
    latent_dim = first.z.shape[2]
    pairs = [(f"dimensions {i + 1} and {i + 2}", ("pair", i, i + 1)) for i in (0, 2)]
    views = [("PCA of all steps", ("pca",)), ("LDA", ("lda",)), *pairs[: latent_dim // 2]]
    present = [(first.class_names[k], int(k)) for k in np.unique(first.y)]
    which = [(title, name) for name, title in WHICH.items()]
    attack = _attack_widgets(start, first.class_names) if anew else {}
    of_attack = {
        name: Control(name, attack.get(name), value) for name, value in start._asdict().items()
    }
    of_attack["steps"] = replace(
        of_attack["steps"], enabled=lambda now: not _one_step(now["method"])
    )
    in_view: list[Row] = [
        [
            Control("step", step, play=300),
            follow,
            choice("source", "Attacked", [(title, i) for i, title in enumerate(titles)]),
        ],
        [of_attack[name] for name in ("method", "norm", "epsilon")],
    ]
    folded: list[Row] = [
        [
            *(of_attack[name] for name in ("steps", "loss", "target")),
            Control("axes", dropdown("Axes", views) if latent_dim > 2 else None),
            choice("color", "Colour", [(title, name) for name, title in COLORS.items()]),
        ],
        [
            Control("which", dropdown("Inputs drawn", which)),
            Control("numbers", numbers, shown=lambda now: now["which"] == "rows"),
            Control("classes", Choices(present, description="Classes")),
        ],
    ]
    return in_view, folded


def _attack_widgets(start: AttackValues, class_names: Sequence[str]) -> dict[str, ipw.Widget]:
    """Return what sets each of the options."""
    from vcviz.attacks import ATTACKS, LOSSES, NORMS  # with torch, which nothing else needs

    methods = [(attack_title(name), name) for name in ATTACKS]
    norms, losses = ([(kind.title, k) for k, kind in known.items()] for known in (NORMS, LOSSES))
    targets: list[tuple[str, Any]] = [("none", NO_TARGET), ("least likely class", "least_likely")]
    targets += [(name, k) for k, name in enumerate(class_names)]
    late: dict[str, Any] = {
        "continuous_update": False, "style": PLAIN, "layout": ipw.Layout(width="260px"),
    }  # fmt: skip
    return {
        "method": dropdown("Attack", methods, value=start.method),
        "norm": dropdown("Norm", norms, value=start.norm),
        "loss": dropdown("Loss", losses, value=start.loss),
        "epsilon": ipw.FloatSlider(
            start.epsilon,
            min=0,
            max=max(0.5, 2 * start.epsilon),
            step=0.005,
            description="Radius ε",
            readout_format=".3g",
            **late,
        ),
        "steps": ipw.IntSlider(
            start.steps, 1, max(60, start.steps), description="Attack steps", **late
        ),
        "target": dropdown("Target", targets, value=start.target),
    }


def _one_step(method: str) -> bool:
    from vcviz.attacks import ATTACKS

    return ATTACKS[method].one_step


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
