"""What a model takes and gives: the scores in its output, whatever it is wrapped in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vcviz.base.errors import InputError

#: a batch, keyword arguments of a model, or its arguments in their order
Inputs = Tensor | Mapping[str, Tensor] | tuple[Tensor, ...]

#: what scores are called in the outputs of libraries
_SCORES = ("logits", "log_probs", "scores", "predictions")


def scores_in(output: Any) -> Tensor:
    """Return the (B, C) scores in what a model gave.

    Raises
    ------
    InputError
        If there are none, or they are of fewer than two classes.
    """
    scores = _first_tensor(output)
    if hasattr(scores, "full_tensor"):  # of a model that is sharded over devices
        scores = scores.full_tensor()
    scores = scores.dequantize() if scores.is_quantized else scores
    if scores.ndim == 4 and scores.shape[2:] == (1, 1):
        scores = scores.flatten(1)  # of a network of convolutions alone, maps of one pixel
    if scores.ndim != 2 or scores.shape[1] < 2:
        hint = (
            "; give a binary classifier two outputs, for example torch.cat([0 * a, a], 1)"
            if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1)
            else ""
        )
        raise InputError(
            f"the model must return (B, C) scores of at least 2 classes, "
            f"got shape {tuple(scores.shape)}{hint}"
        )
    return scores


def scores_like(output: Any, rows: int) -> list[Tensor]:
    """Return all in what a model gave that could be (B, C) scores of so many rows."""
    if isinstance(output, Tensor):
        fits = output.ndim == 2 and output.is_floating_point() and len(output) == rows
        return [output] if fits and output.shape[1] > 1 else []
    parts = output.values() if isinstance(output, Mapping) else output
    if not isinstance(output, (tuple, list, Mapping)):
        parts = vars(output).values() if hasattr(output, "__dict__") else ()
    return [found for part in parts for found in scores_like(part, rows)]


def refuse_probabilities(scores: Tensor) -> None:
    """Raise an `InputError` if scores look like probabilities, to the precision of their type."""
    values = scores.detach().float()
    near = max(1e-5, 2 * torch.finfo(scores.dtype).eps if scores.is_floating_point() else 0)
    if (values >= 0).all() and ((values.sum(1) - 1).abs() < near).all():
        raise_probabilities()


def raise_probabilities() -> None:
    """Raise the `InputError` for a model that gives probabilities."""
    raise InputError(
        "the model's rows are non-negative and sum to 1, as probabilities do; "
        "logits or log-probabilities are needed: leave out its last softmax"
    )


def at_least_float(values: Tensor) -> Tensor:
    """Return values in float32, or in float64 if they are so already."""
    return values if values.dtype == torch.float64 else values.float()


def described(x: Inputs) -> str:
    """Return shape and type of a batch, for a message."""
    if isinstance(x, Mapping):
        return ", ".join(f"{name} {described(value)}" for name, value in x.items())
    if isinstance(x, tuple):
        return " and ".join(described(value) for value in x)
    return f"shape {tuple(x.shape)}, {str(x.dtype).removeprefix('torch.')}"


def tensors_of(x: Inputs) -> list[Tensor]:
    """Return the tensors of a batch."""
    if isinstance(x, Mapping):
        return list(x.values())
    return list(x) if isinstance(x, tuple) else [x]


def first_rows(x: Inputs, n: int | None = None) -> Inputs:
    """Return a copy of the first `n` rows of a batch, of all rows if None.

    What has no row for each stays whole.
    """
    rows = max((len(t) for t in tensors_of(x) if t.ndim), default=0)

    def cut(t: Tensor) -> Tensor:
        return (t[:n] if t.ndim and len(t) == rows else t).clone()

    if isinstance(x, Mapping):
        return {name: cut(t) for name, t in x.items()}
    return tuple(map(cut, x)) if isinstance(x, tuple) else cut(x)


def _first_tensor(output: Any) -> Tensor:
    """Return the tensor of scores: the output, its `.logits`, or the first of a dict or tuple."""
    if isinstance(output, Tensor):
        return output
    for name in _SCORES:
        if isinstance(found := getattr(output, name, None), Tensor):
            return found
    if isinstance(output, Mapping):
        named = [output[key] for key in _SCORES if key in output]
        output = [*named, *output.values()]
    if isinstance(output, (tuple, list)) and output:
        return _first_tensor(output[0])
    raise InputError(
        f"the model must return logits or log-probabilities, got {type(output).__name__}"
    )
