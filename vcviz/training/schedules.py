"""What the papers vary in training beside the loss: optimiser, learning rate, augmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vcviz.base.errors import InputError
from vcviz.runs.config import RunConfig
from vcviz.training.optimizers import eager


def optimizers_of(
    config: RunConfig,
    main: list[nn.Parameter],
    critic: list[nn.Parameter],
    *,
    law: Sequence[nn.Parameter] = (),
    undecayed: Sequence[nn.Parameter] = (),
) -> dict[str, torch.optim.Optimizer]:
    """Return the optimiser of a config by name: "main", and "critic" if it has parameters.

    Weight decay leaves those of `main` alone that are `undecayed`.
    """
    # One kernel for all parameters: a small model spends a fifth of a step in Adam otherwise.
    fused = main[0].device.type in ("cpu", "cuda")
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": fused}
    found: dict[str, torch.optim.Optimizer] = {}
    spared = {id(p) for p in undecayed} if config.weight_decay else set()
    of_law = {id(p) for p in law} if config.law_lr_scale != 1 else set()
    # Groups in one order, so that a checkpoint finds its moments again.
    kinds_of: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for p in main:
        kinds_of.setdefault((id(p) in spared, id(p) in of_law), []).append(p)
    groups: list[dict[str, Any]] = [
        {
            "params": kinds_of[kind],
            "weight_decay": 0.0 if kind[0] else config.weight_decay,
            "lr_scale": config.law_lr_scale if kind[1] else 1.0,
        }
        for kind in sorted(kinds_of)
    ]
    kinds: dict[str, type[torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
    }
    if not config.compile:
        kinds = {name: eager(kind) for name, kind in kinds.items()}
    if config.optimizer == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        common |= {"momentum": config.momentum, "nesterov": nesterov}
    found["main"] = kinds[config.optimizer](groups, **common)
    if critic:
        options: dict[str, Any] = {"lr": config.critic_lr, "fused": fused}
        if config.critic_optimizer == "adam":
            options["betas"] = (0.5, 0.9)
        found["critic"] = kinds[config.critic_optimizer](critic, **options)
    return found


def schedule(kind: str, done: float, **options: Any) -> float:
    """Return the factor on the learning rate after a share `done` of training.

    Parameters
    ----------
    kind : "constant"; "step" (`milestones`, shares of training, default 2/3; `gamma`, default
        0.2); "cosine" (to `floor`, default 0)
    done : share of the training steps that are done, in [0, 1)
    options : those named above, and `warmup`, the share of training with a linear rise
    """
    known = {"constant": (), "step": ("milestones", "gamma"), "cosine": ("floor",)}
    if stray := options.keys() - {*known[kind], "warmup"}:
        raise InputError(
            f"schedule {kind!r} has no option {sorted(stray)[0]!r}; "
            f"it takes {', '.join([*known[kind], 'warmup'])}"
        )
    warmup = float(options.get("warmup", 0.0))
    if done < warmup:
        return max(done / warmup, 1e-3)
    if kind == "step":
        passed = sum(done >= m for m in options.get("milestones", (2 / 3,)))
        return float(options.get("gamma", 0.2)) ** passed
    if kind == "cosine":
        floor = float(options.get("floor", 0.0))
        share = (done - warmup) / max(1 - warmup, 1e-9)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))
    return 1.0


def augmented(x: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Shift images by up to 4 pixels (zero padding) and mirror them, as He et al. 2016 §4.2."""
    if kind == "none":
        return x
    b, _, h, w = x.shape
    padded = nn.functional.pad(x, (4, 4, 4, 4))
    top, left = torch.randint(0, 9, (2, b), generator=generator, device=x.device)
    rows = top[:, None] + torch.arange(h, device=x.device)
    columns = left[:, None] + torch.arange(w, device=x.device)
    if kind == "crop-flip":
        flip = torch.randint(0, 2, (b, 1), generator=generator, device=x.device).bool()
        columns = torch.where(flip, columns.flip(1), columns)
    batch = torch.arange(b, device=x.device)[:, None, None]
    out = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return out.permute(0, 3, 1, 2)
