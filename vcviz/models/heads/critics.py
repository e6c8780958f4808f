"""Critics T(z, y) of the variational head: estimates of log q(z|y) / p(z|y)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from vcviz.models.heads.base import LossTerms
from vcviz.models.heads.closed_form import LEAK, critic_terms, leaky


class Critic(nn.Module, ABC):
    """T(z, y), and its slope in z without a second pass of automatic differentiation."""

    #: whether the input is the residual (z - mu_y) / sigma_y rather than z
    whitened: ClassVar[bool] = False

    @abstractmethod
    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values T of inputs (B, D) with labels (B,)."""

    def frozen(self, z: Tensor, y: Tensor) -> Tensor:
        """Return `forward` through which no gradient reaches the weights."""
        weights = {name: p.detach() for name, p in self.named_parameters()}
        return functional_call(self, weights, (z, y))

    @abstractmethod
    def value_and_slope(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return T (B,) and its slope in z, (B, D)."""

    def terms(self, z: Tensor, y: Tensor, penalty: float) -> LossTerms:
        """Return ``loss`` and, with a `penalty`, ``slope`` of latents, then as many draws."""
        values, slope = self.value_and_slope(z, y)
        real, drawn = values.to(z.dtype).chunk(2)
        terms = {"loss": F.softplus(-real).mean() + F.softplus(drawn).mean()}
        if penalty > 0:
            terms["slope"] = 0.5 * slope.square().sum(1).mean()
        return LossTerms(terms, {"slope": penalty})


class SharedCritic(Critic):
    """One network for all classes, on the whitened residual and the one-hot label.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    layers : hidden layers, each with LeakyReLU of slope 0.2
    width : units of each
    """

    whitened = True

    def __init__(self, latent_dim: int, n_classes: int, layers: int, width: int) -> None:
        super().__init__()
        self.latent_dim, self.n_classes, self.layers = latent_dim, n_classes, layers
        modules: list[nn.Module] = []
        size = latent_dim + n_classes
        for _ in range(layers):
            modules += [nn.Linear(size, width), nn.LeakyReLU(LEAK)]
            size = width
        self.net = nn.Sequential(*modules, nn.Linear(size, 1))

    def forward(self, u: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values T of residuals (B, D) with labels (B,)."""
        return self._layers(u, y, [*self.net.parameters()])[0]

    def frozen(self, u: Tensor, y: Tensor) -> Tensor:
        """Return `forward` through which no gradient reaches the weights."""
        return self._layers(u, y, [p.detach() for p in self.net.parameters()])[0]

    def value_and_slope(self, u: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return T (B,) and grad T (B, D), by the chain rule through the layers."""
        parameters = [*self.net.parameters()]
        values, hidden = self._layers(u, y, parameters)
        weights = parameters[::2]
        slope = weights[-1].expand(len(u), -1)
        for weight, seen in zip(reversed(weights[:-1]), reversed(hidden), strict=True):
            slope = leaky(slope, seen) @ weight
        return values, slope[:, : self.latent_dim]

    def terms(self, u: Tensor, y: Tensor, penalty: float) -> LossTerms:
        """Return ``loss`` and, with a `penalty`, ``slope`` of residuals, see `Critic.terms`."""
        if self.layers > 1:
            return super().terms(u, y, penalty)
        weights = [*self.net.parameters()]
        terms, gradients = critic_terms(u, y, weights, penalty)
        if penalty == 0:
            del terms["slope"]
        return LossTerms(terms, {"slope": penalty}, [*zip(weights, gradients, strict=True)])

    def _layers(
        self, u: Tensor, y: Tensor, parameters: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return T, and what every hidden unit sees."""
        first, bias, *others = parameters
        # The one-hot label picks a column of the first layer; nothing is multiplied by zero.
        of_z, of_label = first.split([self.latent_dim, self.n_classes], dim=1)
        hidden = F.linear(u, of_z) + F.embedding(y, of_label.T + bias)
        before: list[Tensor] = []
        for weight, bias in zip(others[::2], others[1::2], strict=True):
            before.append(hidden.detach())
            hidden = F.linear(F.leaky_relu(hidden, LEAK), weight, bias)
        return hidden.squeeze(1), before


class LinearCritics(Critic):
    """The VC authors' default: T_y(z) = w_y^T z + b_y, one set of parameters a class, on raw z.

    It sees a difference between the means of q(z|y) and p(z|y), and nothing else.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    init : of the weights, "uniform" within 1/sqrt(D), as in `torch.nn.Linear`, or the authors'
        "normal", N(0, 1), which starts T at the size of z; b is 0 at first
    """

    def __init__(self, latent_dim: int, n_classes: int, init: str = "uniform") -> None:
        super().__init__()
        self.weight = nn.Parameter(_weights(init, (n_classes, latent_dim)))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values T of latents (B, D) with labels (B,)."""
        return self.value_and_slope(z, y)[0]

    def value_and_slope(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return T (B,) and its slope (B, D), the weights of each label."""
        slope = self.weight[y]
        return (slope * z).sum(1) + self.bias[y], slope


class TanhCritics(Critic):
    """The VC authors' two-layer option: T_y(z) = v_y^T tanh(W_y z + b_y) + c_y on raw z.

    The batch is grouped by class and each group multiplied by its own matrix: a copy per sample
    would be B W D numbers beside the C W D of the parameters.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    width : tanh units W of each class
    init : of the weights, as for `LinearCritics`
    """

    def __init__(self, latent_dim: int, n_classes: int, width: int, init: str = "uniform") -> None:
        super().__init__()
        self.hidden_weight = nn.Parameter(_weights(init, (n_classes, width, latent_dim)))
        self.hidden_bias = nn.Parameter(torch.zeros(n_classes, width))
        self.weight = nn.Parameter(_weights(init, (n_classes, width)))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values T of latents (B, D) with labels (B,)."""
        return (self.weight[y] * self._hidden(z, y)).sum(1) + self.bias[y]

    def value_and_slope(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return T (B,) and its slope (B, D), W_y' (v_y (1 - tanh^2))."""
        hidden, weight = self._hidden(z, y), self.weight[y]
        values = (weight * hidden).sum(1) + self.bias[y]
        return values, _by_class(weight * (1 - hidden.square()), y, self.hidden_weight)

    def _hidden(self, z: Tensor, y: Tensor) -> Tensor:
        return (_by_class(z, y, self.hidden_weight.mT) + self.hidden_bias[y]).tanh()

    @torch.no_grad()
    def terms(self, z: Tensor, y: Tensor, penalty: float) -> LossTerms:
        """Return ``loss`` and, with a `penalty`, ``slope`` of latents, see `Critic.terms`.

        Gradients are written out: automatic differentiation would hold two or three of the size of
        all matrices, and here one is all the memory that is taken.
        """
        n, half, order = len(z), len(z) // 2, y.argsort()
        matrices, z, y = self.hidden_weight, z[order], y[order]
        sign = torch.where(order < half, -1.0, 1.0).to(z)  # -T over the latents, T over the draws
        weight, hidden = self.weight[y], self._hidden(z, y)
        gate = weight * (1 - hidden.square())  # dT / d(W z)
        values = sign * ((weight * hidden).sum(1) + self.bias[y])
        terms = {"loss": F.softplus(values).sum() / half}
        by_value = sign * values.sigmoid() / half
        by_weight, by_seen = hidden * by_value[:, None], gate * by_value[:, None]
        pairs = [(by_seen, z)]  # of rows, whose outer products are the gradients of the matrices
        if penalty > 0:
            slope = _by_class(gate, y, matrices)
            terms["slope"] = slope.square().sum() / (2 * n)
            slope *= penalty / n
            by_gate = _by_class(slope, y, matrices.mT)
            by_weight += by_gate * (1 - hidden.square())
            by_seen -= 2 * by_gate * gate * hidden
            pairs.append((gate, slope))
        by_matrix, sizes = torch.zeros_like(matrices), y.bincount(minlength=len(matrices)).tolist()
        for left, right in pairs:
            parts = zip(by_matrix, left.split(sizes), right.split(sizes), strict=True)
            for of_class, some, others in parts:
                of_class.addmm_(some.T, others)
        gradients = [by_matrix, *map(torch.zeros_like, (self.hidden_bias, self.weight, self.bias))]
        for gradient, rows in zip(gradients[1:], (by_seen, by_weight, by_value), strict=True):
            gradient.index_add_(0, y, rows)
        return LossTerms(
            terms, {"slope": penalty}, [*zip(self.parameters(), gradients, strict=True)]
        )


def _by_class(rows: Tensor, y: Tensor, matrices: Tensor) -> Tensor:
    """Return (B, N) rows (B, M), each times the (M, N) matrix of its label out of (C, M, N)."""
    order = y.argsort()
    parts = rows[order].split(y.bincount(minlength=len(matrices)).tolist())
    found = torch.cat([part @ m for part, m in zip(parts, matrices, strict=True) if len(part)])
    return torch.empty_like(found).index_copy(0, order, found)


def _weights(init: str, shape: tuple[int, ...]) -> Tensor:
    """Return initial weights, the last axis of which is the layer's inputs."""
    if init == "normal":
        return torch.randn(shape)
    return torch.empty(shape).uniform_(-1, 1) / shape[-1] ** 0.5
