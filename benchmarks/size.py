"""Time and peak memory at ImageNet's size: `python -m benchmarks.size`, each case a process.

``python -m benchmarks.size small`` runs one of `CASES` alone. A step that fails is a line too.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

#: case -> rows, dimensions, classes, and whether latents and log-probabilities lie in files
CASES = {
    "small": (20_000, 1024, 500, False),
    "large": (50_000, 2048, 1000, False),
    "mapped": (1_281_167, 512, 1000, True),
    "figure": (10_000, 64, 1000, False),
}
#: steps of a case, where not all
STEPS = {
    "small": ("implied law", "latent_fit", "reliability", "plot_latents"),
    "figure": ("explore", "first figure"),
}
_BLOCK = 20_000


def made(n: int, dim: int, classes: int, folder: Path | None) -> tuple[Any, ...]:
    """Return latents, log-probabilities, labels, weight and bias of a classifier of this size.

    Latents are Gaussian about class means, with variances from .01 to 1, after a ReLU that silences
    a few units; log-probabilities are those of the linear discriminant, sharpened by half.
    """
    rng = np.random.default_rng(0)
    means = rng.standard_normal((classes, dim), np.float32) * 0.25
    spread = np.geomspace(0.1, 1, dim, dtype=np.float32)
    weight = means / spread**2 / (1 + dim / 200)
    bias = -0.5 * (means * weight).sum(1)
    y = rng.integers(0, classes, n)
    shapes = ((n, dim), (n, classes))
    if folder is None:
        z, log_probs = (np.empty(shape, np.float32) for shape in shapes)
    else:
        z, log_probs = (
            np.lib.format.open_memmap(folder / f"{i}.npy", "w+", np.float32, shape)
            for i, shape in enumerate(shapes)
        )
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        noise = rng.standard_normal((rows.stop - start, dim), np.float32)
        z[rows] = np.maximum(means[y[rows]] + spread * noise, -0.5)
        z[rows, :3] = 0
        scores = 1.5 * (z[rows] @ weight.T + bias)
        scores -= scores.max(1, keepdims=True)
        log_probs[rows] = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    if folder is not None:
        z, log_probs = (np.load(folder / f"{i}.npy", mmap_mode="r") for i in (0, 1))
    return z, log_probs, y, 1.5 * weight, 1.5 * bias


def steps(z: Any, log_probs: Any, y: Any, weight: Any, bias: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and work of every step; each may use what those before it left."""
    import vcviz
    from vcviz.metrics import ood
    from vcviz.metrics.calibration import fit_temperature
    from vcviz.metrics.posthoc import recalibrate

    kept: dict[str, Any] = {}

    def keep(name: str, work: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            kept[name] = work()
            return kept[name]

        return run

    yield "latents", keep("lat", lambda: vcviz.LatentSet(z, log_probs, y))
    lat = kept["lat"]
    yield "implied law", keep("law", lambda: vcviz.implied_prior(weight, bias, lat))
    law = kept["law"]
    yield "latent_fit", lambda: vcviz.latent_fit(lat, law, progress=False)
    yield "reliability", lambda: vcviz.reliability_curve(lat.log_probs, lat.y)
    yield "temperature", lambda: fit_temperature(lat.log_probs, lat.y)
    yield "vector scaling", lambda: recalibrate(lat.log_probs, lat.y, "vector")
    yield "PCA", lambda: vcviz.fit_projection(lat, method="pca", prior=law)
    yield "LDA", lambda: vcviz.fit_projection(lat, method="lda")
    for method in ood.METHODS:
        if method != "energy":  # which the latents do not carry here
            yield f"score {method}", lambda m=method: ood.score(lat, m, prior=law, train=lat)
    yield "plot_latents", lambda: vcviz.plot_latents(lat, law)

    def explored() -> Any:
        return vcviz.explore(latents=z, log_probs=log_probs, y=y, weight=weight, bias=bias)

    yield "explore", keep("explored", explored)
    yield "first figure", lambda: kept["explored"].latents.figure()


def measure(case: str) -> None:
    """Print a line for each step of a case: seconds of the processor, and the peak until then."""
    n, dim, classes, mapped = CASES[case]
    warnings.filterwarnings("ignore", "knn:")  # says that it takes a sample
    with tempfile.TemporaryDirectory() as folder:
        arrays = made(n, dim, classes, Path(folder) if mapped else None)
        told = ", in files" if mapped else ""
        print(f"{case}: {n:,} × {dim:,}, {classes:,} classes{told}; made: {_peak()}", flush=True)
        total = 0.0
        for name, work in steps(*arrays):
            if name not in STEPS.get(case, (name,)) and name != "latents":
                if name == "implied law":  # what comes later needs it
                    work()
                continue
            start = time.process_time()
            found = work()
            spent = time.process_time() - start
            total += spent
            size = ""
            if hasattr(found, "to_json"):
                size = f", {len(found.data)} traces, {len(found.to_json()) / 1e6:.2f} MB"
            print(f"  {name}: {spent:.1f} s, {_peak()}{size}", flush=True)
        print(f"  together: {total:.1f} s, {_peak()}", flush=True)


def _peak() -> str:
    """Return the most memory that this process has had, and what of it now is not of files."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    status = Path("/proc/self/status")
    if not status.exists():
        return f"peak {most:.2f} GB"
    found = dict(line.split(":", 1) for line in status.read_text().splitlines())
    own = int(found["RssAnon"].split()[0]) / 1e6
    return f"peak {most:.2f} GB (now {own:.2f} without files)"


def main() -> None:
    """Run the cases that are named, or all, each in a process of its own."""
    parser = argparse.ArgumentParser("benchmarks.size", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--here", action="store_true", help="in this process")
    options = parser.parse_args()
    if stray := sorted(set(options.cases) - set(CASES)):
        parser.error(f"no case {stray[0]!r}; choose from: {', '.join(CASES)}")
    for case in options.cases or CASES:
        if options.here:
            measure(case)
        else:
            command = [sys.executable, "-m", "benchmarks.size", "--here", case]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
