"""The steps of a gradient attack on a batch, each with what the model says there."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import torch
from torch import Tensor

from vcviz.attacks.ball import Ball, per_row
from vcviz.attacks.movers import mover
from vcviz.attacks.objectives import objective, reached, slope
from vcviz.attacks.options import Plan
from vcviz.latents.adapter import Reader


class Step(NamedTuple):
    """A batch on its way.

    Attributes
    ----------
    x : (B, …) inputs
    z, log_probs : (B, D) latents and (B, C) log-probabilities
    distance : (B,) from the clean inputs, in the norm of the attack
    value : (B,) objective that the attack raises
    done : (B,) whether a row is where the attack wants it
    """

    x: Tensor
    z: Tensor
    log_probs: Tensor
    distance: Tensor
    value: Tensor
    done: Tensor


def walk(
    read: Reader,
    plan: Plan,
    clean: Tensor,
    start: Tensor | None,
    goal: Tensor,
    label: Tensor,
    stochastic: bool,
) -> Generator[Step, Tensor | None, None]:
    """Yield the clean batch and then every step of the attack on it.

    What is sent back is a (B,) mask of the rows to go on with; None goes on with all. APGD's last
    step is the worst point of all that it saw.
    """
    fresh, moves, ball = noise(read, plan.seed + 1), mover(plan), Ball(plan, clean)
    x, worst = clean, None
    for t in range(plan.steps + 1):
        x = x.detach().requires_grad_()
        with torch.set_grad_enabled(t < plan.steps):
            # A copy: a model may work in place on its input.
            z, log_probs, _ = read(x.clone(), noise(read, plan.seed))
        now = _step(plan, x.detach(), ball, z, log_probs.detach(), goal, label)
        if plan.method == "apgd":
            worst = now if worst is None else worse(worst, now)
        kept = yield (worst if worst is not None and t == plan.steps else now)
        if t == plan.steps:
            return
        retaken = stochastic or (t == 0 and start is not None)
        batch = [goal, label, x.detach() if t or start is None else start]
        # The graph of the pass that was recorded serves, unless the gradient is of other noise.
        ready = [] if retaken else list(slope(plan, log_probs, x, goal, label))
        if kept is not None:
            moves.keep(kept)
            ball = ball.take(kept)
            batch, ready = ([part[kept] for part in parts] for parts in (batch, ready))
            worst = None if worst is None else Step(*(part[kept] for part in worst))
        goal, label, x = batch
        value, gradient = ready or _averaged(
            read, plan, x.requires_grad_(), goal, label, fresh, plan.draws if stochastic else 1
        )
        x = moves.next(x.detach(), ball, value, gradient)


def worse(one: Step, other: Step) -> Step:
    """Return of each row the point that is worse for the model: misread first, then the loss."""
    swap = (other.done & ~one.done) | ((other.done == one.done) & (other.value > one.value))
    return Step(*(torch.where(per_row(swap, b), b, a) for a, b in zip(one, other, strict=True)))


def noise(read: Reader, seed: int) -> torch.Generator:
    """Return a generator on the model's device."""
    return torch.Generator(read.device).manual_seed(seed)


def _step(
    plan: Plan,
    x: Tensor,
    ball: Ball,
    z: Tensor,
    log_probs: Tensor,
    goal: Tensor,
    label: Tensor,
) -> Step:
    value = objective(plan, log_probs, goal, label)
    return Step(x, z, log_probs, ball.distance(x), value, reached(plan, log_probs, goal))


def _averaged(
    read: Reader,
    plan: Plan,
    x: Tensor,
    goal: Tensor,
    label: Tensor,
    fresh: torch.Generator,
    draws: int,
) -> tuple[Tensor, Tensor]:
    """Return objective and gradient at `x`, averaged over draws of a stochastic model's noise."""
    total, gradient = torch.zeros(len(x), device=x.device), torch.zeros_like(x)
    for _ in range(draws):
        with torch.enable_grad():
            log_probs = read(x.clone(), fresh).log_probs
        value, found = slope(plan, log_probs, x, goal, label)
        total, gradient = total + value, gradient + found
    return total / draws, gradient / draws
