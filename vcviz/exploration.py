"""The three explorers for anybody's classifier, or for arrays from any framework."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.compare.corruptions import ROWS as CORRUPTED_ROWS
from vcviz.densities import implied_prior
from vcviz.errors import InputError
from vcviz.options import check_count
from vcviz.records import LatentPrior, LatentSet, RobustnessCurve, Split, Trajectory, as_array
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
    class_names : C strings; default the data's own, or numbers
    name : shown in titles
    attack_rows : rows that are attacked, of images and tables; 0 for none

    Returns
    -------
    Exploration
        Displayed as one widget with a tab for each explorer, in a headless run as their static
        figures.

    Raises
    ------
    InputError
        If neither a model with data nor arrays are given, or they do not fit together.
    """
    if (runs := _runs(model)) is not None:
        if any(given is not None for given in (data, latents, log_probs, y, weight, layer)):
            raise InputError("runs have their own data and layers; pass explore the runs alone")
        return Exploration(runs)
    if model is not None:
        if data is None or latents is not None or log_probs is not None:
            raise InputError("explore takes a model and data, or latents=, log_probs= and y=")
        subject = _of_model(model, data, layer, class_names, name, check_count(
            "attack_rows", attack_rows, minimum=0))  # fmt: skip
    elif latents is None or log_probs is None or y is None:
        raise InputError("explore takes a model and data, or latents=, log_probs= and y=")
    else:
        z, scores, labels = (
            as_array(n, v) for n, v in (("latents", latents), ("log_probs", log_probs), ("y", y))
        )
        lat = LatentSet(
            z, _normalised(scores), labels, class_names=class_names, name=name or "latents"
        )
        law = None if weight is None else implied_prior(weight, bias, lat)
        subject = Subject(lat, law, "implied" if law is not None else None)
    return Exploration(subject)


class Subject:
    """A classifier that is explored, made to look like a run that kept no epochs.

    Attributes
    ----------
    name, class_names : shown in titles and legends
    anticipates : "stated", "implied" or None, as of a `Run`
    can_attack : whether `attack` can be called
    can_corrupt : the kind of rows that `split` gives, or "" if there are none to corrupt
    layer : name of the module whose input is the latent, None for the last linear layer's
    model : called, returns the classifier; only there if there is one
    """

    def __init__(
        self,
        lat: LatentSet,
        law: LatentPrior | None,
        anticipates: str | None,
        *,
        model: nn.Module | None = None,
        rows: Split | None = None,
        data: Any = None,
        layer: str | None = None,
    ) -> None:
        self.name, self.class_names = lat.name, lat.class_names
        self.epochs: list[int] = []
        self.anticipates = anticipates
        self.can_attack = rows is not None
        self._lat, self._law = lat, law
        whole = data if isinstance(data, Split) else rows
        self.can_corrupt: str = "" if whole is None else whole.kind  # type: ignore[assignment]
        self.layer = layer
        self._model, self._rows, self._data = model, rows, data
        if model is not None:
            self.model = lambda: model

    def latents(self, split: str = "test", epoch: int | None = None) -> LatentSet:
        """Return the latents, whatever is asked for."""
        return self._lat

    def prior(self, epoch: int | None = None) -> LatentPrior | None:
        """Return the law that the classifier states or implies."""
        return self._law

    def attack(self, n: int = 50, *, progress: bool = True, **options: Any) -> Trajectory:
        """Attack the first `n` rows that were kept for it; `options` as for `vcviz.attack`."""
        from vcviz.attacks import attack

        model, rows = self._attacked(n)
        return attack(model, rows, layer=self.layer, progress=progress, **options)

    def robustness(self, n: int = 50, **options: Any) -> RobustnessCurve:
        """Follow accuracy and ECE against the radius; `options` as for `robustness_curve`."""
        from vcviz.attacks.curve import robustness_curve

        model, rows = self._attacked(n)
        return robustness_curve(model, rows, layer=self.layer, **{"name": self.name} | options)

    def _attacked(self, n: int) -> tuple[nn.Module, Split]:
        if self._model is None or self._rows is None:
            raise InputError("there is no model to attack, or its inputs have no gradients")
        return self._model, self._rows.take(np.arange(min(n, len(self._rows))))

    def split(self, name: str = "test") -> Split:
        """Return the data, whatever is asked for; of a loader the first rows that it gives now."""
        if isinstance(self._data, Split):
            return self._data
        found = _first_rows(self._data, CORRUPTED_ROWS, self.class_names)
        if found is None:
            raise InputError("there are no inputs that can be corrupted")
        return found


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
        return None if subject[0].split("test").kind == "text" else AdversarialExplorer(subject)
    if not subject.can_attack:
        return None
    rows = len(subject._rows or ())
    return AdversarialExplorer(subject, epsilon=_radius(subject), rows=rows)


