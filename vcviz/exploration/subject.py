"""Anybody's classifier, or arrays from any framework, made to look like a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.compare.corruptions import ROWS as CORRUPTED_ROWS
from vcviz.densities import implied_prior
from vcviz.errors import InputError
from vcviz.records import LatentPrior, LatentSet, RobustnessCurve, Split, Trajectory, as_rows
from vcviz.records.blocks import row_blocks

if TYPE_CHECKING:
    from torch import nn


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

    def attack(
        self, n: int | ArrayLike = 50, *, progress: bool = True, **options: Any
    ) -> Trajectory:
        """Attack rows that were kept for it: the first `n`, or those named; see `vcviz.attack`."""
        from vcviz.attacks import attack

        model, rows, chosen = self._attacked(n)
        path = attack(model, rows, progress=progress, **{"layer": self.layer} | options)
        return replace(path, index=chosen)

    def robustness(self, n: int | ArrayLike = 50, **options: Any) -> RobustnessCurve:
        """Follow accuracy and ECE of rows against the radius; see `robustness_curve`."""
        from vcviz.attacks.curve import robustness_curve

        model, rows, _ = self._attacked(n)
        own = {"layer": self.layer, "name": self.name}
        return robustness_curve(model, rows, **own | options)

    def _attacked(self, n: int | ArrayLike) -> tuple[nn.Module, Split, NDArray[np.int64]]:
        if self._model is None or self._rows is None:
            raise InputError("there is no model to attack, or its inputs have no gradients")
        chosen = as_rows(n, len(self._rows))
        return self._model, self._rows.take(chosen), chosen

    def split(self, name: str = "test") -> Split:
        """Return the data, whatever is asked for; of a loader the first rows that it gives now."""
        if isinstance(self._data, Split):
            return self._data
        found = _first_rows(self._data, CORRUPTED_ROWS, self.class_names)
        if found is None:
            raise InputError("there are no inputs that can be corrupted")
        return found


def subject_of(
    model: Any, data: Any, layer: str | None, class_names: Any, name: str | None, n: int
) -> Subject:
    """Return what is explored of a model and its data; `n` rows of them can be attacked."""
    from vcviz.latents import extract_latents, last_linear, prior_of
    from vcviz.latents.modules import is_ours, unwrapped

    if not isinstance(data, (Split, list, tuple)) and isinstance(data, Iterator):
        raise InputError("data is an iterator, which can be read once; pass the loader or arrays")
    lat = extract_latents(model, data, layer=layer, name=name or type(model).__name__)
    if class_names is not None:
        lat = replace(lat, class_names=class_names)
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

    from vcviz.latents.modules import float_type, own_device

    x = torch.as_tensor(np.array(rows.x[:2]))
    x = x / 255 if x.dtype == torch.uint8 else x
    return x.to(own_device(model), float_type(model))


def normalised(values: NDArray[Any]) -> NDArray[Any]:
    """Return logits or log-probabilities as log-probabilities; what is neither stays as it is.

    So does what is normalised already, which may be larger than memory.
    """
    from scipy.special import logsumexp

    numbers = values.ndim == 2 and values.size > 0 and values.dtype.kind in "fiu"
    numbers = numbers and bool((values < np.inf).all())  # false for NaN too
    if not numbers or (values.min() >= 0 and np.allclose(values.sum(1), 1, atol=1e-2)):
        return values
    totals = np.empty((len(values), 1))
    for rows in row_blocks(*values.shape):
        totals[rows] = logsumexp(values[rows].astype(np.float64), axis=1, keepdims=True)
    if np.abs(totals).max() <= 1e-5:
        return values
    out = np.empty(values.shape, np.float32)
    for rows in row_blocks(*values.shape):
        out[rows] = values[rows] - totals[rows]
    return out


def usual_radius(subject: Subject) -> float:
    """Return a first radius: 0.1 of the range of images, a tenth of the spread of tables."""
    rows = subject._rows
    if rows is None or rows.kind == "image":
        return 0.1
    return float(np.round(max(0.1 * np.std(rows.x), 0.01), 2))
