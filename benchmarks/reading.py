"""Reading a model's latents, and attacks on it, against the bare loops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

import vcviz
from benchmarks.pairs import Pair, pair

EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)


def pairs() -> Iterator[Pair]:
    """Yield every comparison."""
    yield _latents()
    yield _attack()
    yield _robust_accuracy()


def small_cnn(side: int = 28) -> nn.Sequential:
    """Return a network of two convolutions for one-channel images."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (side // 4) ** 2, 10),
    ).eval()  # fmt: skip


def images(n: int) -> vcviz.Split:
    """Return images of noise, of the size of MNIST's."""
    rng = np.random.default_rng(0)
    return vcviz.Split(rng.random((n, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, n))


def _latents() -> Pair:
    model, split = small_cnn(), images(4096)
    batches = torch.tensor(split.x).split(1024)

    def forward() -> None:
        with torch.no_grad():
            for batch in batches:
                model(batch)

    return pair(
        "extract_latents, 4,096 images, small CNN",
        lambda: vcviz.extract_latents(model, split, progress=False), "limit: bare forward pass",
        forward, goal=1 / 1.05,
    )  # fmt: skip


def _attack() -> Pair:
    model, few = small_cnn(), images(256)
    clean, labels = torch.tensor(few.x), torch.tensor(few.y)

    def loop() -> None:
        adversarial = clean
        for _ in range(40):
            adversarial = adversarial.detach().requires_grad_()
            loss = nn.functional.cross_entropy(model(adversarial), labels, reduction="sum")
            (slope,) = torch.autograd.grad(loss, adversarial)
            moved = adversarial + 0.025 * slope.sign()
            adversarial = torch.clamp(clean + (moved - clean).clamp(-0.1, 0.1), 0, 1)

    def ours() -> vcviz.Trajectory:
        return vcviz.attack(model, few, epsilon=0.1, steps=40, progress=False)

    return pair(
        "PGD-40 keeping every step, 256 images", ours, "limit: bare loop keeping none", loop,
        rounds=5, goal=1 / 1.05,
    )  # fmt: skip


def trained() -> tuple[nn.Module, vcviz.Split]:
    """Return a small CNN that reads the digits, and its test images."""
    train, test = vcviz.load_data("digits", seed=0)
    model = small_cnn(8).train()
    x, y = torch.tensor(train.x).float() / 255, torch.tensor(train.y)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        for rows in torch.randperm(len(x)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model.eval(), vcviz.Split(test.floats, test.y)


def _robust_accuracy() -> Pair:
    model, split = trained()

    def at(epsilons: tuple[float, ...]) -> object:
        return vcviz.robustness_curve(
            model, split, epsilons, batch_size=len(split), calibration=False, progress=False
        )

    return pair(
        f"robust accuracy at eight ε, {len(split)} digits", lambda: at(EPSILONS),
        "limit: the largest ε alone", lambda: at(EPSILONS[-1:]), rounds=5,
    )  # fmt: skip
