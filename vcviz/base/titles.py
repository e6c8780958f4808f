"""What runs are called in titles, legends and menus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def law_of(run: Any) -> str:
    """Return what a run's law is called: "Student-t, full", "implied" or "none"."""
    if run.anticipates != "stated":
        return run.anticipates or "none"
    return ", ".join(_form(run) or [_LAWS["gaussian"]])


def run_titles(runs: Sequence[Any]) -> list[str]:
    """Return short titles that differ: the head's name if that is enough, else more.

    First the family of its law, then the weight of a stochastic encoder's rate, the number of
    latent dimensions, and at last the run's own name.
    """
    heads = [str(getattr(getattr(run, "config", None), "head", run.name)) for run in runs]
    with_law = {head for head, run in zip(heads, runs, strict=True) if _form(run)}
    laws = [
        f"{head}, {', '.join(_form(run) or [_LAWS['gaussian']])}" if head in with_law else head
        for head, run in zip(heads, runs, strict=True)
    ]
    names = [str(run.name) for run in runs]
    titles = (heads, laws, _more(heads, runs, _rate), _more(laws, runs, _rate))
    sized = [_more(some, runs, _size) for some in titles]
    for found in (*titles, *sized, names):
        if len(set(found)) == len(found):
            return found
    return [f"{name} ({i + 1})" for i, name in enumerate(names)]


def _form(run: Any) -> list[str]:
    """Return law and covariance if a run's options name either."""
    options = getattr(getattr(run, "config", None), "head_options", {})
    if not options.keys() & {"law", "covariance"}:
        return []
    form = [str(options["covariance"])] if "covariance" in options else []
    return [law_title(options.get("law", "gaussian")), *form]


def _more(titles: Sequence[str], runs: Sequence[Any], part: Callable[[Any], str]) -> list[str]:
    """Return titles with what `part` says of the config of each run."""
    said = [part(run.config) if hasattr(run, "config") else "" for run in runs]
    return [f"{t}, {p}" if p else t for t, p in zip(titles, said, strict=True)]


def _rate(config: Any) -> str:
    if not getattr(config, "stochastic", False):
        return ""
    return f"rate weight {config.rate_weight:g}"


def _size(config: Any) -> str:
    return f"D = {config.latent_dim}"
