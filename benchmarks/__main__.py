"""One table of all comparisons, as Markdown; peers that are missing are named."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

import vcviz
from benchmarks.pairs import Pair, pair

HEADER = ["work", "against", "ours, ms", "other, ms", "other / ours: median (range)"]


def calibration(n: int) -> Iterator[Pair | str]:
    """ECE alone, and with bands, on n rows of 10 classes."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((n, 10))
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    y = rng.integers(0, 10, n)

    def ours() -> float:
        return vcviz.expected_calibration_error(log_probs, y)

    if importlib.util.find_spec("torchmetrics"):
        from torchmetrics.functional.classification import multiclass_calibration_error

        probs, labels = torch.tensor(np.exp(log_probs)), torch.tensor(y)
        yield pair(
            f"ECE, {n:,} rows", ours, "torchmetrics",
            lambda: multiclass_calibration_error(probs, labels, num_classes=10, n_bins=15),
        )  # fmt: skip
    else:
        yield "torchmetrics is not installed: pip install -e '.[oracles]'"
    yield pair(
        f"ECE with 1000 resamples and consistency bars, {n:,} rows",
        lambda: vcviz.reliability_curve(log_probs, y), "ECE alone", ours,
    )  # fmt: skip


def reading() -> Iterator[Pair]:
    """`extract_latents` against the bare forward pass, and PGD against a bare loop."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 10),
    ).eval()  # fmt: skip
    rng = np.random.default_rng(0)
    x = rng.random((4096, 1, 28, 28), dtype=np.float32)
    y = rng.integers(0, 10, 4096)
    split = vcviz.Split(x, y)
    batches = torch.tensor(x).split(1024)

    def forward() -> None:
        with torch.no_grad():
            for batch in batches:
                model(batch)

    yield pair(
        "extract_latents, 4,096 images, small CNN",
        lambda: vcviz.extract_latents(model, split, progress=False), "bare forward pass", forward,
    )  # fmt: skip

    few = split.take(np.arange(256))
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

    yield pair("PGD-40 keeping every step, 256 images", ours, "bare loop keeping none", loop)


def starting() -> Iterator[Pair]:
    """What it costs to import the package and to ask for help."""

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    yield pair("import vcviz", lambda: run("-c", "import vcviz"), "python -c pass",
               lambda: run("-c", "pass"))  # fmt: skip
    yield pair("vcviz --help", lambda: run("-m", "vcviz", "--help"), "python -c pass",
               lambda: run("-c", "pass"))  # fmt: skip


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}\n")
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for found in (*calibration(10_000), *calibration(1_000_000), *reading(), *starting()):
        print("| " + " | ".join(found.row()) + " |" if isinstance(found, Pair) else found)


if __name__ == "__main__":
    main()
