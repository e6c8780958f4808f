"""The controls of a LatentExplorer: which there are, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
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
    folded_panel,
    player,
)
from vcviz.explorers.panel_data import Axes, Source
from vcviz.metrics.ood import METHODS
from vcviz.metrics.row_values import available_values

SPLITS = ("test", "train")
#: views of a grand tour, once around
TOUR = 90
_PAIRS = 8  # axis pairs on offer
_PAGE_PX = 1200  # width of a page, until it says its own
#: rows of controls that are always in view
_FIRST = ("view", "tour", "ask")

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


@dataclass(frozen=True)
class Offer:
    """What there is to choose from: the runs, what can lie beneath their points."""

    sources: Sequence[Source]
    backdrops: Sequence[Backdrops]
    strangers: Mapping[str, Any]
    umap: bool
    split: str

    @property
    def epochs(self) -> list[int]:
        """All epochs with latents, rising."""
        return sorted(set().union(*(s.epochs for s in self.sources)))

    @property
    def latent_dim(self) -> int:
        """The fewest dimensions of the runs' latents."""
        return min(s.latent_dim for s in self.sources)

    @property
    def has_law(self) -> bool:
        """Whether a run has p(z|y)."""
        return any(getattr(s.run, "anticipates", None) for s in self.sources)

    @property
    def scores(self) -> tuple[str, ...]:
        """Out-of-distribution scores of the first run."""
        return self.backdrops[0].methods(self.split)


Make = Callable[[Offer], ipw.Widget | None]


def _control(default: Any, row: str, make: Make, *, option: bool = False) -> Any:
    """Declare a control.

    Parameters
    ----------
    default : its value where nothing is offered to choose
    row : of the controls in which it stands; those of `_FIRST` are always in view
    make : returns the widget, or None if there is nothing to choose
    option : its value is the figure's option of the same name, see `LatentOptions`
    """
    return field(default=default, metadata={"row": row, "make": make, "option": option})


# ---------------------------------------------------------- one function a control


def _runs(offer: Offer) -> ipw.Widget | None:
    titles = [(s.title, i) for i, s in enumerate(offer.sources)]
    return Choices(titles, description="Runs") if len(titles) > 1 else None


def _split(offer: Offer) -> ipw.Widget | None:
    named = [(name, name) for name in SPLITS]
    return dropdown("Split", named, value=offer.split) if offer.epochs else None


def _axes(offer: Offer) -> ipw.Widget | None:
    views = axes_of(offer.latent_dim, offer.umap)
    return dropdown("Axes", views) if len(views) > 1 else None


def _epoch(offer: Offer) -> ipw.Widget | None:
    return epoch_slider(offer.epochs) if len(offer.epochs) > 1 else None


def _all_rows(offer: Offer) -> ipw.Widget | None:
    return checkbox("all rows of the trained model", False) if len(offer.epochs) > 1 else None


def _turn(offer: Offer) -> ipw.Widget | None:
    if offer.latent_dim <= 2:
        return None
    wide = ipw.Layout(flex="1 1 auto")
    return ipw.IntSlider(0, 0, TOUR - 1, description="Tour", style=PLAIN, layout=wide)


def _of_law(label: str, value: bool, offer: Offer) -> ipw.Widget | None:
    return checkbox(label, value) if offer.has_law else None


def _backdrop(offer: Offer) -> ipw.Widget | None:
    kinds = ["none", *kinds_beneath(offer.backdrops, offer.split)]
    named = [(BACKDROPS[kind], kind) for kind in kinds]
    return dropdown("Beneath", named, px=200) if len(kinds) > 1 else None


def _strangers(offer: Offer) -> ipw.Widget | None:
    kinds = strangers_of(offer.sources[0], offer.strangers)
    if not (offer.scores and kinds):
        return None
    return dropdown("Strangers", [("none", ""), *((name, name) for name in kinds)])


def _score(offer: Offer) -> ipw.Widget | None:
    methods = offer.scores
    if not methods:
        return None
    usual = "log_marginal" if "log_marginal" in methods else methods[0]
    return dropdown("Score", [(METHODS[m], m) for m in methods], value=usual)


def _classes(offer: Offer) -> ipw.Widget:
    rules = [(found.rule, found.classes) for found in offer.sources[0].rules(offer.split)]
    return class_choice(offer.sources[0].class_names, rules)


