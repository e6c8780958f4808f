"""Critics T(z, y) of the variational head: estimates of log q(z|y) / p(z|y)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

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

    The batch is grouped by class and each group multiplied by its own matrix, so memory holds
    the C W D parameters once: a copy per sample would be B W D numbers more.

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
        return self._hidden(z, y)[0]

    def value_and_slope(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return T (B,) and its slope (B, D), W_y' (v_y (1 - tanh^2))."""
        values, order, sizes, slope = self._hidden(z, y)
        slope = _EachWithItsOwn.apply(slope, self.hidden_weight, sizes, True)
        return values, torch.empty_like(slope).index_copy(0, order, slope)

    def _hidden(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, list[int], Tensor]:
        """Return T, the rows in the order of their labels, rows a class, and dT / d(W z), (B, W).

        The last is in that order, T in that of the labels given.
        """
        order = y.argsort()
        sizes = y.bincount(minlength=len(self.bias)).tolist()
        hidden: Tensor = _EachWithItsOwn.apply(z[order], self.hidden_weight, sizes, False)
        label = y[order]
        hidden = (hidden + self.hidden_bias[label]).tanh()
        weight = self.weight[label]
        values = (weight * hidden).sum(1) + self.bias[label]
        slope = weight * (1 - hidden.square())
        return torch.empty_like(values).index_copy(0, order, values), order, sizes, slope


class _EachWithItsOwn(torch.autograd.Function):
    """Rows (B, D), sorted by class, times the (C, W, D) matrices of their classes: (B, W).

    If `back`, the other way: rows (B, W) times the transposed matrices, (B, D).

    What autograd would make of a product a class writes the gradient of the matrices twice, class
    by class and stacked. Here it is written once, and is all the memory that is taken.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, matrices: Tensor, sizes: list[int], back: bool) -> Tensor:
        ctx.save_for_backward(rows, matrices)
        ctx.sizes, ctx.back = sizes, back
        out = rows.new_empty(len(rows), matrices.shape[2 if back else 1])
        for k, part in _parts(sizes):
            torch.mm(rows[part], matrices[k] if back else matrices[k].T, out=out[part])
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        rows, matrices = ctx.saved_tensors
        of_rows, of_matrices = ctx.needs_input_grad[:2]
        # Never of transposed matrices: adding gradients of two layouts takes thrice the time.
        pair = (rows, slope) if ctx.back else (slope, rows)
        return (
            _EachWithItsOwn.apply(slope, matrices, ctx.sizes, not ctx.back) if of_rows else None,
            _OuterSums.apply(*pair, ctx.sizes) if of_matrices else None,
            None,
            None,
        )


class _OuterSums(torch.autograd.Function):
    """Sums over each class of the outer products of rows (B, W) and (B, D): (C, W, D)."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, sizes: list[int]) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.sizes = sizes
        out = left.new_empty(len(sizes), left.shape[1], right.shape[1])
        for k, part in _parts(sizes):
            torch.mm(left[part].T, right[part], out=out[k])
        for k, size in enumerate(sizes):
            if size == 0:
                out[k] = 0
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        left, right = ctx.saved_tensors
        of_left, of_right, _ = ctx.needs_input_grad
        return (
            _EachWithItsOwn.apply(right, slope, ctx.sizes, False) if of_left else None,
            _EachWithItsOwn.apply(left, slope, ctx.sizes, True) if of_right else None,
            None,
        )


def _parts(sizes: list[int]) -> Iterator[tuple[int, slice]]:
    """Yield every class that has rows, and where they are."""
    stop = 0
    for k, size in enumerate(sizes):
        start, stop = stop, stop + size
        if size:
            yield k, slice(start, stop)


def _weights(init: str, shape: tuple[int, ...]) -> Tensor:
    """Return initial weights, the last axis of which is the layer's inputs."""
    if init == "normal":
        return torch.randn(shape)
    return torch.empty(shape).uniform_(-1, 1) / shape[-1] ** 0.5
