"""The worst point found of every input, over several attacks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcviz.attacks.options import Plan
from vcviz.attacks.steps import Step, walk, worse
from vcviz.attacks.victim import Victim
from vcviz.latents.extraction import to_numpy

#: inputs of the attack of radius 0
_FEW = 64


class Search:
    """Attacks that go on from what was found before, and what gates need to know of them.

    Attributes
    ----------
    log_probs : (N, C) what the model says of the worst points so far
    fell_at : (N,) radius at which an input was first misread; 0 at the start, infinite if never
    tried, moved, rose : (N,) whether an input was attacked, ever moved, and its loss ever rose
    nearest : (N,) distance of the first misread point found, the least over attacks; 0 for inputs
        that are misread as they are, infinite if there is none
    farthest, reach : largest distance as a multiple of epsilon, how far images left [0, 1]
    alone, lost : of each attack on every input: its accuracy by itself, and how much lower that
        was at an earlier step
    """

    def __init__(self, victim: Victim, seed: int) -> None:
        x, y = victim.x, victim.y
        n, stochastic = len(x), victim.noise > 0
        self._victim, self._y = victim, y
        # Of a stochastic model the points are needed, to be read again with other noise.
        self._points = x.copy() if stochastic else None
        self._seed = seed + 2 if stochastic else seed
        self._value = np.full(n, -np.inf, np.float32)
        self._done = np.zeros(n, bool)
        self.log_probs = victim.log_probs(x, self._seed)
        self.fell_at = np.where(self.log_probs.argmax(1) == y, np.inf, 0.0)
        self.nearest = self.fell_at.copy()
        self._holds = np.zeros(n, bool)
        self.tried, self.moved, self.rose = (np.zeros(n, bool) for _ in range(3))
        self.farthest = self.reach = 0.0
        self.alone: list[float] = []
        self.lost: list[float] = []

    def attack(
        self, plan: Plan, rows: NDArray[np.int64] | None, tick: Callable[[float], None]
    ) -> None:
        """Attack all inputs; or only `rows`, each until it is misread."""
        everyone = rows is None
        rows = np.arange(len(self._y)) if rows is None else rows
        right = np.zeros(plan.steps + 1)
        self.log_probs = self.log_probs.copy()
        starts = self._victim.starts(plan)
        size = self._victim.batch_size
        for first in range(0, len(rows), size):
            right += self._batch(plan, rows[first : first + size], starts, drop=not everyone)
            tick(min(1.0, (first + size) / len(rows)))
        if self._points is not None:
            self.log_probs = self._victim.log_probs(self._points, self._seed)
        fallen = self.log_probs.argmax(1) != self._y
        self.fell_at = np.where(fallen, np.minimum(self.fell_at, plan.epsilon), self.fell_at)
        self._holds[rows] |= ~self._fallen(plan)[rows]
        if everyone:
            share = right / len(rows)
            self.alone.append(float(share[-1]))
            self.lost.append(float(share[-1] - share.min()))

    def open(self, plan: Plan, down: bool) -> NDArray[np.int64]:
        """Return the rows of which an attack at this radius says something new.

        Those that are still read rightly; going `down`, those that fell at the radius before, but
        not so near that they are known to fall at this one too.
        """
        if not down:
            return np.flatnonzero(np.isinf(self.fell_at))
        return np.flatnonzero(~self._fallen(plan) & ~self._holds)

    def _fallen(self, plan: Plan) -> NDArray[np.bool_]:
        """Return (N,) whether a misread point is known within the radius."""
        return self.nearest <= plan.epsilon * (1 + 1e-6)

    def settle(self, radii: NDArray[np.float64]) -> None:
        """Put `fell_at` to the first of these radii whose ball holds the nearest misread point."""
        places = np.searchsorted(radii * (1 + 1e-6), self.nearest)
        self.fell_at = np.append(radii, np.inf)[places]

    def identity(self, plan: Plan) -> float:
        """Return the largest change of an input or a probability under an attack of radius 0."""
        few = self._victim.batch(slice(_FEW), self._y, None)
        before, after = walk(self._victim, plan.at(0.0), few)
        moved = (after.x - few.clean).abs().max()
        change = (after.log_probs.exp() - before.log_probs.exp()).abs().max()
        return float(torch.maximum(change, moved))

    # ---------------------------------------------------------- parts

    def _batch(
        self, plan: Plan, rows: NDArray[np.int64], starts: Tensor | None, *, drop: bool
    ) -> NDArray[np.float64]:
        """Attack one batch; return how many of it are read rightly at each step."""
        steps = walk(self._victim, plan, self._victim.batch(rows, self._y, starts))
        now = begun = worst = self._slim(next(steps))
        right, furthest = [(~now.done).sum()], now.distance
        for _ in range(plan.steps):
            kept = None
            if drop and bool(now.done.any()):
                self._take(plan, rows, begun, worst, furthest, now.done)
                kept = ~now.done
                rows = rows[kept.cpu().numpy()]
                if not len(rows):
                    break
                begun, worst = begun.take(kept), worst.take(kept)
                furthest = furthest[kept]
            whole = steps.send(kept)
            now = self._slim(whole)
            worst, furthest = worse(worst, now), torch.maximum(furthest, now.distance)
            right.append((~now.done).sum())
        if len(rows):
            self.reach = max(self.reach, float(-whole.x.min()), float(whole.x.max()) - 1)
            self._take(plan, rows, begun, worst, furthest, torch.ones_like(now.done))
        counts = torch.stack(right).cpu().numpy().astype(float)
        return np.pad(counts, (0, plan.steps + 1 - len(counts)))

    def _slim(self, step: Step) -> Step:
        """Return a step without what is not kept of it."""
        if self._points is None:
            step = step._replace(x=step.x.flatten(1)[:, :0])
        return step._replace(z=step.z[:, :0])

    def _take(
        self,
        plan: Plan,
        rows: NDArray[np.int64],
        begun: Step,
        worst: Step,
        furthest: Tensor,
        which: Tensor,
    ) -> None:
        """Keep of each input the worse of what was known and what an attack has found."""
        rows = rows[which.cpu().numpy()]
        value, done = worst.value[which].cpu().numpy(), worst.done[which].cpu().numpy()
        distance, end = to_numpy(furthest[which]), to_numpy(worst.distance[which])
        self.nearest[rows[done]] = np.minimum(self.nearest[rows[done]], end[done])
        rose = (worst.value > begun.value) | (worst.done & ~begun.done)
        self.tried[rows] = True
        self.moved[rows] |= distance > 0
        self.rose[rows] |= rose[which].cpu().numpy()
        self.farthest = max(self.farthest, float(distance.max()) / plan.epsilon)
        was = self._done[rows]
        better = (done & ~was) | ((done == was) & (value > self._value[rows]))
        rows, which = rows[better], torch.nonzero(which).squeeze(1)[torch.from_numpy(better)]
        self._value[rows], self._done[rows] = value[better], done[better]
        self.log_probs[rows] = to_numpy(worst.log_probs[which])
        if self._points is not None:
            self._points[rows] = to_numpy(worst.x[which])
