"""The search for the defaults of the variational head, by the rule in docs/defaults.md.

``python -m benchmarks.defaults sift final test --data FOLDER --out FOLDER`` does each part that is
named; what is in the folder already is not trained again. FOLDER of the data holds Fashion-MNIST,
CIFAR-10, AG News, TREC and CLINC150, a subfolder of Parquet files each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vcviz
from benchmarks.claims.tables import difference, table
from vcviz.data import load_data
from vcviz.data.subsets import stratified_split
from vcviz.models.laws.means import separation_for
from vcviz.records import Split

SEEDS = {"sift": (100,), "final": (0, 1, 2, 3, 4), "test": (5, 6, 7, 8, 9)}
MOST_TEST_ROWS = 5000
#: heading -> the number and its digits
COLUMNS = {
    "accuracy": ("accuracy", 3),
    "ECE": ("ece", 3),
    "NLL": ("nll", 3),
    "energy, judged": ("test_energy", 3),
    "variance, judged": ("test_variance", 2),
    "energy, trained on": ("train_energy", 3),
    "variance, trained on": ("train_variance", 2),
    "separation": ("separation", 1),
}
CNN = {"encoder": "cnn", "encoder_options": {"width": 8, "hidden": [64]}}


@dataclass(frozen=True)
class Task:
    """Data and the settings that all heads share on them."""

    data: str
    rows: int
    judged: int
    settings: dict[str, Any]


TASKS = {
    "digits D=2": Task("digits", 1198, 299, {"latent_dim": 2, "epochs": 200}),
    "digits D=16": Task("digits", 1198, 299, {"latent_dim": 16, "epochs": 100}),
    "Fashion-MNIST": Task("fashion_mnist", 6000, 2000, {"latent_dim": 16, "epochs": 15, **CNN}),
    "CIFAR-10": Task("cifar10", 8000, 2000, {"latent_dim": 16, "epochs": 15, **CNN}),
    "AG News": Task("ag_news", 6000, 2000, {"latent_dim": 8, "epochs": 15}),
    "TREC": Task("trec6", 5400, 1400, {"latent_dim": 8, "epochs": 20}),
    "CLINC150": Task("clinc150", 12000, 3000, {"latent_dim": 32, "epochs": 20}),
    "breast cancer": Task("breast_cancer", 455, 113, {"latent_dim": 4, "epochs": 60}),
}


@dataclass(frozen=True)
class Candidate:
    """Settings that are tried; `error` makes a separation of C and D."""

    settings: dict[str, Any] = field(default_factory=dict)
    head_options: dict[str, Any] = field(default_factory=dict)
    error: float | None = None


def vc(
    *, error: float | None = 0.05, rate: float = 0.01, to: str = "law", steps: int = 1,
    layers: int = 1, law_lr: float = 10.0, likelihood_weight: float = 1.0, **head_options: Any,
) -> Candidate:  # fmt: skip
    """Return a candidate of the variational head with a stochastic encoder."""
    return Candidate(
        {
            "head": "variational", "stochastic": True, "rate_weight": rate, "rate_to": to,
            "critic_steps": steps, "law_lr_scale": law_lr,
        },
        {"critic_layers": layers, "likelihood_weight": likelihood_weight, **head_options},
        error,
    )  # fmt: skip


BASELINES = {
    "softmax": Candidate({"head": "softmax"}),
    "gaussian_mixture": Candidate({"head": "gaussian_mixture"}),
    "softmax, stochastic": Candidate({"head": "softmax", "stochastic": True, "rate_weight": 0.03}),
}
CANDIDATES = {
    "lead: rate to N(0, I), separation 4, critic 2 x 2": vc(
        rate=0.03, to="normal", law_lr=1.0, likelihood_weight=0.1, separation=4.0, error=None,
        layers=2, steps=2,
    ),
    "law's rate .03, slow law, likelihood .1": vc(rate=0.03, law_lr=1.0, likelihood_weight=0.1),
    "likelihood .1": vc(likelihood_weight=0.1),
    "likelihood .3": vc(likelihood_weight=0.3),
    "base": vc(),
    "rate .03": vc(rate=0.03),
    "rate .003": vc(rate=0.003),
    "rate to N(0, I)": vc(to="normal"),
    "error .01": vc(error=0.01),
    "error .2": vc(error=0.2),
    "separation 4": vc(error=None, separation=4.0),
    "critic weight .3": vc(critic_weight=0.3),
    "critic weight 3": vc(critic_weight=3.0),
    "critic 2 x 2": vc(layers=2, steps=2),
    "penalty .3": vc(critic_penalty=0.3),
    "law 3 x": vc(law_lr=3.0),
    "law 30 x": vc(law_lr=30.0),
    "learned scale": vc(learn_scale=True, shared_scale=True),
    # Added when the sift of those above was there: what had helped, together.
    "rate .03, critic weight .3": vc(rate=0.03, critic_weight=0.3),
    "rate .03, critic 2 x 2": vc(rate=0.03, layers=2, steps=2),
    "rate .03, likelihood .3": vc(rate=0.03, likelihood_weight=0.3),
    "critic weight .3, critic 2 x 2": vc(critic_weight=0.3, layers=2, steps=2),
    "rate .03, critic weight .3, critic 2 x 2": vc(
        rate=0.03, critic_weight=0.3, layers=2, steps=2
    ),
    "rate .03, critic weight .3, likelihood .3": vc(
        rate=0.03, critic_weight=0.3, likelihood_weight=0.3
    ),
}  # fmt: skip


def options(candidate: Candidate, n_classes: int, dim: int) -> dict[str, Any]:
    """Return the head options of a candidate for data of C classes."""
    found = dict(candidate.head_options)
    if candidate.error is not None:
        found["separation"] = separation_for(n_classes, dim, candidate.error)
    return found


@cache
def splits(task: str, part: str, seed: int, folder: str) -> tuple[Split, Split]:
    """Return the rows to train on and those to judge by."""
    want = TASKS[task]
    if want.data == "breast_cancer":
        train, test = _breast_cancer(seed)
    else:
        source = want.data if want.data == "digits" else f"path:{folder}/{want.data}"
        own = {} if want.data == "digits" else {"n_train": want.rows}
        train, test = load_data(source, seed=seed, progress=False, **own)
    if part == "test":
        few = np.random.default_rng(seed).permutation(len(test))[:MOST_TEST_ROWS]
        return train, test.take(np.sort(few))
    return stratified_split(train, want.judged / len(train), seed=seed)


def _breast_cancer(seed: int) -> tuple[Split, Split]:
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    x, y = load_breast_cancer(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y)
    mean, scale = x.mean(0), x.std(0)
    names = ("malignant", "benign")
    return tuple(  # type: ignore[return-value]
        Split(((a - mean) / scale).astype("float32"), b, names, f"breast cancer {w}", "table")
        for a, b, w in ((x, y, "train"), (x_test, y_test, "test"))
    )


def trial(name: str, candidate: Candidate, task: str, part: str, seed: int, data: str) -> Any:
    """Train once and return the numbers that the rule asks for."""
    torch.set_num_threads(1)
    train, judged = splits(task, part, seed, data)
    start = time.perf_counter()
    settings = TASKS[task].settings | candidate.settings
    head_options = options(candidate, train.n_classes, settings["latent_dim"])
    with tempfile.TemporaryDirectory() as out:
        run = vcviz.train(
            splits=(train, judged), head_options=head_options, seed=seed, out=out, threads=1,
            probe_every=10**6, probe_size=20, progress=False, **settings,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        row = {"name": name, "task": task, "part": part, "seed": seed, "seconds": seconds}
        row |= {k: run.metrics[k] for k in ("accuracy", "ece", "nll")}
        # The law that a softmax layer implies is not asked about.
        law = None if "softmax" in settings["head"] else run.prior()
        if law is not None:
            apart = np.linalg.norm(law.mean[:, None] - law.mean, axis=2)
            np.fill_diagonal(apart, np.inf)
            row["separation"] = float(np.median(apart.min(1)) / law.scale.mean())
            for split in ("train", "test"):
                fit = vcviz.latent_fit(run.latents(split), law, resamples=0, progress=False)
                row[f"{split}_energy"] = fit.mean("energy")
                row[f"{split}_variance"] = fit.mean("whitened_variance")
    return row


def wanted(part: str, names: Mapping[str, Candidate], done: Sequence[Any]) -> Iterator[Any]:
    """Yield the trials of a part that are not there yet."""
    there = {(r["name"], r["task"], r["part"], r["seed"]) for r in done}
    for seed in SEEDS[part]:
        for task in TASKS:
            for name, candidate in names.items():
                if (name, task, part, seed) not in there:
                    yield name, candidate, task, part, seed


def requirements(name: str, rows: Sequence[Any]) -> dict[str, dict[str, bool]]:
    """Return requirement -> task -> whether the means over seeds meet it."""
    met: dict[str, dict[str, bool]] = {"accuracy": {}, "calibration": {}, "law": {}, "picture": {}}
    for task in TASKS:
        ours, softmax, mixture = (means(n, task, rows) for n in (name, *list(BASELINES)[:2]))
        flat = task == "digits D=2"
        met["accuracy"][task] = ours["accuracy"] >= softmax["accuracy"] - 0.005
        met["calibration"][task] = ours["ece"] <= softmax["ece"] and ours["nll"] <= softmax["nll"]
        share, (low, high) = (1.0, (0, np.inf)) if flat else (0.2, (0.7, 1.3))
        met["law"][task] = bool(
            ours["test_energy"] <= share * mixture["test_energy"]
            and low <= ours["test_variance"] <= high
        )
        if flat:
            met["picture"][task] = bool(
                0.7 <= ours["train_variance"] <= 1.3 and ours["train_energy"] < 0.05
            )
    return met


def means(name: str, task: str, rows: Sequence[Any]) -> dict[str, float]:
    """Return the means over seeds of the numbers of a candidate on a task."""
    found = [r for r in rows if r["name"] == name and r["task"] == task]
    if not found:
        raise SystemExit(f"{name!r} has no runs on {task}")
    numbers = [k for k, v in found[0].items() if isinstance(v, float)]
    return {k: float(np.mean([r[k] for r in found])) for k in numbers}


def relative_nll(name: str, rows: Sequence[Any]) -> float:
    """Return the mean over tasks of log NLL - log NLL of softmax."""
    logs = [np.log(means(n, t, rows)["nll"]) for n in (name, "softmax") for t in TASKS]
    return float(np.mean(logs[: len(TASKS)]) - np.mean(logs[len(TASKS) :]))


def best(rows: Sequence[Any], names: Sequence[str], n: int | None = None) -> list[str]:
    """Return `names`, the best first: by the rule of the sift if `n`, else by that of the end."""

    def place(name: str) -> Any:
        met = requirements(name, rows)
        held = [sum(of.values()) for of in met.values()]
        return (-sum(held) if n else [-h for h in held], relative_nll(name, rows))

    return sorted(names, key=place)[:n]


def read(path: Path) -> list[Any]:
    """Return the rows of a file of results."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(part: str, rows: Sequence[Any], names: Sequence[str]) -> str:
    """Return the Markdown of a part: a line for each candidate, then each task."""
    rows = [r for r in rows if r["part"] == part]
    lines = []
    for name in names:
        met = requirements(name, rows)
        held = [f"{sum(of.values())} of {len(of)}" for of in met.values()]
        lines.append([name, *held, f"{np.exp(relative_nll(name, rows)):.3f}"])
    header = ["setting", "accuracy", "calibration", "law", "picture", "NLL / softmax"]
    text = table(header, lines)
    for task in TASKS:
        lines = [[name, *cells(name, task, rows)] for name in (*BASELINES, *names)]
        text += f"\n**{task}**\n\n" + table(["setting", *COLUMNS], lines)
    return text


