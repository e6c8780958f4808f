"""Anybody's classifier, or arrays from any framework, made to look like a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.geometry import implied_prior
from vcviz.geometry.priors import makes_scores
from vcviz.records import LatentPrior, LatentSet, RobustnessCurve, Split, Trajectory, as_rows
from vcviz.records.blocks import row_blocks
from vcviz.studies.compare.corruptions import ROWS as CORRUPTED_ROWS

if TYPE_CHECKING:
    from torch import nn

_NO_MODEL = "There is nothing to attack: these are arrays, without the model they are from."
_NO_INPUTS = (
    "These inputs cannot be attacked: text has no gradients, and images that were normalised a "
    "range that is not known (pass them in [0, 1], and let the model normalise)."
)


@dataclass(frozen=True)
class Own:
    """What a user says of a model in place of what is found in it.

    Attributes
    ----------
    layer : name of the module whose input is the latent
    weight, bias : of the affine map that makes the scores
    class_names, name : shown in legends and titles
    ids, table : of the rows, in the order of the data
    """

    layer: str | None = None
    weight: Any = None
    bias: Any = None
    class_names: Any = None
    name: str | None = None
    ids: Any = None
    table: Any = None


class Subject:
    """A classifier that is explored, made to look like a run that kept no epochs.

    Attributes
    ----------
    name, class_names : shown in titles and legends
    anticipates : "stated", "implied" or None, as of a `Run`
    can_attack : whether `attack` can be called
    why_not : why not, a sentence; "" if it can
    can_corrupt : the kind of rows that `split` gives, or "" if there are none to corrupt
    has_latents : whether there are latents to draw; else those of `latents` are log-probabilities
    told : what the scores are, if no affine map of the latents makes them; else ""
    layer : name of the module whose input is the latent, None for what is found
    head : the affine map that makes the scores as a module; None if it is the model's own head,
        or there is none
    model : called, returns the classifier; only there if there is one
    """

    def __init__(
        self,
        lat: LatentSet,
        prior: LatentPrior | None,
        anticipates: str | None,
        *,
        model: nn.Module | None = None,
        rows: Split | None = None,
        data: Split | None = None,
        layer: str | None = None,
        head: nn.Module | None = None,
        why_not: str = "",
        told: str = "",
        has_latents: bool = True,
    ) -> None:
        self.name, self.class_names = lat.name, lat.class_names
        self.epochs: list[int] = []
        self.anticipates = anticipates
        self.can_attack = rows is not None and not why_not
        self.why_not = why_not or ("" if rows is not None else _NO_INPUTS)
        self.has_latents, self.told = has_latents, told
        self._lat, self._law = lat, prior
        self.can_corrupt: str = "" if data is None else data.kind
        self.layer, self.head = layer, head
        self._model, self._rows, self._data = model, rows, data
        if model is not None:
            self.model = lambda: model
        elif not why_not:
            self.why_not = _NO_MODEL

    def latents(self, split: str = "test", epoch: int | None = None) -> LatentSet:
        """Return the latents, whatever is asked for."""
        return self._lat

    def prior(self, epoch: int | None = None) -> LatentPrior | None:
        """Return the law that the classifier states or implies."""
        return self._law

    def attack(
        self, rows: int | ArrayLike = 50, *, progress: bool = True, **options: Any
    ) -> Trajectory:
        """Attack rows that were kept for it: so many, or those named; see `vcviz.attack`."""
        from vcviz.attacks import attack

        model, split, chosen = self._attacked(rows)
        path = attack(model, split, progress=progress, **{"layer": self.layer} | options)
        return replace(path, index=chosen)

    def robustness(self, rows: int | ArrayLike = 50, **options: Any) -> RobustnessCurve:
        """Follow accuracy and ECE of rows against the radius; see `robustness_curve`."""
        from vcviz.attacks.curve import robustness_curve

        model, split, _ = self._attacked(rows)
        own = {"layer": self.layer, "name": self.name}
        return robustness_curve(model, split, **own | options)

    def _attacked(self, rows: int | ArrayLike) -> tuple[nn.Module, Split, NDArray[np.int64]]:
        if self._model is None or self._rows is None:
            raise InputError("there is no model to attack, or its inputs have no gradients")
        chosen = as_rows(rows, len(self._rows))
        return self._model, self._rows.take(chosen), chosen

    def split(self, name: str = "test") -> Split:
        """Return the inputs that the latents are of, whatever is asked for; of a loader the first.

        They are those of the one pass that was made: a loader that shuffles would give others now.
        """
        if self._data is None:
            raise InputError("there are no inputs that can be corrupted")
        return self._data


def subject_of(model: Any, data: Any, own: Own, n: int) -> Subject:
    """Return what is explored of a model and its data; `n` rows of them can be attacked."""
    from vcviz.latents import prior_of
    from vcviz.latents.extraction import read_pass
    from vcviz.latents.modules import as_module

    if not isinstance(data, (Split, list, tuple)) and isinstance(data, Iterator):
        raise InputError("data is an iterator, which can be read once; pass the loader or arrays")
    name = own.name or type(model).__name__
    model = as_module(model)
    found = read_pass(
        model, data, layer=own.layer, name=name, ids=own.ids, table=own.table, strict=False,
        keep=max(n, CORRUPTED_ROWS),
    )  # fmt: skip
    lat = found.latents
    if own.class_names is not None:
        lat = replace(lat, class_names=own.class_names)
    law, told, head = prior_of(model), found.told, found.layer
    anticipates: str | None = "stated"
    if law is None or own.weight is not None:
        law, told, head = _implied(model, lat, found, own)
        anticipates = None if law is None else "implied"
    if told:
        warnings.warn(
            f"{told}; no law is drawn: where the weights are known pass explore weight= and bias=, "
            "and the module whose input is the latent as layer=",
            stacklevel=3,
        )
    whole = _inputs(data, lat, found.inputs)
    rows = None if whole is None or not n else whole.take(np.arange(min(n, len(whole))))
    return Subject(
        lat,
        law,
        anticipates,
        model=model,
        rows=rows,
        data=whole,
        layer=own.layer,
        head=head,
        why_not=_no_gradient(model, rows, own.layer) if rows is not None else "",
        told=told,
        has_latents=found.has_latents,
    )


def _implied(
    model: Any, lat: LatentSet, found: Any, own: Own
) -> tuple[LatentPrior | None, str, Any]:
    """Return the law that the affine map to the scores implies, why there is none, and the map."""
    from vcviz.latents.modules import is_ours, unwrapped

    inner: Any = unwrapped(model)
    if own.weight is not None:
        if found.has_latents and not (told := makes_scores(own.weight, own.bias, lat)):
            return implied_prior(own.weight, own.bias, lat, verify=False), "", _layer(own)
        return None, told if found.has_latents else found.told, None
    if is_ours(inner):
        layer = inner.head.linear_layer() if own.layer is None else None
    else:
        layer = found.layer
    if layer is None:
        return None, found.told, None
    weight, bias = (
        None if v is None else v.detach().cpu().double().numpy() for v in (layer.weight, layer.bias)
    )
    return implied_prior(weight, bias, lat, verify=False), "", layer  # type: ignore[arg-type]


def _layer(own: Own) -> Any:
    import torch

    from vcviz.records import as_float

    weight = torch.from_numpy(as_float("weight", own.weight, 2).copy())
    n_classes, dim = weight.shape
    layer = torch.nn.Linear(dim, n_classes, device="meta").to_empty(device="cpu").float()
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(
            torch.zeros(len(weight), device="cpu")
            if own.bias is None
            else torch.from_numpy(as_float("bias", own.bias, 1).copy())
        )
    return layer


def _inputs(data: Any, lat: LatentSet, inputs: NDArray[Any] | None) -> Split | None:
    """Return the inputs of the latents, or the first of them; None for what is no picture or table.

    Text of a `Split` is its own; images that were normalised have a range of their own, which
    neither an attack nor a corruption would know.
    """
    if isinstance(data, Split):
        return data
    if inputs is None or inputs.ndim not in (2, 4):
        return None
    if inputs.ndim == 4 and inputs.dtype != np.uint8 and (inputs.min() < 0 or inputs.max() > 1):
        return None
    return Split(inputs, lat.y[: len(inputs)], class_names=lat.class_names)


def _no_gradient(model: Any, rows: Split, layer: str | None) -> str:
    """Return why a model cannot be attacked, by attacking a row; "" if it can."""
    from vcviz.attacks import attack

    if rows.kind == "text":
        return _NO_INPUTS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of operations without a derivative
            attack(model, rows.take([0]), epsilon=1e-3, steps=1, layer=layer, progress=False)
    except (InputError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        return f"This model cannot be attacked: {reason}."
    return ""


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
