"""The three explorers for anybody's classifier, or for arrays from any framework."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.explorers.adversarial_explorer import AdversarialExplorer
from vcviz.explorers.calibration_explorer import CalibrationExplorer
from vcviz.explorers.display import Explorer, link
from vcviz.explorers.latent_explorer import LatentExplorer
from vcviz.explorers.subject import Subject, normalised, subject_of
from vcviz.geometry import implied_prior
from vcviz.geometry.priors import makes_scores
from vcviz.records import LatentSet, as_array, columns_of
from vcviz.runs import Run

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Exploration", "Subject", "explore"]

Made = TypeVar("Made", bound=Explorer)


def explore(
    model: nn.Module | Run | Sequence[Run] | None = None,
    data: Any = None,
    *,
    latents: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    y: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    class_names: Any = None,
    layer: str | None = None,
    name: str | None = None,
    ids: ArrayLike | None = None,
    table: Any = None,
    attack_rows: int = 50,
) -> Exploration:
    """Return the explorers of a trained classifier, of its arrays, or of runs; they are linked.

    ``explore(run)`` and ``explore([run, other])`` open runs that vcviz trained.
    ``explore(model, data)`` reads latents and log-probabilities of any torch classifier in one pass
    over the data, and the law that the affine map to its scores implies. The map is found by
    watching a forward pass and held against the scores (see `vcviz.extract_latents`): where none
    makes them no law is drawn, and a warning says what was found.
    ``explore(latents=z, log_probs=p, y=y)`` takes what another
    framework gave; the law is drawn too if `weight` and `bias` of the softmax layer are given.

    Parameters
    ----------
    model, data, layer : as for `vcviz.extract_latents`; the data are usually held out. Runs have
        data of their own
    latents : (N, D) inputs of the last layer
    log_probs : (N, C) natural-log p(y|x); raw logits do as well, they are normalised here
    y : (N,) labels in [0, C)
    weight, bias : (C, D) and (C,) of the softmax layer; of a model whose own are not found. They
        are held against the scores too
    class_names : C strings; default the data's own, or numbers. Runs have names of their own
    name : shown in titles; default the model's type. Runs have names of their own
    ids, table : (N,) names or numbers of the user's own, and a DataFrame or columns by name, one
        value for each row of the data: they go with the rows into hovers, selections and exports.
        A loader that shuffles is refused with them; columns of its batches go along by themselves
    attack_rows : of a model, rows that are attacked, of images and tables; 0 for none

    Returns
    -------
    Exploration
        Displayed as one widget with a tab for each explorer, in a headless run as their static
        figures.

    Raises
    ------
    InputError
        If neither a model with data nor arrays are given, they do not fit together, or an option
        is of the other kind.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 3, 200)
    >>> z = 3 * np.eye(3)[y] + rng.normal(size=(200, 3))
    >>> found = vcviz.explore(latents=z, log_probs=2 * z, y=y, weight=2 * np.eye(3))
    >>> list(found.explorers)
    ['Latents', 'Calibration']
    """
    if (runs := _runs(model)) is not None:
        options = (data, latents, log_probs, y, weight, bias, class_names, layer, name, ids, table)
        if any(given is not None for given in options):
            raise InputError(
                "runs have their own data, layers and names; pass explore the runs alone"
            )
        return Exploration(runs)
    arrays = (latents, log_probs, y)
    if bias is not None and weight is None:
        raise InputError("bias= goes with weight=")
    if model is not None:
        if data is None or any(v is not None for v in arrays):
            raise InputError("explore takes a model and data, or latents=, log_probs= and y=")
        check_count("attack_rows", attack_rows, minimum=0)
        found = subject_of(
            model, data, layer=layer, weight=weight, bias=bias, class_names=class_names, name=name,
            ids=ids, table=table, n=attack_rows,
        )  # fmt: skip
        return Exploration(found)
    if any(v is None for v in arrays) or data is not None:
        raise InputError("explore takes a model and data, or latents=, log_probs= and y=")
    if layer is not None:
        raise InputError("layer= is of a model; these are arrays")
    columns = ({} if ids is None else {"id": ids}) | ({} if table is None else columns_of(table))
    lat = LatentSet(
        as_array("latents", latents),  # type: ignore[arg-type]
        normalised(as_array("log_probs", log_probs)),  # type: ignore[arg-type]
        as_array("y", y),  # type: ignore[arg-type]
        class_names=class_names,
        name=name or "latents",
        table=columns,
    )
    law = None
    if weight is not None:
        if reason := makes_scores(weight, bias, lat):
            warnings.warn(f"{reason}; no law is drawn", stacklevel=2)
            return Exploration(Subject(lat, None, None, no_law=reason))
        law = implied_prior(weight, bias, lat, verify=False)
    return Exploration(Subject(lat, law, "implied" if law is not None else None))


class Exploration:
    """The explorers of one classifier, or of several runs; rows chosen in one are shown in others.

    What cannot be had does not take the rest with it: its tab says why.

    Attributes
    ----------
    latents : `LatentExplorer`, or None if there are no latents, or of one dimension
    calibration : `CalibrationExplorer`
    adversarial : `AdversarialExplorer`, or None without a model or gradients
    missing : title -> why there is no such explorer
    subject : what is explored: a `Subject`, or a list of runs

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> found = vcviz.explore(run)
    >>> list(found.explorers), found.missing
    (['Latents', 'Calibration', 'Attack'], {})
    """

    def __init__(self, subject: Subject | list[Run]) -> None:
        self.subject = subject
        self.missing: dict[str, str] = {}
        self.latents = self._made("Latents", self._no_latents, lambda: LatentExplorer(subject))
        self.calibration = CalibrationExplorer(subject)
        self.adversarial = self._made("Attack", self._no_attack, lambda: _attacked(subject))
        selecting = (self.latents, self.calibration, self.adversarial)
        if self.latents is not None:
            link(*(explorer for explorer in selecting if explorer is not None))

    @property
    def explorers(self) -> dict[str, Explorer]:
        """Title -> explorer, those that there are."""
        found = {
            "Latents": self.latents,
            "Calibration": self.calibration,
            "Attack": self.adversarial,
        }
        return {title: explorer for title, explorer in found.items() if explorer is not None}

    def _made(self, title: str, missing: str, make: Callable[[], Made]) -> Made | None:
        """Return an explorer, or None if there is a reason against it or it cannot be made."""
        if not missing:
            try:
                return make()
            except InputError as error:
                missing = f"This cannot be shown: {error}."
        self.missing[title] = missing
        return None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if os.environ.get("VCVIZ_HEADLESS") == "1":
            for explorer in self.explorers.values():
                explorer.show_static()
            return
        import ipywidgets as ipw

        shown = {title: explorer.widget for title, explorer in self.explorers.items()}
        shown |= {title: ipw.HTML(f"<p>{escape(why)}</p>") for title, why in self.missing.items()}
        if isinstance(self.subject, Subject) and self.subject.no_law and self.latents is not None:
            note = ipw.HTML(f"<p>{escape(self.subject.no_law)}; no law is drawn.</p>")
            shown["Latents"] = ipw.VBox([note, shown["Latents"]])
        titles = ("Latents", "Calibration", "Attack")
        display(ipw.Tab([shown[title] for title in titles], titles=titles))

    @property
    def _no_latents(self) -> str:
        """Why there is no explorer of latents; "" if there can be one."""
        one = self.subject[0] if isinstance(self.subject, list) else self.subject
        if isinstance(one, Subject) and not one.has_latents:
            return f"There are no latents to draw: {one.no_law}."
        if one.latents().latent_dim < 2:
            return "There is nothing to draw: these latents have one dimension."
        return ""

    @property
    def _no_attack(self) -> str:
        """Why there is no explorer of attacks; "" if there can be one."""
        if isinstance(self.subject, Subject):
            return self.subject.rows if isinstance(self.subject.rows, str) else ""
        if all(run.can_attack for run in self.subject):
            return ""
        if self.subject[0].data["kind"] == "text":
            return "These inputs cannot be attacked: text has no gradients."
        return (
            "There is nothing to attack: an encoder or data that were passed in memory cannot be "
            "had again."
        )


# ---------------------------------------------------------------- parts


def _runs(found: Any) -> list[Run] | None:
    """Return runs as a list, None for anything else."""
    listed = list(found) if isinstance(found, (list, tuple)) else [found]
    return listed if listed and all(isinstance(run, Run) for run in listed) else None


def _attacked(subject: Subject | list[Run]) -> AdversarialExplorer:
    if isinstance(subject, list):
        return AdversarialExplorer(subject)
    rows: Any = subject.rows
    # A tenth of the range of images, of the spread of a table.
    radius = 0.1 if rows.kind == "image" else round(max(0.1 * float(np.std(rows.x)), 0.01), 2)
    return AdversarialExplorer(subject, epsilon=radius, rows=len(rows))