def cells(name: str, task: str, rows: Sequence[Any]) -> list[str]:
    """Return the numbers of a candidate on a task, those beside softmax with intervals."""
    of = means(name, task, rows)
    found = [f"{of[k]:.{digits}f}" if k in of else "–" for k, digits in COLUMNS.values()]
    if name == "softmax":
        return found
    for i, key in enumerate(("accuracy", "ece", "nll")):
        pair = [
            [r[key] for r in sorted(rows, key=lambda r: r["seed"]) if (r["name"], r["task"]) == of_]
            for of_ in ((name, task), ("softmax", task))
        ]
        if len(pair[0]) > 1:
            gain = difference(*pair)
            found[i] += f" ({gain.value:+.3f} ± {gain.reach:.3f})"
    return found


def main(parts: Sequence[str], data: str, out: Path, workers: int) -> None:
    """Do the parts of the search that are named."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "rows.jsonl"
    for part in ("sift", "final", "test"):
        if part not in parts:
            continue
        names = list(CANDIDATES)
        if part != "sift":
            names = best([r for r in read(file) if r["part"] == "sift"], names, 3)
        if part == "test":
            names = best([r for r in read(file) if r["part"] == "final"], names)[:1]
        todo = list(wanted(part, BASELINES | {n: CANDIDATES[n] for n in names}, read(file)))
        with ProcessPoolExecutor(workers) as pool, file.open("a") as written:
            submit: Callable[..., Any] = pool.submit
            futures = [submit(trial, *one, data) for one in todo]
            for i, future in enumerate(futures):
                written.write(json.dumps(future.result()) + "\n")
                written.flush()
                print(f"{part} {i + 1}/{len(todo)}", *todo[i][:1], todo[i][2], flush=True)
        (out / f"{part}.md").write_text(report(part, read(file), names))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=tuple(SEEDS))
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    main(asked.parts, asked.data, asked.out, asked.workers)
