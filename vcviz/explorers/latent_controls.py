"""The controls of a LatentExplorer: which there are, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as ipw

from vcviz.base.errors import InputError
from vcviz.explorers.backdrops import BACKDROPS, Backdrops, kinds_beneath, strangers_of
from vcviz.explorers.controls import (
    PLAIN,
    Choices,
    checkbox,
    class_choice,
    dropdown,
    epoch_slider,
    player,
    reset_button,
    row_of,
)
from vcviz.explorers.panel_data import Axes, Source
from vcviz.metrics.ood import METHODS

SPLITS = ("test", "train")
#: views of a grand tour, once around
TOUR = 90
_PAIRS = 8  # axis pairs on offer

#: value -> label of the rows that a list chooses without a mouse
CHOICES = {
    "none": "nothing",
    "wrong": "misclassified",
    "unsure": "the 20 least sure",
    "strange": "the 20 least likely under the law",
    "lasso": "what is lassoed",
}


def latent_controls(
    made: Sequence[Source],
    backdrops: Sequence[Backdrops],
    strangers: Mapping[str, Any],
    *,
    umap: bool,
    split: str,
) -> dict[str, ipw.Widget]:
    """Return name -> control, those that have something to choose."""
    controls: dict[str, ipw.Widget] = {}
    if len(made) > 1:
        controls["runs"] = Choices([(s.title, i) for i, s in enumerate(made)], description="Runs")
    epochs = sorted(set().union(*(s.epochs for s in made)))
    if epochs:
        controls["split"] = dropdown("Split", [(s, s) for s in SPLITS], value=split)
    if len(epochs) > 1:
        controls["epoch"] = epoch_slider(epochs)
        controls["all_rows"] = checkbox("all rows of the trained model", False)
    dim = min(s.latent_dim for s in made)
    axes = axes_of(dim, umap)
    if len(axes) > 1:
        controls["axes"] = dropdown("Axes", axes)
    if dim > 2:
        controls["turn"] = ipw.IntSlider(
            0, 0, TOUR - 1, description="Tour", style=PLAIN, layout=ipw.Layout(flex="1 1 auto")
        )
    rules = [(found.rule, found.classes) for found in made[0].rules(split)]
    controls["classes"] = class_choice(made[0].class_names, rules)
    if any(getattr(s.run, "anticipates", None) for s in made):
        controls["anticipated"] = checkbox("anticipated p(z|y), solid")
    controls["empirical"] = checkbox("empirical q(z|y), dashed")
    if any(getattr(s.run, "anticipates", None) for s in made):
        controls["boundaries"] = checkbox("decision boundaries, dotted", False)
    controls |= _beneath(made, backdrops, strangers, split)
    controls["choose"] = dropdown("Choose", [(label, name) for name, label in CHOICES.items()])
    return controls


def _beneath(
    made: Sequence[Source],
    backdrops: Sequence[Backdrops],
    strangers: Mapping[str, Any],
    split: str,
) -> dict[str, ipw.Widget]:
    """Return the controls of what lies beneath the points."""
    methods = backdrops[0].methods(split)
    kinds = ["none", *kinds_beneath(backdrops, split)]
    found: dict[str, ipw.Widget] = {}
    if len(kinds) > 1:
        found["backdrop"] = dropdown("Beneath", [(BACKDROPS[kind], kind) for kind in kinds])
    kinds_of_strangers = strangers_of(made[0], strangers)
    if methods and kinds_of_strangers:
        options = [("none", ""), *((name, name) for name in kinds_of_strangers)]
        found["strangers"] = dropdown("Strangers", options)
    if methods:
        usual = "log_marginal" if "log_marginal" in methods else methods[0]
        found["score"] = dropdown("Score", [(METHODS[m], m) for m in methods], value=usual)
    return found


def axes_of(latent_dim: int, umap: bool) -> list[tuple[str, Axes]]:
    """Return the views on offer; every one is a fixed map of the latents to a plane."""
    if latent_dim < 2:
        raise InputError("the explorer draws a plane: it needs latents of at least 2 dimensions")
    pairs = [
        (f"dimensions {i + 1} and {i + 2}", ("pair", i, i + 1))
        for i in range(0, min(latent_dim - 1, 2 * _PAIRS), 2)
    ]
    if latent_dim == 2 and not umap:
        return pairs
    whole = [] if latent_dim == 2 else [("PCA", ("pca",)), ("LDA", ("lda",))]
    around = [] if latent_dim == 2 else [("grand tour", ("tour",))]
    return [*whole, *pairs, *around, *([("UMAP", ("umap",))] if umap else [])]


def latent_panel(controls: Mapping[str, ipw.Widget], reset: Any) -> ipw.Widget:
    """Return the controls in rows: what is shown, when and along which axes, which parts."""
    shown = dict(controls)
    for name, interval in (("epoch", 400), ("turn", 120)):
        if name in shown:
            shown[name] = player(shown[name], interval=interval)
    if "turn" in shown:
        axes = controls["axes"]
        _only_if(shown["turn"], lambda: axes.value == ("tour",), axes)
    if "score" in shown:
        _only_if(
            shown["score"],
            lambda: (
                controls["backdrop"].value == "ood"
                or ("strangers" in controls and controls["strangers"].value != "")
            ),
            *(controls[name] for name in ("backdrop", "strangers") if name in controls),
        )
    rows = [
        ("runs", "split", "axes"),
        ("epoch", "all_rows"),
        ("turn",),
        ("anticipated", "empirical", "boundaries", "backdrop", "strangers", "score"),
        ("classes",),
        ("choose",),
    ]
    boxes = [[shown[name] for name in row if name in shown] for row in rows]
    boxes[-1].append(reset_button(reset))
    return ipw.VBox([row_of(box) for box in boxes if box])


def _only_if(shown: ipw.Widget, wanted: Callable[[], bool], *controls: ipw.Widget) -> None:
    """Show a widget only while it does something, as the controls' values say."""

    def follow(_change: Any = None) -> None:
        shown.layout.display = None if wanted() else "none"

    for control in controls:
        control.observe(follow, names="value")
    follow()
