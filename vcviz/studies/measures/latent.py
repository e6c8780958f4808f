"""Measures of the latents: how well their law fits, and how well strangers are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_count
from vcviz.data import load_strangers
from vcviz.data.strangers import STRANGERS
from vcviz.latents import extract_latents
from vcviz.metrics.fit import latent_fit
from vcviz.metrics.ood import auroc, available, fpr_at_tpr, score
from vcviz.records import Split
from vcviz.runs import Run

#: scores that are measured of those that a run has -> what the names of their numbers end in
_SCORES = {"max_prob": "", "log_marginal": "_density", "mahalanobis": "_mahalanobis"}
#: strangers that were read, and how many of them are kept
_read: dict[str, Split] = {}
_KEPT = 4


def fit(run: Run) -> dict[str, float]:
    """Return how well p(z|y) fits the latents of both splits, means over the classes.

    ``train_energy`` and ``test_energy`` (energy distance of whitened latents, 0 = equal laws),
    ``…_kl`` (moment KL, nats) and ``…_variance`` (1 = as anticipated). Of a softmax layer the law
    is the Gaussian that it implies; a head without a law has no numbers.
    """
    law = run.prior()
    if law is None:
        return {}
    found = {}
    for which in ("train", "test"):
        one = latent_fit(run.latents(which), law, resamples=0, progress=False)
        found[f"{which}_energy"] = one.mean("energy")
        found[f"{which}_kl"] = one.mean("kl")
        found[f"{which}_variance"] = one.mean("whitened_variance")
    return found


def strangers(run: Run, *, sets: Mapping[str, Any], rows: int = 1000) -> dict[str, float]:
    """Return how well out-of-distribution inputs are told from test rows.

    Parameters
    ----------
    run : a run that can load its data again
    sets : name, such as "near" or "far" -> "noise", "inverted", "rotated", or a dataset whose test
        rows are the strangers: its name, or a mapping with ``dataset`` and options of
        `vcviz.data.load_strangers`. They need no labels.
    rows : of each, and of the test split, at most

    Returns
    -------
    dict
        For each set, e.g. ``near``: ``near_auroc`` and ``near_fpr95`` of the largest probability
        and, of runs with a law, of log p(z) (``near_auroc_density``); and of the Mahalanobis
        distance (``near_auroc_mahalanobis``).
    """
    check_count("rows", rows)
    test, model = run.split("test"), run.model()
    chosen = np.random.default_rng(run.config.seed).permutation(len(test))[:rows]
    known = run.latents("test")
    known = known.take(np.isin(known.index, chosen))
    parts: dict[str, Any] = {"prior": run.prior(), "train": run.latents("train")}
    found = {}
    methods: Any = [m for m in available(known, **parts) if m in _SCORES]
    for name, source in sets.items():
        other = _stranger_rows(test.take(np.sort(chosen)), source, rows, run.config.seed)
        lat = extract_latents(model, other, seed=run.config.seed, progress=False)
        for method in methods:
            sides = [score(side, method, **parts) for side in (known, lat)]
            found[f"{name}_auroc{_SCORES[method]}"] = auroc(*sides)
            if method == "max_prob":
                found[f"{name}_fpr95"] = fpr_at_tpr(*sides)
    return found


def _stranger_rows(test: Split, source: Any, rows: int, seed: int) -> Split:
    """Return at most `rows` strangers, made ready as the test rows were; labels say nothing."""
    if isinstance(source, str):
        source = {"dataset": source}
    if not isinstance(source, Mapping) or not isinstance(source.get("dataset"), str):
        raise InputError(
            f"strangers are one of {', '.join(STRANGERS)}, or a dataset, got {clip(source)}"
        )
    if source["dataset"] in STRANGERS:
        return load_strangers(source["dataset"], test, seed=seed)
    options = {"seed": seed, **{k: v for k, v in source.items() if k != "dataset"}}
    # What was read once serves the next run on the same data.
    key = json.dumps(
        [source, seed, rows, dict(test.preprocessing), test.class_names], sort_keys=True
    )
    if key not in _read:
        while len(_read) >= _KEPT:
            del _read[next(iter(_read))]
        _read[key] = load_strangers(
            source["dataset"], test, max_rows=rows, progress=False, **options
        )
    return _read[key]
