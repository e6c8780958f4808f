"""Training: heads against each other, and steps and epochs against loops written by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import vcviz
from benchmarks.gpu import BATCH, bare_epoch
from benchmarks.pairs import Pair, pair
from vcviz.models.heads.closed_form import critic_terms, encoder_terms
from vcviz.runs.config import RunConfig
from vcviz.training.jobs import Job
from vcviz.training.loop import Trainer
from vcviz.training.optimizers import eager

ROWS = 4000


def pairs() -> Iterator[Pair]:
    """Yield every comparison."""
    with tempfile.TemporaryDirectory() as root:
        for encoder, side, goal in (("cnn", 28, 1 / 1.2), ("mlp", 8, 1 / 2)):
            yield _against_softmax(Path(root) / encoder, encoder, side, goal)
        yield _against_bare(Path(root) / "steps", "mlp", 8, 1 / 1.15)
        yield _against_bare(Path(root) / "bare", "cnn", 28, 1 / 1.05)
        yield from _against_bare_vc(Path(root) / "vc", "mlp", 8)
        yield _against_plain(Path(root))


def trainer(
    root: Path, head: str, rows: int = ROWS, encoder: str = "cnn", side: int = 28, **options: object
) -> Trainer:
    """Return what trains an encoder on images in bytes, by default a CNN on MNIST's size."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (rows, 1, side, side), dtype=np.uint8)
    splits = vcviz.Split(x, rng.integers(0, 10, rows)), vcviz.Split(x[:99], np.arange(99) % 10)
    config = RunConfig(
        dataset="custom", encoder=encoder, head=head, batch_size=BATCH, device="cpu", **options
    )
    job = Job(config, root, head, splits)
    return job.trainer(job.model(), torch.device("cpu"))


def _against_softmax(root: Path, encoder: str, side: int, goal: float) -> Pair:
    """A step is forward, backward and optimiser of the classifier, and those of the critic."""
    ours, other = (trainer(root, head, 2000, encoder, side) for head in ("variational", "softmax"))
    what = f"10 training steps of {BATCH}, {side} x {side}, {encoder.upper()}, variational"
    return pair(what, lambda: ours._epoch(1), "softmax", lambda: other._epoch(1), goal=goal)


def _against_bare(root: Path, encoder: str, side: int, goal: float) -> Pair:
    """The limit: what forward, backward and optimiser take of the same model and data, by hand."""
    ours, other = (trainer(root / k, "softmax", 2000, encoder, side) for k in ("ours", "bare"))
    what = f"10 training steps of {BATCH}, {side} x {side}, {encoder.upper()}, softmax"
    return pair(what, lambda: ours._epoch(1), "limit: bare loop written by hand",
                bare_epoch(other, "float32"), goal=goal)  # fmt: skip


def _against_bare_vc(root: Path, encoder: str, side: int) -> Iterator[Pair]:
    """VC's limit: the arithmetic of its step in a loop by hand, and that against softmax."""
    kinds = {"ours": "variational", "bare": "variational", "softmax": "softmax"}
    ours, by_hand, softmax = (
        trainer(root / name, head, 2000, encoder, side) for name, head in kinds.items()
    )
    bare = bare_vc_epoch(by_hand)
    steps, limit = f"10 training steps of {BATCH}, {side} x {side}, {encoder.upper()}", "by hand"
    yield pair(f"{steps}, variational", lambda: ours._epoch(1), f"limit: {limit}", bare, goal=0.8)
    yield pair(f"{steps}, variational {limit}", bare, "softmax", lambda: softmax._epoch(1))


def bare_vc_epoch(like: Trainer) -> Callable[[], None]:
    """Return an epoch of VC as one writes it by hand: no autograd beyond the encoder."""
    model, x, y, config = like.model, like.x, like.y, like.config
    law, critic = model.head.law, [*model.head.critic.parameters()]
    head: Any = model.head
    groups = [{"params": [*model.encoder.parameters()]}, {"params": [law.mean], "lr": 2e-2}]
    main = eager(torch.optim.Adam)(groups, lr=2e-3, fused=True)
    other = eager(torch.optim.AdamW)(critic, lr=1e-3, fused=True)
    rate = config.rate_weight * head.rate_scale
    weights = {
        "likelihood": head.likelihood_weight, "critic": head.critic_weight, "rate": rate,
    }  # fmt: skip

    def epoch() -> None:
        model.train()
        for rows in torch.randperm(len(y)).split(BATCH):
            label = y[rows]
            features = model.encoder(x[rows].float() / 255)
            with torch.no_grad():
                mean, raw = features.chunk(2, 1)
                scale = F.softplus(raw - 2) + 1e-4
                noise = torch.randn_like(mean)
                z = torch.addcmul(mean, scale, noise)
                terms, by_z, law.mean.grad = encoder_terms(
                    z, label, law.mean, law.inverse_scale, head.log_weight, critic, weights
                )
                terms["rate"] = terms["likelihood"] - scale.log().sum() / len(z)
                by_scale = by_z * noise - scale.reciprocal() * (rate / len(z))
                by_raw = by_scale * (raw - 2).sigmoid()
            for parameter in model.encoder.parameters():
                parameter.grad = None
            features.backward(torch.cat([by_z, by_raw], 1))
            main.step()
            with torch.no_grad():
                u = torch.cat([law.whiten(z, label), torch.randn_like(z)])
                _, slopes = critic_terms(u, torch.cat([label, label]), critic, head.critic_penalty)
            for parameter, slope in zip(critic, slopes, strict=True):
                parameter.grad = slope
            other.step()

    return epoch


def _against_plain(root: Path) -> Pair:
    ours = trainer(root / "epoch", "softmax")
    job = Job(ours.config, root, "plain", (ours.train, ours.test))
    model = job.model()
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's default
    x = torch.tensor(np.array(ours.train.x)).float() / 255
    loader = DataLoader(TensorDataset(x, ours.y), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def plain() -> float:
        total = 0.0
        model.train()
        for x, y in loader:
            loss = F.nll_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total

    return pair(
        f"training epoch, {ROWS:,} MNIST-sized images, CNN", lambda: ours._epoch(1),
        "plain DataLoader loop of the same model", plain, rounds=5,
    )  # fmt: skip
