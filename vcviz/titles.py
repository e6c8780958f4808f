"""What runs are called in titles, legends and menus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def run_titles(runs: Sequence[Any]) -> list[str]:
    """Return short titles that differ: the head's name if that is enough, else more."""
    heads = [str(getattr(getattr(run, "config", None), "head", run.name)) for run in runs]
    sized = [
        f"{head}, D = {run.config.latent_dim}" if hasattr(run, "config") else head
        for head, run in zip(heads, runs, strict=True)
    ]
    names = [str(run.name) for run in runs]
    for titles in (heads, sized, names):
        if len(set(titles)) == len(titles):
            return titles
    return [f"{name} ({i + 1})" for i, name in enumerate(names)]
