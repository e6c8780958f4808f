"""The three explorers for anybody's classifier, or for arrays from any framework."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from vcviz.densities import implied_prior
from vcviz.errors import InputError
from vcviz.exploration.subject import Subject, normalised, subject_of, usual_radius
from vcviz.options import check_count
from vcviz.records import LatentSet, as_array
from vcviz.runs import Run
from vcviz.widgets import AdversarialExplorer, CalibrationExplorer, LatentExplorer, link
from vcviz.widgets.display import Explorer

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Exploration", "Subject", "explore"]


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
    attack_rows: int = 50,
) -> Exploration:
    """Return the explorers of a trained classifier, of its arrays, or of runs; they are linked.

    ``explore(run)`` and ``explore([run, other])`` open runs that vcviz trained.
    ``explore(model, data)`` reads latents and log-probabilities of any torch classifier, and the
    law that its softmax layer implies. ``explore(latents=z, log_probs=p, y=y)`` takes what another
    framework gave; the law is drawn too if `weight` and `bias` of the softmax layer are given.

    Parameters
    ----------
    model, data, layer : as for `vcviz.extract_latents`; the data are usually held out. Runs have
        data of their own
    latents : (N, D) inputs of the last layer
    log_probs : (N, C) natural-log p(y|x); raw logits do as well, they are normalised here
    y : (N,) labels in [0, C)
    weight, bias : (C, D) and (C,) of the softmax layer
    class_names : C strings; default the data's own, or numbers. Runs have names of their own
    name : shown in titles; default the model's type. Runs have names of their own
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
    """
    if (runs := _runs(model)) is not None:
        options = (data, latents, log_probs, y, weight, bias, class_names, layer, name)
        if any(given is not None for given in options):
            raise InputError(
                "runs have their own data, layers and names; pass explore the runs alone"
            )
        return Exploration(runs)
    if model is not None:
        if data is None or any(v is not None for v in (latents, log_probs, y, weight, bias)):
            raise InputError("explore takes a model and data, or latents=, log_probs= and y=")
        subject = subject_of(model, data, layer, class_names, name, check_count(
            "attack_rows", attack_rows, minimum=0))  # fmt: skip
    elif latents is None or log_probs is None or y is None or data is not None:
        raise InputError("explore takes a model and data, or latents=, log_probs= and y=")
    elif layer is not None or (bias is not None and weight is None):
        raise InputError("layer= is of a model, and bias= goes with weight=")
    else:
        z, scores, labels = (
            as_array(n, v) for n, v in (("latents", latents), ("log_probs", log_probs), ("y", y))
        )
        lat = LatentSet(
            z, normalised(scores), labels, class_names=class_names, name=name or "latents"
        )
        law = None if weight is None else implied_prior(weight, bias, lat)
        subject = Subject(lat, law, "implied" if law is not None else None)
    return Exploration(subject)


class Exploration:
    """The explorers of one classifier, or of several runs; rows chosen in one are shown in others.

    Attributes
    ----------
    latents : `LatentExplorer`, or None if the latents have one dimension
    calibration : `CalibrationExplorer`
    adversarial : `AdversarialExplorer`, or None without a model or gradients
    subject : what is explored: a `Subject`, or a list of runs
    """

    def __init__(self, subject: Subject | list[Run]) -> None:
        self.subject = subject
        one = subject[0] if isinstance(subject, list) else subject
        plane = one.latents().latent_dim > 1
        self.latents = LatentExplorer(subject) if plane else None
        self.calibration = CalibrationExplorer(subject)
        self.adversarial = _attacked(subject)
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

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if os.environ.get("VCVIZ_HEADLESS") == "1":
            for explorer in self.explorers.values():
                display(explorer.figure())
            return
        import ipywidgets as ipw

        shown = {title: explorer.widget for title, explorer in self.explorers.items()}
        if self.adversarial is None:
            shown["Attack"] = ipw.HTML(f"<p>{self._no_attack}</p>")
        tabs = ipw.Tab(list(shown.values()))
        tabs.titles = tuple(shown)
        display(tabs)

    @property
    def _no_attack(self) -> str:
        """Why there is no explorer of attacks."""
        if isinstance(self.subject, Subject) and self.subject._model is None:
            return "There is nothing to attack: these are arrays, without the model they are from."
        if isinstance(self.subject, list) and self.subject[0].data["kind"] != "text":
            return (
                "There is nothing to attack: an encoder or data that were passed in memory cannot "
                "be had again."
            )
        return (
            "These inputs cannot be attacked: text has no gradients, and images that were "
            "normalised a range that is not known (pass them in [0, 1], and let the model "
            "normalise)."
        )


# ---------------------------------------------------------------- parts


def _runs(found: Any) -> list[Run] | None:
    """Return runs as a list, None for anything else."""
    listed = list(found) if isinstance(found, (list, tuple)) else [found]
    return listed if listed and all(isinstance(run, Run) for run in listed) else None


def _attacked(subject: Subject | list[Run]) -> AdversarialExplorer | None:
    """Return the explorer of attacks; None for text, and where there is no model."""
    if isinstance(subject, list):
        return AdversarialExplorer(subject) if all(run.can_attack for run in subject) else None
    if not subject.can_attack:
        return None
    rows = len(subject._rows or ())
    return AdversarialExplorer(subject, epsilon=usual_radius(subject), rows=rows)
