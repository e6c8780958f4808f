"""vcviz beside the tools that people use instead: times, and what each of them does not do.

``python -m benchmarks peers`` times them in one run; widgets are timed in JupyterLab by
``python -m benchmarks.explorers``. Peers: ``pip install -e '.[oracles]' lightning`` and
``pip install --no-deps torchattacks``.
"""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import torch
from nbformat.v4 import new_code_cell, new_notebook
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import vcviz
from benchmarks.calibration import predictions
from benchmarks.pairs import Pair, Work, missing, pair
from benchmarks.reading import EPSILONS, images, small_cnn, trained
from vcviz.headless import run_notebook
from vcviz.headless.notebooks import RENDERER

CLASSES, BINS, ROWS = 10, 15, 1_000_000


def pairs() -> Iterator[Pair | str]:
    """Yield every comparison with a peer that is installed, and a line for each that is not."""
    for modules, compare in (
        (("torchmetrics",), _torchmetrics),
        (("netcal",), _netcal),
        (("relplot",), _relplot),
        (("calibration",), _verified),
        (("torchattacks",), _torchattacks),
        (("foolbox",), _foolbox),
        (("art",), _art),
        (("lightning",), _lightning),
        (("papermill",), _papermill),
    ):
        line = missing(*modules)
        if line is not None:
            yield line
        else:
            yield from compare()


def _beside(
    work: str, ours: Work, peer: str, theirs: Work, *, lacks: str, rounds: int = 9,
    goal: float | None = None, now: Callable[[], float] | None = None,
) -> Pair:  # fmt: skip
    """Time ours and a peer, and say what the peer does not do."""
    return pair(work, ours, f"{peer}: {lacks}", theirs, rounds=rounds, goal=goal, now=now)


# ---------------------------------------------------------------- calibration


def _ece() -> tuple[str, Callable[[], float], np.ndarray, np.ndarray]:
    log_probs, y = predictions(ROWS)
    mine = log_probs.astype(np.float32)
    work = f"ECE, {ROWS:,} rows in float32"
    return work, lambda: vcviz.expected_calibration_error(mine, y), np.exp(mine), y


def _torchmetrics() -> Iterator[Pair]:
    from torchmetrics.functional.classification import multiclass_calibration_error

    work, ours, probs, y = _ece()
    given, labels = torch.tensor(probs), torch.tensor(y)
    yield _beside(
        work, ours, "torchmetrics",
        lambda: multiclass_calibration_error(given, labels, num_classes=CLASSES, n_bins=BINS),
        lacks="no interval, no value for a calibrated model, no figure",
    )  # fmt: skip


def _netcal() -> Iterator[Pair]:
    from netcal.metrics import ECE

    work, ours, probs, y = _ece()
    yield _beside(
        work, ours, "netcal", lambda: ECE(BINS).measure(probs, y),
        lacks="no value for a calibrated model; its diagram has no noise",
    )  # fmt: skip


def _bands() -> tuple[str, Callable[[], object], np.ndarray, np.ndarray]:
    log_probs, y = predictions(ROWS)
    work = f"ECE with 1000-resample band and consistency bars, {ROWS:,} rows"
    return work, lambda: vcviz.reliability_curve(log_probs, y), np.exp(log_probs), y


def _relplot() -> Iterator[Pair]:
    import relplot

    work, ours, probs, y = _bands()
    confidence, right = probs.max(1), probs.argmax(1) == y
    yield _beside(
        work, ours, "relplot, its 200 resamples and no bars",
        lambda: relplot.prepare_rel_diagram(confidence, right), rounds=1, goal=100,
        lacks="no value for a calibrated model, no debiased ECE",
    )  # fmt: skip


def _verified() -> Iterator[Pair]:
    import calibration

    work, ours, probs, y = _bands()

    def error(data: list) -> float:
        of, labels = zip(*data, strict=True)
        return calibration.get_calibration_error(of, labels, p=1, debias=False, mode="top-label")

    yield _beside(
        work, ours, "verified_calibration, one resample alone",
        lambda: calibration.utils.bootstrap_uncertainty(
            list(zip(probs, y, strict=True)), error, num_samples=1
        ),
        rounds=1, goal=100, lacks="no consistency bars, no figure",
    )  # fmt: skip


# ---------------------------------------------------------------- attacks

_PGD = "PGD-40 keeping every step, 256 images"
_LAST = "keeps the last input only: no path, no latents, no checks of the attack"


def _pgd() -> tuple[nn.Module, vcviz.Split, Tensor, Tensor, Callable[[], object]]:
    model, few = small_cnn(), images(256)

    def ours() -> vcviz.Trajectory:
        return vcviz.attack(model, few, epsilon=0.1, steps=40, progress=False)

    return model, few, torch.tensor(few.x), torch.tensor(few.y), ours


