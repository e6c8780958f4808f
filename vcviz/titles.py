"""What runs are called in titles, legends and menus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LAWS = {
    "gaussian": "Gaussian",
    "student_t": "Student-t",
    "laplace": "Laplace",
    "von_mises_fisher": "von Mises–Fisher",
    "custom": "own law",
}


def law_title(law: Any) -> str:
    """Return what a law is called: a family's name, or that of a distribution's description."""
    if isinstance(law, Mapping):
        name = law
        while isinstance(inner := name.get("base_distribution"), Mapping):
            name = inner
        return str(name.get("distribution", _LAWS["custom"]))
    return _LAWS.get(str(law), str(law))


def run_titles(runs: Sequence[Any]) -> list[str]:
    """Return short titles that differ: the head's name if that is enough, else more.

    First the family of its law, then the number of latent dimensions, then the run's own name.
    """
    heads = [str(getattr(getattr(run, "config", None), "head", run.name)) for run in runs]
    laws = [_with_law(head, run) for head, run in zip(heads, runs, strict=True)]
    names = [str(run.name) for run in runs]
    for titles in (heads, laws, _sized(heads, runs), _sized(laws, runs), names):
        if len(set(titles)) == len(titles):
            return titles
    return [f"{name} ({i + 1})" for i, name in enumerate(names)]


def _with_law(head: str, run: Any) -> str:
    options = getattr(getattr(run, "config", None), "head_options", {})
    form = [str(options[key]) for key in ("covariance",) if key in options]
    law = law_title(options["law"]) if "law" in options else (_LAWS["gaussian"] if form else "")
    return ", ".join([head, *([law] if law else []), *form])


def _sized(titles: Sequence[str], runs: Sequence[Any]) -> list[str]:
    return [
        f"{title}, D = {run.config.latent_dim}" if hasattr(run, "config") else title
        for title, run in zip(titles, runs, strict=True)
    ]
