"""A classifier under attack, and the inputs that are attacked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm.auto import tqdm

from vcviz.attacks.options import Plan
from vcviz.base.errors import InputError
from vcviz.latents.adapter import Reader, reading
from vcviz.latents.extraction import class_names, to_numpy
from vcviz.records import Split, Trained, as_rows

#: rows of a run that are attacked where nobody says how many
ROWS = 200


class Scope(NamedTuple):
    """A classifier as `reading` takes it, rows of a split, their numbers, a run's title or ""."""

    model: Any
    split: Split
    rows: NDArray[np.int64]
    title: str


def scope_of(model: Any, split: Any, rows: ArrayLike | None, device: Any) -> Scope:
    """Return what is attacked: rows of a split given, or of one of a run's own.

    Raises
    ------
    InputError
        For several models or runs, or where there is no `Split`.
    """
    title = ""
    if isinstance(model, (list, tuple)):
        raise InputError(
            "one model or run is attacked at a time; for several runs see "
            "vcviz.studies.attack_runs and vcviz.studies.robustness_curves"
        )
    if isinstance(model, Trained):
        if split is None or isinstance(split, str):
            split, rows = model.split(split or "test"), ROWS if rows is None else rows
        model, title = model.model("cpu" if device is None else str(device)), model.title
    if not isinstance(split, Split):
        raise InputError(f"an attack needs a Split, got {type(split).__name__}: Split(x, y)")
    if rows is None:
        return Scope(model, split, np.arange(len(split)), title)
    chosen = as_rows(rows, len(split))
    return Scope(model, split.take(chosen), chosen, title)


class Batch(NamedTuple):
    """What an attack on some rows begins with; `start` is where, if not at the clean inputs."""

    clean: Tensor
    goal: Tensor
    label: Tensor
    start: Tensor | None = None


class Victim:
    """A classifier that is read, and all of its inputs.

    Attributes
    ----------
    read : the classifier
    x, y : (N, …) inputs as floats, images in [0, 1], and (N,) labels
    class_names : C of them
    noise : largest change of a probability when the noise does; 0 = it draws none
    batch_size : rows at a time
    """

    def __init__(self, read: Reader, split: Split, plan: Plan) -> None:
        self.read, self.x, self.y = read, split.floats, split.y
        self.batch_size, seed = plan.options.batch_size, plan.options.seed
        few = torch.from_numpy(self.x[:8].copy())
        with torch.no_grad():
            one, other = (read(few, noise(read, s)).log_probs for s in (seed, seed + 1))
        spread = float((one.exp() - other.exp()).abs().max())
        # Differences too small for a probability are noise all the same.
        self.noise = 0.0 if torch.equal(one, other) else max(spread, 1e-12)
        self.class_names = class_names(split.class_names, one.shape[1])
        plan.check_classes(len(self.class_names))

    @property
    def batches(self) -> list[slice]:
        """The rows of each batch, in order."""
        starts = range(0, len(self.x), self.batch_size)
        return [slice(first, first + self.batch_size) for first in starts]

    def batch(self, rows: Any, goal: NDArray[np.int64], starts: Tensor | None) -> Batch:
        """Return rows of the inputs on the model's device; of all rows are `goal` and `starts`."""
        device = self.read.device
        clean, wanted, label = (
            torch.tensor(part[rows], device=device) for part in (self.x, goal, self.y)
        )
        return Batch(clean, wanted, label, None if starts is None else starts[rows].to(device))

    def starts(self, plan: Plan) -> Tensor | None:
        """Return random starts of all inputs, if the attack has them, the same for any batches."""
        if not plan.options.random_start:
            return None
        return plan.ball(torch.from_numpy(self.x.copy())).random_start(plan.options.seed)

    def log_probs(self, x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        """Return (N, C) what the model says of inputs with the noise of a seed."""
        found = []
        with torch.no_grad():
            for rows in self.batches:
                part = torch.from_numpy(x[rows].copy())
                found.append(to_numpy(self.read(part, noise(self.read, seed)).log_probs))
        return np.concatenate(found)


@contextmanager
def under_attack(
    who: Scope, plan: Plan, attacks: int = 1
) -> Iterator[tuple[Victim, Callable[[float], None]]]:
    """Give the classifier as a `Victim`, and a function to be told how many steps were made.

    Parameters
    ----------
    attacks : how many attacks like `plan` on every row there will be
    """
    options = plan.options
    total = attacks * math.ceil(len(who.split) / options.batch_size) * plan.steps
    bar = tqdm(total=total, unit=" steps", desc=plan.method, delay=2, disable=not options.progress)

    def tick(done: float) -> None:
        bar.update(round(done) - bar.n)
        if options.report is not None:
            options.report(round(done), total)

    read = reading(who.model, layer=options.layer, device=options.device, strict=False)
    with bar, read as reader, torch.inference_mode(False):
        yield Victim(reader, who.split, plan), tick


def noise(read: Reader, seed: int) -> torch.Generator:
    """Return a generator on the model's device."""
    return torch.Generator(read.device).manual_seed(seed)