def _of_model(
    model: Any, data: Any, layer: str | None, class_names: Any, name: str | None, n: int
) -> Subject:
    from vcviz.latents import extract_latents, last_linear, prior_of
    from vcviz.latents.adapter import is_ours, unwrapped

    if not isinstance(data, (Split, list, tuple)) and iter(data) is data:
        raise InputError("data is an iterator, which can be read once; pass the loader or arrays")
    lat = extract_latents(model, data, layer=layer, name=name or type(model).__name__)
    if class_names is not None:
        lat = LatentSet(lat.z, lat.log_probs, lat.y, lat.index, class_names, lat.name, lat.energy)
    law = prior_of(model)
    anticipates: str | None = "stated"
    rows = _first_rows(data, n, lat.class_names) if n else None
    if law is None:
        try:
            found = last_linear(model, None if rows is None else _tensor(rows, model), layer=layer)
            weight, bias = _arrays(found)
            if is_ours(unwrapped(model)) or _makes_scores(weight, bias, lat):
                law = implied_prior(weight, bias, lat)
        except InputError:
            pass  # no linear layer makes the scores of these latents: there is no law to draw
        anticipates = None if law is None else "implied"
    return Subject(lat, law, anticipates, model=model, rows=rows, data=data, layer=layer)


def _arrays(layer: Any) -> tuple[Any, Any]:
    found = [None if v is None else v.detach().cpu().double().numpy()
             for v in (layer.weight, layer.bias)]  # fmt: skip
    return found[0], found[1]


def _makes_scores(weight: NDArray[Any], bias: NDArray[Any] | None, lat: LatentSet) -> bool:
    """Return whether softmax(W z + b) is p(y|x), and warn if not.

    A model may go on after that layer, or take the mean of two, as a distilled DeiT does.
    """
    scores = np.asarray(lat.z, np.float64) @ weight.T + (0 if bias is None else bias)
    from scipy.special import log_softmax

    made = log_softmax(scores, axis=1)
    off = float(np.abs(made - lat.log_probs).max())
    # Half precision keeps 8 bits of a score, and scores are as large as they spread.
    if off <= 1e-3 + 0.02 * float(np.std(lat.log_probs)):
        return True
    warnings.warn(
        f"the model's probabilities are not those of its last linear layer (log p differs by up to "
        f"{off:.2g}), so no law is drawn; name the layer that makes them with layer=",
        stacklevel=4,
    )
    return False


def _first_rows(data: Any, n: int, names: tuple[str, ...]) -> Split | None:
    """Return the first rows as a split that can be attacked; None for text and other mappings."""
    from vcviz.latents.batches import batches_of

    if isinstance(data, Split):
        return None if data.kind == "text" else data.take(np.arange(min(n, len(data))))
    inputs: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    for batch, y in batches_of(data, n):
        tensor: Any = batch
        # Mappings and whole numbers other than bytes stand for words, which have no gradients.
        if not hasattr(tensor, "detach") or not (
            tensor.is_floating_point() or tensor.dtype.itemsize == 1
        ):
            return None
        inputs.append(tensor.detach().cpu().numpy())
        labels.append(np.asarray(y))
        if sum(map(len, inputs)) >= n:
            break
    x = np.concatenate(inputs)[:n]
    # Normalised images have a range of their own, which an attack would not know.
    normalised = x.ndim == 4 and x.dtype != np.uint8 and (x.min() < 0 or x.max() > 1)
    if x.ndim not in (2, 4) or normalised:
        return None
    return Split(x, np.concatenate(labels)[:n], class_names=names)


def _tensor(rows: Split, model: Any) -> Any:
    import torch

    x = torch.as_tensor(np.array(rows.x[:2]))
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(1))
    return (x / 255 if x.dtype == torch.uint8 else x).to(like.device, like.dtype)


def _normalised(values: NDArray[Any]) -> NDArray[Any]:
    """Return logits or log-probabilities as log-probabilities; what is neither stays as it is."""
    from scipy.special import log_softmax

    numbers = values.ndim == 2 and values.size > 0 and values.dtype.kind in "fiu"
    numbers = numbers and bool((values < np.inf).all())  # false for NaN too
    if not numbers or (values.min() >= 0 and np.allclose(values.sum(1), 1, atol=1e-2)):
        return values
    return log_softmax(values.astype(np.float64), axis=1)


def _radius(subject: Subject) -> float:
    """Return a first radius: 0.1 of the range of images, a tenth of the spread of tables."""
    rows = subject._rows
    if rows is None or rows.kind == "image":
        return 0.1
    return float(np.round(max(0.1 * np.std(rows.x), 0.01), 2))
