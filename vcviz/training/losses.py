"""The losses of an epoch, step by step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcviz.base.errors import TrainingError
from vcviz.models.heads import LossTerms
from vcviz.models.precision import wide

# Losses are looked at in blocks of this many steps: a look at every step would make a GPU wait.
_LOSS_BLOCK = 100


class LossTable:
    """Every step's loss terms on the device, looked at in blocks; fails on a non-finite one."""

    def __init__(self, epoch: int, n_steps: int) -> None:
        self.epoch, self.n_steps = epoch, n_steps
        self.names: list[str] = []
        self.rows: list[Tensor] = []
        self.sum: NDArray[np.float64] = np.zeros(0)
        self.seen = 0

    def add(self, step: int, loss: LossTerms, critic: LossTerms | None, weight: float) -> None:
        """Add a step's terms; `weight` is that of this process's part of the batch."""
        terms = {f"train/{k}": v for k, v in loss.terms.items()} | {"train/total": loss.total}
        if critic is not None:
            terms |= {f"critic/{k}": v for k, v in critic.terms.items()}
        self.names = list(terms)
        with torch.no_grad():
            row = wide(torch.stack([*terms.values()]))
            self.rows.append(row if weight == 1 else row * weight)
        if len(self.rows) == _LOSS_BLOCK or step == self.n_steps - 1:
            self._look()

    def _look(self) -> None:
        block = torch.stack(self.rows).cpu().numpy()
        bad = ~np.isfinite(block)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            step = self.seen + int(row) + 1
            raise TrainingError(
                f"{self.names[column]} became {block[row, column]} at step {step} of "
                f"{self.n_steps} in epoch {self.epoch}; lower lr=, or look at the data's scale"
            )
        self.sum = self.sum + block.sum(0) if self.seen else block.sum(0)
        self.seen += len(block)
        self.rows = []

    def means(self) -> dict[str, float]:
        """Return the mean of each term over the steps."""
        return {k: float(v) / self.seen for k, v in zip(self.names, self.sum, strict=True)}