def _color(offer: Offer) -> ipw.Widget:
    known: dict[str, str] = {}
    for source in offer.sources:  # what all of them have
        lat, prior = source.latents((offer.split, False), None)  # type: ignore[arg-type]
        train = source.latents(("train", False), None)[0] if source.epochs else None
        found = available_values(lat, prior=prior, train=train)
        known = found if source is offer.sources[0] else {k: known[k] for k in known if k in found}
    return dropdown("Colour", [("class", "class"), *((known[n], n) for n in known)], px=200)


def _choose(_offer: Offer) -> ipw.Widget:
    return dropdown("Choose", [(label, name) for name, label in CHOICES.items()], px=230)


def _combine(_offer: Offer) -> ipw.Widget:
    return dropdown("Chosen are", [(label, name) for name, label in COMBINE.items()])


def _find(_offer: Offer) -> ipw.Widget:
    return ipw.Text(
        "",
        description="Find",
        placeholder="row, class, text, or: confidence > 0.9 and not right",
        continuous_update=False,
        style=PLAIN,
        layout=ipw.Layout(flex="1 1 160px", max_width="340px"),
    )


# ---------------------------------------------------------- all of them


@dataclass(frozen=True)
class LatentValues:
    """What a LatentExplorer shows. A control is declared here, and nowhere else.

    A field of `_control` is a control of that name, where there is something to choose; the others
    are states that the page or a person's hand sets. All are hashable: figures are kept by them.
    """

    runs: tuple[int, ...] = _control((), "what", _runs)
    split: str = _control("test", "what", _split)
    axes: Axes = _control(("pair", 0, 1), "ask", _axes)  # noqa: RUF009
    epoch: int | None = _control(None, "view", _epoch)
    all_rows: bool = _control(False, "what", _all_rows)
    turn: int = _control(0, "tour", _turn)
    anticipated: bool = _control(
        False, "parts", partial(_of_law, "anticipated p(z|y), solid", True), option=True
    )
    empirical: bool = _control(
        True, "parts", lambda _: checkbox("empirical q(z|y), dashed"), option=True
    )
    boundaries: bool = _control(
        False, "parts", partial(_of_law, "decision boundaries, dotted", False)
    )
    backdrop: str = _control("none", "view", _backdrop)
    strangers: str = _control("", "what", _strangers)
    score: str = _control("", "view", _score)
    classes: tuple[int, ...] = _control((), "classes", _classes, option=True)
    color: str = _control("class", "view", _color, option=True)
    choose: str = _control("none", "ask", _choose)
    find: str = _control("", "ask", _find)
    combine: str = _control("new", "choose", _combine)
    only_chosen: bool = _control(
        False, "choose", lambda _: checkbox("these alone", False), option=True
    )
    windows: tuple[Any, ...] = ()
    chosen: bytes = b""
    pinned: int = -1
    width: int = _PAGE_PX

    @property
    def options(self) -> dict[str, Any]:
        """The figure's options that controls set as they are."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata.get("option")}


#: values that move what is in view: windows into the panels are closed
MOVING = ("axes", "turn", "split", "all_rows", "runs")
STATE = tuple(f.name for f in fields(LatentValues) if not f.metadata)


def latent_controls(offer: Offer) -> dict[str, ipw.Widget]:
    """Return name -> control, those that have something to choose."""
    made = {f.name: f.metadata["make"](offer) for f in fields(LatentValues) if f.metadata}
    return {name: control for name, control in made.items() if control is not None}


def starting_values(offer: Offer, controls: Mapping[str, ipw.Widget]) -> LatentValues:
    """Return what is shown at first, and goes on to be where there is no control for it."""
    return LatentValues(
        runs=tuple(range(len(offer.sources))),
        split=offer.split,
        all_rows="epoch" not in controls,
        classes=controls["classes"].value,
        empirical=True,
    )


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
    """Return the controls in rows, those that are used most in view."""
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
    rows: dict[str, list[ipw.Widget]] = {}
    for declared in fields(LatentValues):
        if declared.name in shown:
            rows.setdefault(declared.metadata["row"], []).append(shown[declared.name])
    first = [rows.pop(name) for name in _FIRST if name in rows]
    return folded_panel(first, rows.values(), reset)


def _only_if(shown: ipw.Widget, wanted: Callable[[], bool], *controls: ipw.Widget) -> None:
    """Show a widget only while it does something, as the controls' values say."""

    def follow(_change: Any = None) -> None:
        shown.layout.display = None if wanted() else "none"

    for control in controls:
        control.observe(follow, names="value")
    follow()
