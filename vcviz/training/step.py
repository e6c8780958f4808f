"""From a batch to the loss: what a training step computes before its gradients."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from vcviz.models.classifier import Classifier
from vcviz.models.heads import LossTerms
from vcviz.runs.config import RunConfig


class TrainingStep(nn.Module):
    """The loss of a batch as the output of a module, which data-parallel training needs.

    Parameters
    ----------
    model, config : the classifier and its settings
    """

    def __init__(self, model: Classifier, config: RunConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def forward(
        self, x: Tensor, y: Tensor, generator: torch.Generator
    ) -> tuple[LossTerms, Tensor, Tensor, Tensor]:
        """Return the loss of inputs (B, …), its total, their latents (S B, D) and the labels."""
        config, head = self.config, self.model.head
        with self._autocast(x.device):
            q = self.model.posterior(x)
        z = head.place(q.draw(config.draws, generator).float())
        y = y if config.draws == 1 else y.repeat(config.draws)
        rate_weight = config.rate_weight * head.rate_scale
        if rate_weight and config.rate_to == "law":
            loss = head.training_loss(q, z, y, rate_weight, generator)
        else:
            loss = head.loss(z, y, generator=generator)
            if rate_weight:
                loss = loss.plus("rate", q.rate(), rate_weight)
        return loss, loss.total, z, y

    def _autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        dtype = getattr(torch, self.config.precision)
        lower = dtype != torch.float32
        # Entering it takes as long as three small operations, whether or not it does anything.
        if not lower and not torch.is_autocast_enabled(device.type):
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=dtype, enabled=lower)