def _torchattacks() -> Iterator[Pair]:
    import torchattacks

    model, _, clean, labels, ours = _pgd()
    attack = torchattacks.PGD(model, eps=0.1, alpha=0.025, steps=40, random_start=False)
    yield _beside(
        _PGD, ours, "torchattacks", lambda: attack(clean, labels), rounds=5, goal=1, lacks=_LAST
    )


def _foolbox() -> Iterator[Pair]:
    import foolbox

    model, _, clean, labels, ours = _pgd()
    boxed = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    pgd = foolbox.attacks.LinfPGD(abs_stepsize=0.025, steps=40, random_start=False)
    yield _beside(
        _PGD, ours, "foolbox", lambda: pgd(boxed, clean, labels, epsilons=0.1), rounds=5, goal=1,
        lacks=_LAST,
    )  # fmt: skip
    model, split = trained()
    x, y = torch.tensor(split.x), torch.tensor(split.y)
    boxed = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    relative = foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=40, random_start=False)
    for note, options in (
        ("", {"calibration": False}),
        (", from the largest", {"calibration": False, "descend": True}),
        (", calibration error too", {}),
    ):
        yield _beside(
            f"robust accuracy at eight ε, {len(y)} digits{note}",
            lambda options=options: vcviz.robustness_curve(
                model, split, EPSILONS, batch_size=len(y), progress=False, **options
            ),
            "foolbox's list of ε", lambda: relative(boxed, x, y, epsilons=EPSILONS)[2], rounds=5,
            lacks="no interval, no calibration error",
        )  # fmt: skip


def _art() -> Iterator[Pair]:
    logging.getLogger("art").setLevel(logging.ERROR)
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    model, few, _, _, ours = _pgd()
    estimator = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), input_shape=(1, 28, 28), nb_classes=10, clip_values=(0, 1),
        device_type="cpu",
    )  # fmt: skip
    theirs = ProjectedGradientDescentPyTorch(
        estimator, eps=0.1, eps_step=0.025, max_iter=40, batch_size=256, verbose=False
    )
    yield _beside(
        _PGD, ours, "ART", lambda: theirs.generate(few.x, few.y), rounds=5, goal=1, lacks=_LAST
    )


# ---------------------------------------------------------------- training and notebooks


def _lightning() -> Iterator[Pair]:
    """Ten epochs of a small classifier, and what each keeps of them."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    train, test = vcviz.load_data("digits", seed=0)
    x, y = torch.tensor(train.x).float() / 255, torch.tensor(train.y)
    epochs, batch = 10, 200

    class Plain(lightning.LightningModule):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def training_step(self, rows: list[Tensor], _number: int) -> Tensor:
            return nn.functional.nll_loss(self.model(rows[0]), rows[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=2e-3)

    with tempfile.TemporaryDirectory() as root:
        numbers = itertools.count()

        def ours() -> vcviz.Run:
            return vcviz.train(
                dataset=(train, test), head="softmax", latent_dim=16, epochs=epochs,
                batch_size=batch, probe_every=epochs, device="cpu", progress=False,
                out=Path(root) / str(next(numbers)),
            )  # fmt: skip

        model = ours().model()

        def theirs() -> None:
            loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)
            trainer = lightning.Trainer(
                max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
                enable_model_summary=False, enable_checkpointing=False, default_root_dir=root,
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trainer.fit(Plain(model), loader)

        yield _beside(
            f"{epochs} epochs on {len(train):,} digits, MLP, run folder with latents kept", ours,
            "Lightning, nothing kept", theirs, rounds=5,
            lacks="no latents, no record of data and settings unless written by hand",
        )  # fmt: skip


#: what a cell holds, by what the notebook is called
_CELLS = {
    "20 empty cells": (20, "pass"),
    "12 figures of 20,000 points": (
        12,
        "import numpy as np, plotly.graph_objects as go\n"
        "x = np.random.default_rng(0).standard_normal((2, 20_000))\n"
        "go.Figure(go.Scattergl(x=x[0], y=x[1], mode='markers'))",
    ),
}


def _papermill() -> Iterator[Pair]:
    """The notebook runner, without a page; by the clock, as kernels wait too."""
    import papermill

    os.environ["PLOTLY_RENDERER"] = RENDERER  # papermill is to save the same
    options: dict[str, Any] = {"html": False, "images": False, "progress": False}
    with tempfile.TemporaryDirectory() as root:
        for name, (count, code) in _CELLS.items():
            source, ours, theirs = (Path(root) / f"{k}.ipynb" for k in ("cells", "ours", "theirs"))
            nb = new_notebook(cells=[new_code_cell(code) for _ in range(count)])
            nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
            nbformat.write(nb, source)
            yield _beside(
                f"run_notebook, {name}", lambda s=source, o=ours: run_notebook(s, out=o, **options),
                "papermill",
                lambda s=source, o=theirs: papermill.execute_notebook(s, o, progress_bar=False),
                rounds=5, now=time.perf_counter,
                lacks="no page, no check of parameters beforehand",
            )  # fmt: skip
