"""Small made-up records and runs whose numbers a test can know."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy.special import log_softmax

from vcviz.explorers.subject import Subject
from vcviz.metrics.robustness.gates import checked
from vcviz.records import (
    LatentFit,
    LatentPrior,
    LatentSet,
    ReliabilityCurve,
    RobustnessCurve,
    Trajectory,
)

NAMES = ("ant", "<b>bee</b>", "cat $x$")


def latents(n: int = 46, dim: int = 2, seed: int = 0, name: str = "latents") -> LatentSet:
    """Three classes around the corners of a triangle; every seventh row is misread."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    z = 5.0 * np.eye(3, dim)[y] + rng.standard_normal((n, dim))
    logits = 4.0 * np.eye(3)[y] + 0.3 * rng.standard_normal((n, 3))
    logits[::7] = np.roll(logits[::7], 1, axis=1)
    return LatentSet(z, log_softmax(logits, axis=1), y, np.arange(n) + 100, NAMES, name)


def prior(dim: int = 2) -> LatentPrior:
    """Unit Gaussians at the corners of the same triangle."""
    return LatentPrior(5.0 * np.eye(3, dim), scale=np.ones((3, dim)))


class FakeRun(Subject):
    """A subject with epochs, as a run has them: its latents drift, its law stays."""

    def __init__(self, head: str = "softmax", dim: int = 2, epochs: tuple[int, ...] = (0, 2, 5)):
        super().__init__(latents(46, dim), prior(dim), "implied" if head == "softmax" else "stated")
        self.name = f"fake-{head}-d{dim}"
        self.config = SimpleNamespace(
            head=head, latent_dim=dim, seed=0, head_options={}, stochastic=False
        )
        self.can_attack = True
        self.epochs = list(epochs)
        self.dim, self.last = dim, epochs[-1]
        self.history = [
            {"epoch": e, "train/total": 2.0 / e, "lr": 0.1, "probe_test/accuracy": 1 - 0.5 / e}
            for e in range(1, self.last + 1)
        ]
        self.attacks = 0

    def latents(self, split: str = "test", epoch: int | None = None) -> LatentSet:
        n = 46 if epoch is None else 31
        lat = latents(n, self.dim, seed=split == "train", name=f"{split} {epoch}")
        share = 1.0 if epoch is None else (epoch + 1) / (self.last + 1)
        return LatentSet(lat.z * share, lat.log_probs, lat.y, lat.index, NAMES, lat.name)

    def prior(self, epoch: int | None = None) -> LatentPrior:
        return prior(self.dim)

    def attack(self, n: int = 9, *, progress: bool = True, **options: object) -> Trajectory:
        self.attacks += 1
        steps, epsilon = int(options.get("steps", 4)), float(options.get("epsilon", 0.1))
        return trajectory(n, steps, self.dim, epsilon)


def trajectory(n: int = 9, steps: int = 4, dim: int = 2, epsilon: float = 0.1) -> Trajectory:
    """Row i leaves its class and is misread from step 1 + i % 4 on; row 8 never is."""
    lat = latents(n, dim)
    rng = np.random.default_rng(3)
    t = np.arange(steps + 1)[:, None]
    z = lat.z[None] + 0.8 * t[..., None]
    wrong = (t >= 1 + np.arange(n) % 4) & (np.arange(n) != 8)
    label = np.where(wrong, (lat.y + 1) % 3, lat.y)
    log_probs = log_softmax(3.0 * np.eye(3)[label], axis=2)
    x = rng.random((n, 1, 4, 5)).astype(np.float32)
    x_adv = np.clip(x + epsilon * np.sign(rng.standard_normal(x.shape)), 0, 1)
    distance = np.repeat(epsilon * t / steps, n, axis=1)
    return Trajectory(
        z, log_probs, distance, x, x_adv, lat.y, epsilon, "linf", "pgd", lat.index, NAMES, "run <i>"
    )


def robustness(name: str = "run", seed: int = 0, still: float = 0.0) -> RobustnessCurve:
    """Accuracy that falls over four radii; `still` is the share of inputs without a gradient."""
    rng = np.random.default_rng(seed)
    accuracy = np.array([0.9, 0.6, 0.3, 0.0])
    ece = 0.9 - accuracy + 0.05 * rng.random(4)
    return RobustnessCurve(
        epsilon=np.array([0.0, 0.05, 0.1, 0.2]),
        accuracy=accuracy,
        accuracy_interval=np.stack([accuracy - 0.02, accuracy + 0.03], axis=1),
        ece=ece,
        ece_interval=np.stack([ece - 0.01, ece + 0.01], axis=1),
        ece_if_calibrated=np.array([0.01, 0.02, 0.03, 0.02]),
        alone=accuracy,
        fell_at=np.repeat([0.0, 0.05, 0.1, 0.2], [1, 3, 3, 3]),
        gates=checked(
            identity=0.0, ball=1.0, reach=0.0, still=still, fell=0.0, steps=0.0, larger=0.0,
            noise=0.0, draws=1, output=0.0, n=10,
        ),
        norm="linf",
        method="pgd",
        steps=7,
        name=name,
    )  # fmt: skip


def curve(name: str = "curve", seed: int = 0) -> ReliabilityCurve:
    """Four bins of unequal width, one of them empty."""
    rng = np.random.default_rng(seed)
    accuracy = np.array([0.1, np.nan, 0.55, 0.8])
    return ReliabilityCurve(
        edges=np.array([0.0, 0.2, 0.5, 0.6, 1.0]),
        count=np.array([5, 0, 10, 20]),
        confidence=np.array([0.15, np.nan, 0.52, 0.9]),
        accuracy=accuracy,
        band_low=accuracy - 0.05,
        band_high=accuracy + 0.04,
        consistency_low=np.array([0.0, np.nan, 0.3, 0.8]),
        consistency_high=np.array([0.3, np.nan, 0.7, 1.0]),
        ece=0.031 + 0.01 * rng.random() * (seed > 0),
        ece_interval=(0.025, 0.038),
        ece_if_calibrated=0.012,
        ece_if_calibrated_interval=(0.005, 0.02),
        ece_debiased=0.021,
        ece_debiased_interval=(0.004, 0.035),
        n=35,
        name=name,
    )


def fit(scale: float = 1.0, name: str = "fit") -> LatentFit:
    """Three classes; the third had too few samples."""
    kl = scale * np.array([1.0, 2.0, np.nan])
    interval = np.stack([0.5 * kl, 1.5 * kl], axis=1)
    auc = np.array([0.5, 0.75, np.nan])
    return LatentFit(
        class_names=NAMES,
        count=np.array([20, 19, 2]),
        kl=kl,
        kl_interval=interval,
        energy=0.1 * kl,
        energy_interval=0.1 * interval,
        energy_p=np.array([0.2, 0.01, np.nan]),
        auc=auc,
        auc_interval=np.stack([auc - 0.1, auc + 0.1], axis=1),
        whitened_variance=np.array([0.5, 1.0, np.nan]),
        name=name,
    )
