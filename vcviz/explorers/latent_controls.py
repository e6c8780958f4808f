"""The controls of a LatentExplorer, and the values that they and a person's hand set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw

from vcviz.base.errors import InputError
from vcviz.explorers.backdrops import BACKDROPS, Backdrops, kinds_beneath, strangers_of
from vcviz.explorers.controls import (
    PLAIN,
    Choices,
    Control,
    Row,
    checkbox,
    choice,
    class_choice,
    dropdown,
    epoch_slider,
)
from vcviz.explorers.panel_data import Axes, Rows, Source
from vcviz.metrics.ood import METHODS
from vcviz.metrics.row_values import available_values

SPLITS = ("test", "train")
#: views of a grand tour, once around
TOUR = 90
_PAIRS = 8  # axis pairs on offer

#: value -> label of the rows that a list chooses without a mouse
CHOICES = {
    "none": "nothing",
    "wrong": "misclassified",
    "sure": "the 20 most surely wrong",
    "unsure": "the 20 least sure",
    "strange": "the 20 least likely under the law",
    "lasso": "what is lassoed",
    "found": "what is found",
}
#: value -> label of what rows that are chosen do to those that were
COMBINE = {"new": "in place of those before", "add": "beside those before", "remove": "no longer"}
#: values that move what is in view: windows into the panels are closed
MOVING = ("axes", "turn", "split", "all_rows", "runs")
#: values that are options of the figure as they are, see `LatentOptions`
OPTIONS = ("anticipated", "empirical", "classes", "color", "only_chosen")
#: what no control sets, at first; the width is that of a page until it says its own
STATE = {"windows": (), "chosen": b"", "pinned": -1, "width": 1200}


@dataclass(frozen=True)
class LatentValues:
    """What a LatentExplorer shows: the value of every control, and of `STATE`.

    All are hashable: figures are kept by them.
    """

    runs: tuple[int, ...]
    split: str
    axes: Axes
    epoch: int | None
    all_rows: bool
    turn: int
    anticipated: bool
    empirical: bool
    boundaries: bool
    backdrop: str
    strangers: str
    score: str
    classes: tuple[int, ...]
    color: str
    choose: str
    find: str
    combine: str
    only_chosen: bool
    windows: tuple[Any, ...]
    chosen: bytes
    pinned: int
    width: int

    @property
    def rows(self) -> Rows:
        """The rows that are shown."""
        return self.split, not self.all_rows

    @property
    def plane(self) -> Axes:
        """The axes, with the place on a tour."""
        return ("tour", self.turn, TOUR) if self.axes == ("tour",) else self.axes


def latent_controls(
    of: Sequence[Source],
    backdrops: Sequence[Backdrops],
    *,
    split: str,
    umap: bool,
    strangers: Mapping[str, Any],
) -> tuple[list[Row], list[Row]]:
    """Return the rows of controls that are in view, and those that are folded away.

    Parameters
    ----------
    of, backdrops : the runs, and what can lie beneath their points
    split, umap, strangers : as for the explorer
    """
    latent_dim = min(source.latent_dim for source in of)
    axes = axes_of(latent_dim, umap)
    several_epochs = len(epochs_of(of)) > 1
    has_law = any(source.run.anticipates for source in of)
    beneath = [(BACKDROPS[kind], kind) for kind in ("none", *kinds_beneath(backdrops, split))]
    methods = backdrops[0].methods(split)
    usual = "log_marginal" if "log_marginal" in methods else next(iter(methods), "")
    scores = dropdown("Score", [(METHODS[m], m) for m in methods], value=usual) if methods else None
    known = strangers_of(of[0], strangers) if methods else []
    wide = ipw.Layout(flex="1 1 auto")
    turn = ipw.IntSlider(0, 0, TOUR - 1, description="Tour", style=PLAIN, layout=wide)
    find = ipw.Text(
        "",
        description="Find",
        placeholder="row, class, text, or: confidence > 0.9 and not right",
        continuous_update=False,
        style=PLAIN,
        layout=ipw.Layout(flex="1 1 160px", max_width="340px"),
    )
    all_rows = checkbox("all rows of the trained model", False)

    def scored(now: Mapping[str, Any]) -> bool:
        return bool(now["backdrop"] == "ood" or now["strangers"])

    def touring(now: Mapping[str, Any]) -> bool:
        return bool(now["axes"] == ("tour",))

    in_view: list[Row] = [
        [
            epoch_control(of),
            choice("backdrop", "Beneath", beneath, px=200),
            Control("score", scores, usual, shown=scored),
            Control("color", dropdown("Colour", _colors(of, split), px=200)),
        ],
        [Control("turn", turn if latent_dim > 2 else None, 0, play=120, shown=touring)],
        [
            choice("axes", "Axes", axes),
            Control("choose", dropdown("Choose", _labelled(CHOICES), px=230)),
            Control("find", find),
        ],
    ]
    folded: list[Row] = [
        [
            runs_control(of),
            split_control(of, split),
            Control("all_rows", all_rows if several_epochs else None, not several_epochs),
            choice("strangers", "Strangers", [("none", ""), *((name, name) for name in known)]),
        ],
        [
            _of_law("anticipated", "anticipated p(z|y), solid", True, has_law),
            Control("empirical", checkbox("empirical q(z|y), dashed")),
            _of_law("boundaries", "decision boundaries, dotted", False, has_law),
        ],
        [classes_control(of, split)],
        [
            Control("combine", dropdown("Chosen are", _labelled(COMBINE))),
            Control("only_chosen", checkbox("these alone", False)),
        ],
    ]
    return in_view, folded


# ---------------------------------------------------------- controls of other explorers, too


def runs_control(of: Sequence[Source]) -> Control:
    """Return which runs are shown."""
    titles = [(source.title, i) for i, source in enumerate(of)]
    boxes = Choices(titles, description="Runs") if len(titles) > 1 else None
    return Control("runs", boxes, tuple(range(len(of))))


def split_control(of: Sequence[Source], split: str) -> Control:
    """Return the split whose rows are shown, at first `split`."""
    names = SPLITS if epochs_of(of) else (split,)
    return choice("split", "Split", [(name, name) for name in names], value=split)


def epoch_control(of: Sequence[Source]) -> Control:
    """Return the epoch that is shown."""
    epochs = epochs_of(of)
    slider = epoch_slider(epochs) if len(epochs) > 1 else None
    return Control("epoch", slider, play=400, enabled=lambda now: not now["all_rows"])


def classes_control(of: Sequence[Source], split: str) -> Control:
    """Return which classes are shown."""
    rules = [(found.rule, found.classes) for found in of[0].rules(split)]
    return Control("classes", class_choice(of[0].class_names, rules))


def epochs_of(of: Sequence[Source]) -> list[int]:
    """Return all epochs with latents, rising."""
    return sorted(set().union(*(source.epochs for source in of)))


# ---------------------------------------------------------- parts


def axes_of(latent_dim: int, umap: bool) -> list[tuple[str, Axes]]:
    """Return the views on offer; every one is a fixed map of the latents to a plane."""
    if latent_dim < 2:
        raise InputError("the explorer draws a plane: it needs latents of at least 2 dimensions")
    pairs = [
        (f"dimensions {i + 1} and {i + 2}", ("pair", i, i + 1))
        for i in range(0, min(latent_dim - 1, 2 * _PAIRS), 2)
    ]
    own = [("UMAP", ("umap",))] if umap else []
    if latent_dim == 2:
        return [*pairs, *own]
    return [("PCA", ("pca",)), ("LDA", ("lda",)), *pairs, ("grand tour", ("tour",)), *own]


def _colors(of: Sequence[Source], split: str) -> list[tuple[str, str]]:
    """Return what points can be coloured by: what all sources have."""
    each = []
    for source in of:
        lat, prior = source.trained(split)
        each.append(available_values(lat, prior=prior, train=source.train))
    shared = [name for name in each[0] if all(name in other for other in each)]
    return [("class", "class"), *((each[0][name], name) for name in shared)]


def _of_law(name: str, label: str, on: bool, has_law: bool) -> Control:
    return Control(name, checkbox(label, on) if has_law else None, False)


def _labelled(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(label, value) for value, label in labels.items()]
