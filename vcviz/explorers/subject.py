"""Anybody's classifier, or arrays from any framework, made to look like a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.geometry import implied_prior
from vcviz.geometry.priors import makes_scores
from vcviz.records import (
    LatentPrior,
    LatentSet,
    RobustnessCurve,
    Split,
    Trained,
    Trajectory,
    as_rows,
)
from vcviz.records.blocks import row_blocks
from vcviz.studies.compare.corruptions import ROWS as CORRUPTED_ROWS

if TYPE_CHECKING:
    from torch import nn

_NO_MODEL = "There is nothing to attack: these are arrays, without their model."
_NO_INPUTS = (
    "These inputs cannot be attacked: text has no gradients, and images that were normalised a "
    "range that is not known (pass them in [0, 1], and let the model normalise)."
)


class Subject(Trained):
    """A classifier that is explored, made to look like a run that kept no epochs.

    Attributes
    ----------
    name, class_names : shown in titles and legends
    anticipates : "stated", "implied" or None, as of a `Run`
    can_attack : whether `attack` can be called
    has_latents : whether there are latents to draw; else those of `latents` are log-probabilities
    no_law : what the scores are, if no affine map of the latents makes them; else ""
    rows : what `attack` attacks, or why it cannot
    layer : name of the module whose input is the latent, None for what is found
    head : the affine map that makes the scores as a module; None if it is the model's own head,
        or there is none
    """

    def __init__(
        self,
        lat: LatentSet,
        prior: LatentPrior | None,
        anticipates: Literal["stated", "implied"] | None,
        *,
        model: nn.Module | None = None,
        rows: Split | str = _NO_MODEL,
        data: Split | None = None,
        layer: str | None = None,
        head: nn.Module | None = None,
        no_law: str = "",
        has_latents: bool = True,
    ) -> None:
        self.name, self.class_names = lat.name, lat.class_names
        self.config, self.history = None, ()
        self.epochs: list[int] = []
        self.anticipates = anticipates
        self.can_attack = isinstance(rows, Split)
        self.has_latents, self.no_law = has_latents, no_law
        self._lat, self._law = lat, prior
        self.layer, self.head = layer, head
        self.rows = rows
        self._model, self._data = model, data

    @property
    def title(self) -> str:
        """Its name."""
        return self.name

    @property
    def can_corrupt(self) -> str:
        """The kind of its rows, "" of latents alone."""
        return "" if self._data is None else self._data.kind

    @property
    def has_model(self) -> bool:
        """Whether there is a model; not of arrays."""
        return self._model is not None

    def model(self, device: str = "cpu") -> nn.Module:
        """Return the classifier, where it is."""
        if self._model is None:
            raise InputError(f"{self.name!r} was built from arrays and has no model")
        return self._model

    def latents(self, split: str = "test", epoch: int | None = None) -> LatentSet:
        """Return the latents, whatever is asked for."""
        return self._lat

    def prior(self, epoch: int | None = None) -> LatentPrior | None:
        """Return the law that the classifier states or implies."""
        return self._law

    def attack(
        self, rows: int | ArrayLike = 50, *, progress: bool = True, **options: Any
    ) -> Trajectory:
        """Attack the first `rows` that were kept for it, or those; see `vcviz.attack`."""
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
        if isinstance(self.rows, str):
            raise InputError(self.rows)
        chosen = as_rows(rows, len(self.rows))
        return self.model(), self.rows.take(chosen), chosen

    def split(self, name: str = "test") -> Split:
        """Return the inputs that the latents are of, whatever is asked for; of a loader the first.

        They are those of the one pass that was made: a loader that shuffles would give others now.
        """
        if self._data is None:
            raise InputError("there are no inputs that can be corrupted")
        return self._data


def subject_of(
    model: Any,
    data: Any,
    *,
    layer: str | None,
    weight: Any,
    bias: Any,
    class_names: Any,
    name: str | None,
    ids: Any,
    table: Any,
    n: int,
) -> Subject:
    """Return what is explored of a model and its data; `n` rows of them can be attacked.

    The other parameters are what a user says in place of what is found, as in `vcviz.explore`.
    """
    from vcviz.latents import prior_of
    from vcviz.latents.extraction import read_pass
    from vcviz.latents.modules import as_module

    if not isinstance(data, (Split, list, tuple)) and isinstance(data, Iterator):
        raise InputError("data is an iterator, which can be read once; pass the loader or arrays")
    name = name or type(model).__name__
    model = as_module(model)
    found = read_pass(
        model, data, layer=layer, name=name, ids=ids, table=table, strict=False,
        keep=max(n, CORRUPTED_ROWS),
    )  # fmt: skip
    lat = found.latents
    if class_names is not None:
        lat = replace(lat, class_names=class_names)
    law, reason, head = prior_of(model), found.no_law, found.layer
    anticipates: Literal["stated", "implied"] | None = "stated"
    if weight is not None:
        law, reason, head = _of_weights(lat, found, weight, bias)
        anticipates = None if law is None else "implied"
    elif law is None:
        law, reason, head = _of_layer(model, lat, found, layer)
        anticipates = None if law is None else "implied"
    if reason:
        warnings.warn(
            f"{reason}; no law is drawn: where the weights are known pass explore weight= and "
            "bias=, and the module whose input is the latent as layer=",
            stacklevel=3,
        )
    whole = _inputs(data, lat, found.inputs)
    rows: Split | str = _NO_INPUTS
    if whole is not None and n:
        some = whole.take(np.arange(min(n, len(whole))))
        rows = _no_gradient(model, some, layer) or some
    return Subject(
        lat,
        law,
        anticipates,
        model=model,
        rows=rows,
        data=whole,
        layer=layer,
        head=head,
        no_law=reason,
        has_latents=found.has_latents,
    )


#: a law, else why there is none, and the affine map that implies it as a module
Implied = tuple[LatentPrior | None, str, Any]


def _of_weights(lat: LatentSet, found: Any, weight: Any, bias: Any) -> Implied:
    """Return the law that the user's own weights imply, if they make the scores."""
    if not found.has_latents:
        return None, found.no_law, None
    if reason := makes_scores(weight, bias, lat):
        return None, reason, None
    return implied_prior(weight, bias, lat, verify=False), "", _layer(weight, bias)


def _of_layer(model: Any, lat: LatentSet, found: Any, name: str | None) -> Implied:
    """Return the law that the map which was found in the model implies."""
    from vcviz.latents.modules import is_ours, unwrapped

    inner: Any = unwrapped(model)
    layer = found.layer
    if is_ours(inner):
        layer = inner.head.linear_layer() if name is None else None
    if layer is None:
        return None, found.no_law, None
    weight, bias = (
        None if v is None else v.detach().cpu().double().numpy() for v in (layer.weight, layer.bias)
    )
    return implied_prior(weight, bias, lat, verify=False), "", layer  # type: ignore[arg-type]


def _layer(given_weight: Any, given_bias: Any) -> nn.Module:
    """Return an affine map as a module."""
    import torch

    from vcviz.records import as_float

    weight = as_float("weight", given_weight, 2)
    n_classes, dim = weight.shape
    bias = np.zeros(n_classes) if given_bias is None else as_float("bias", given_bias, 1)
    layer = torch.nn.Linear(dim, n_classes, device="meta").to_empty(device="cpu").float()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.copy()))
        layer.bias.copy_(torch.from_numpy(bias.copy()))
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
