"""Critics T(z, y) of the variational head: estimates of log q(z|y) / p(z|y)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SharedCritic(nn.Module):
    """One network for all classes, on the whitened residual and the one-hot label.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    layers : hidden layers, each with LeakyReLU of slope 0.2
    width : units of each
    """

    #: whether the input is the residual (z - mu_y) / sigma_y rather than z
    whitened = True

    def __init__(self, latent_dim: int, n_classes: int, layers: int, width: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        modules: list[nn.Module] = []
        size = latent_dim + n_classes
        for _ in range(layers):
            modules += [nn.Linear(size, width), nn.LeakyReLU(0.2)]
            size = width
        self.net = nn.Sequential(*modules, nn.Linear(size, 1))

    def forward(self, u: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values T of residuals (B, D) with labels (B,)."""
        label = F.one_hot(y, self.n_classes).to(u.dtype)
        return self.net(torch.cat([u, label], dim=1)).squeeze(1)


class LinearCritics(nn.Module):
    """The VC authors' default: T_y(z) = w_y^T z + b_y, one set of parameters a class, on raw z.

    It sees a difference between the means of q(z|y) and p(z|y), and nothing else. The authors
    draw the weights from N(0, 1), which starts T at the size of z; here they are uniform within
    1/sqrt(D), as in `torch.nn.Linear`, and b is 0.
    """

    whitened = False

    def __init__(self, latent_dim: int, n_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(_uniform((n_classes, latent_dim), latent_dim))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values T of latents (B, D) with labels (B,)."""
        return (self.weight[y] * z).sum(1) + self.bias[y]


class TanhCritics(nn.Module):
    """The VC authors' two-layer option: T_y(z) = v_y^T tanh(W_y z + b_y) + c_y on raw z.

    The batch is grouped by class and each group multiplied by its own matrix, so memory holds
    the C W D parameters once: a copy per sample would be B W D numbers more.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    width : tanh units W of each class
    """

    whitened = False

    def __init__(self, latent_dim: int, n_classes: int, width: int) -> None:
        super().__init__()
        self.hidden_weight = nn.Parameter(_uniform((n_classes, width, latent_dim), latent_dim))
        self.hidden_bias = nn.Parameter(torch.zeros(n_classes, width))
        self.weight = nn.Parameter(_uniform((n_classes, width), width))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values T of latents (B, D) with labels (B,)."""
        order = y.argsort()
        sizes = y.bincount(minlength=len(self.bias)).tolist()
        hidden: Tensor = _EachWithItsOwn.apply(z[order], self.hidden_weight, sizes, False)
        label = y[order]
        hidden = (hidden + self.hidden_bias[label]).tanh()
        values = (self.weight[label] * hidden).sum(1) + self.bias[label]
        return torch.empty_like(values).index_copy(0, order, values)


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


def _uniform(shape: tuple[int, ...], fan_in: int) -> Tensor:
    return torch.empty(shape).uniform_(-1, 1) / fan_in**0.5
