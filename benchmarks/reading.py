"""Reading a model's latents, and attacks on it, against the bare loops and the attack libraries."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

import vcviz
from benchmarks.pairs import Pair, missing, pair
from vcviz.attacks import as_inputs

EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)


def pairs() -> Iterator[Pair | str]:
    """Yield every comparison."""
    yield _latents()
    yield from _attacks()
    yield from _robust_accuracy()


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


def _attacks() -> Iterator[Pair | str]:
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

    work = "PGD-40 keeping every step, 256 images"
    yield pair(work, ours, "limit: bare loop keeping none", loop, rounds=5, goal=1 / 1.05)
    if (line := missing("torchattacks", "foolbox", "art")) is not None:
        yield line
        return
    import foolbox
    import torchattacks

    logging.getLogger("art").setLevel(logging.ERROR)
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    attack = torchattacks.PGD(model, eps=0.1, alpha=0.025, steps=40, random_start=False)
    yield pair(
        work, ours, "torchattacks keeping none", lambda: attack(clean, labels), rounds=5, goal=1
    )

    boxed = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    pgd = foolbox.attacks.LinfPGD(abs_stepsize=0.025, steps=40, random_start=False)
    yield pair(
        work, ours, "foolbox keeping none", lambda: pgd(boxed, clean, labels, epsilons=0.1),
        rounds=5, goal=1,
    )  # fmt: skip
    estimator = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), input_shape=(1, 28, 28), nb_classes=10, clip_values=(0, 1),
        device_type="cpu",
    )  # fmt: skip
    theirs = ProjectedGradientDescentPyTorch(
        estimator, eps=0.1, eps_step=0.025, max_iter=40, batch_size=256, verbose=False
    )
    yield pair(
        work, ours, "ART keeping none", lambda: theirs.generate(few.x, few.y), rounds=5, goal=1
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
    return model.eval(), vcviz.Split(as_inputs(test), test.y)


def _robust_accuracy() -> Iterator[Pair | str]:
    model, split = trained()

    def ours(epsilons: tuple[float, ...] = EPSILONS, **options: bool) -> object:
        return vcviz.robustness_curve(
            model, split, epsilons, batch_size=len(split), progress=False, **options
        )

    work = f"robust accuracy at eight ε, {len(split)} digits"
    yield pair(
        work, lambda: ours(calibration=False), "limit: the largest ε alone",
        lambda: ours(EPSILONS[-1:], calibration=False), rounds=5,
    )  # fmt: skip
    if (line := missing("foolbox")) is not None:
        yield line
        return
    import foolbox

    x, y = torch.tensor(split.x), torch.tensor(split.y)
    boxed = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    pgd = foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=40, random_start=False)

    def theirs() -> Tensor:
        return pgd(boxed, x, y, epsilons=EPSILONS)[2]

    for note, options in (
        ("", {"calibration": False}),
        (", from the largest", {"calibration": False, "descend": True}),
        (", calibration error too", {}),
    ):
        yield pair(
            work + note, lambda options=options: ours(**options), "foolbox's list of ε", theirs,
            rounds=5,
        )  # fmt: skip
