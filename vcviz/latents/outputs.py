"""What a model takes and gives: the scores in its output, whatever it is wrapped in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vcviz.errors import InputError

#: a batch, or keyword arguments of a model
Inputs = Tensor | Mapping[str, Tensor]


def scores_in(output: Any) -> Tensor:
    """Return the (B, C) scores in what a model gave.

    Raises
    ------
    InputError
        If there are none, or they are of fewer than two classes.
    """
    scores = _first_tensor(output)
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


def refuse_probabilities(scores: Tensor) -> None:
    """Raise an `InputError` if scores look like probabilities."""
    values = scores.detach().float()
    if (values >= 0).all() and ((values.sum(1) - 1).abs() < 1e-5).all():
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
    return f"shape {tuple(x.shape)}, {str(x.dtype).removeprefix('torch.')}"


def _first_tensor(output: Any) -> Tensor:
    """Return the tensor of scores: the output, its `.logits`, or the first of a dict or tuple."""
    if isinstance(output, Tensor):
        return output
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits
    if isinstance(output, Mapping):
        named = [output[key] for key in ("logits", "log_probs") if key in output]
        output = [*named, *output.values()]
    if isinstance(output, (tuple, list)) and output:
        return _first_tensor(output[0])
    raise InputError(
        f"the model must return logits or log-probabilities, got {type(output).__name__}"
    )
