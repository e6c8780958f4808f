"""ScoreboardExplorer: the numbers of all heads, task by task."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from vcviz.base.errors import InputError, expect
from vcviz.explorers.controls import Control, dropdown
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.scoreboard import scores_spec
from vcviz.figures.static import MAX_VIEWS
from vcviz.records import Scoreboard
from vcviz.records.numbers import ATTACKED, fitting

#: what is shown together -> patterns of numbers
GROUPS = {
    "accuracy and calibration": ("accuracy", "ece", "nll", "ece_scaled"),
    "classes and people": (
        "balanced_accuracy", "balanced_accuracy_shifted", "information", "human_kl",
    ),
    "shift and attacks": ("corrupted_accuracy", "corrupted_ece", ATTACKED),
    "strangers": ("near_auroc", "near_auroc_density", "far_auroc", "near_fpr95"),
    "latents": ("train_energy", "test_energy", "train_variance", "test_variance"),
}  # fmt: skip


class ScoreboardExplorer(Explorer):
    """Numbers of all heads on a task: one dot per seed, and the mean with its interval.

    Parameters
    ----------
    board : what `run_scoreboard` or `load_scoreboard` returned
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control: ``task``, and ``numbers``, what is shown together
    view, widget : the live figure; controls and figure

    Examples
    --------
    >>> values = {"digits": {"a": {"accuracy": [0.91, 0.93]}, "b": {"accuracy": [0.95, 0.94]}}}
    >>> titles = {"a": "softmax", "b": "VC"}
    >>> tasks, seeds = {"digits": "Digits"}, (0, 1)
    >>> board = vcviz.records.Scoreboard("two heads", tasks, titles, values, seeds, {}, {}, ())
    >>> explorer = vcviz.ScoreboardExplorer(board)
    >>> explorer.controls["numbers"].options
    (('accuracy and calibration', 'accuracy and calibration'),)
    """

    def __init__(self, board: Scoreboard, *, theme: style.Theme = "auto") -> None:
        expect("board", board, Scoreboard, "see vcviz.studies.load_scoreboard")
        self._board, self._theme = board, theme
        had = [number for task in board.tasks for number in board.numbers(task)]
        groups = {name: fitting(patterns, had) for name, patterns in GROUPS.items()}
        self._groups = {name: numbers for name, numbers in groups.items() if numbers}
        if not self._groups:
            raise InputError("this scoreboard has no numbers yet; run it: vcviz scoreboard")
        tasks = [(style.escape(text, 60), task) for task, text in board.tasks.items()]
        numbers = [(name, name) for name in self._groups]
        super().__init__(
            self._draw,
            [
                Control("task", dropdown("Task", tasks)),
                Control("numbers", dropdown("Numbers", numbers)),
            ],
        )

    def figure(self) -> go.Figure:
        """Return the numbers that are shown now as one static figure with a list of tasks."""
        shown = self.controls["task"].value
        tasks = [value for _, value in self.controls["task"].options]
        first = max(0, min(tasks.index(shown), len(tasks) - MAX_VIEWS))
        return self.bound.figure(menus={"task": tasks[first : first + MAX_VIEWS]})

    def _draw(self, *, task: Any, numbers: str) -> dict[str, Any]:
        return style.themed(scores_spec(self._board, task, self._groups[numbers]), self._theme)
