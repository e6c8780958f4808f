"""How many draws a prediction of a stochastic encoder needs.

VC as it is by default, on rows held out of training. A prediction is the mean of p(y|z) over S
draws of q(z|x); its error is the distance of its largest probability from that of 1,024 draws.
``python -m benchmarks.draws --data FOLDER``, with the data of `benchmarks.defaults`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator

import numpy as np
import torch

import vcviz
from benchmarks.claims.tables import table
from benchmarks.defaults import TASKS, splits
from vcviz.metrics.calibration import expected_calibration_error, negative_log_likelihood
from vcviz.models.posterior import LatentPosterior

DRAWS = (1, 2, 4, 8, 16, 32, 64)
REFERENCE, REPEATS = 1024, 10


def rows(task: str, data: str) -> Iterator[list[str]]:
    """Yield one row for each number of draws on a task."""
    train, judged = splits(task, "sift", 100, data)
    with tempfile.TemporaryDirectory() as out:
        run = vcviz.train(
            head="variational", splits=(train, judged), seed=0, out=out, probe_every=10**6,
            probe_size=20, progress=False, **TASKS[task].settings,
        )  # fmt: skip
        model = run.model()
    with torch.no_grad():
        q = model.posterior(torch.as_tensor(np.array(judged.x)))
        exact = _prediction(model, q, REFERENCE, 0)
        for n in DRAWS:
            found = [_prediction(model, q, n, seed) for seed in range(1, REPEATS + 1)]
            error = [np.abs(np.exp(p.max(1)) - np.exp(exact.max(1))) for p in found]
            accuracy = [(p.argmax(1) == judged.y).mean() for p in found]
            ece = [expected_calibration_error(p, judged.y) for p in found]
            nll = [negative_log_likelihood(p, judged.y) for p in found]
            yield [
                task, str(n), f"{np.mean(error):.4f}", f"{np.quantile(error, 0.95):.3f}",
                f"{np.mean(accuracy):.4f} ({np.std(accuracy):.4f})",
                f"{np.mean(ece):.4f} ({np.std(ece):.4f})", f"{np.mean(nll):.4f}",
            ]  # fmt: skip


def _prediction(model: torch.nn.Module, q: LatentPosterior, draws: int, seed: int) -> np.ndarray:
    """Return (N, C) log-probabilities of so many draws, a few at a time."""
    generator = torch.Generator().manual_seed(seed)
    step = min(draws, 64)
    model.predict_draws = step
    parts = [model.predict(q, generator=generator)[0].double() for _ in range(draws // step)]
    return (torch.stack(parts).logsumexp(0) - np.log(len(parts))).numpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument(
        "--tasks", nargs="+", default=["digits D=2", "digits D=16", "Fashion-MNIST"]
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    header = [
        "task", "draws", "error of the largest probability, mean", "its 95 % quantile",
        "accuracy (sd over draws)", "ECE (sd)", "NLL",
    ]  # fmt: skip
    print(table(header, [row for task in asked.tasks for row in rows(task, asked.data)]))
