"""The text encoder: a mean of token embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vcviz.base.options import check_fraction
from vcviz.models.encoders.mlp import dense

#: length of an embedding
WIDTH = 64


class TextEncoder(nn.Module):
    """Mean of the token embeddings of a text, layer norm, then dense layers.

    Token 0 is padding and adds nothing, so the amount of padding does not matter; a text without
    tokens has the zero vector for its mean. Embeddings start near zero, so that a token never
    seen in training adds next to nothing either; the layer norm makes up for their size.

    Parameters
    ----------
    n_tokens : rows of the embedding table; ids lie in [0, n_tokens)
    latent_dim : D
    hidden : widths of the hidden layers
    token_dropout : share of the tokens left out of each text in training
    """

    def __init__(
        self,
        n_tokens: int,
        latent_dim: int,
        *,
        hidden: Sequence[int] = (64,),
        token_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.token_dropout = check_fraction("token_dropout", token_dropout, zero=True)
        self.embedding = nn.EmbeddingBag(n_tokens, WIDTH, mode="mean", padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=1e-3)
        self.net = nn.Sequential(nn.LayerNorm(WIDTH), *dense(WIDTH, latent_dim, hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents of token ids (B, L)."""
        if self.training and self.token_dropout:
            x = x * (torch.rand(x.shape, device=x.device) >= self.token_dropout)
        return self.net(self.embedding(x))
