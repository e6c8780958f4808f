"""A classifier is an encoder and a head: an ordinary module, x -> log p(y|x)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vcviz.errors import InputError
from vcviz.heads.base import Head


class Classifier(nn.Module):
    """Encoder x -> z followed by a head z -> log p(y|x).

    The output is log-probabilities, which serve as logits wherever a classifier's logits are
    asked for (their softmax is exp of themselves).

    Parameters
    ----------
    encoder : any module from inputs to latents (B, D)
    head : a head for latents of D dimensions, see `vcviz.build_head`
    """

    def __init__(self, encoder: nn.Module, head: Head) -> None:
        super().__init__()
        if not isinstance(encoder, nn.Module):
            raise InputError(f"encoder must be a torch module, got {type(encoder).__name__}")
        if not isinstance(head, Head):
            raise InputError(f"head must come from vcviz.build_head, got {type(head).__name__}")
        self.encoder = encoder
        self.head = head

    def encode(self, x: Tensor) -> Tensor:
        """Return (B, D) latents, in float32 at least.

        Parameters
        ----------
        x : a batch of inputs. Images of type uint8 are scaled from 0..255 to [0, 1] here; all
            else is passed on as it is.
        """
        if x.dtype == torch.uint8:
            x = x.to(self._dtype()) / 255
        z = self.encoder(x)
        return z.to(torch.promote_types(z.dtype, torch.float32))

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, C) log p(y|x); `generator` serves heads that draw samples."""
        return self.head.log_probs(self.encode(x), generator=generator)

    def _dtype(self) -> torch.dtype:
        floating = (p.dtype for p in self.encoder.parameters() if p.is_floating_point())
        return next(floating, torch.get_default_dtype())
