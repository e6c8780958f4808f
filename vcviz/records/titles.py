"""What runs are called in titles, legends and menus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vcviz.records.trained import Trained

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
    return ", ".join(_form(run.config) or [_LAWS["gaussian"]])


def run_titles(runs: Sequence[Any]) -> list[str]:
    """Return short titles that differ: the head's name if that is enough, else more.

    First the family of its law, then the weight of a stochastic encoder's rate, the number of
    latent dimensions, and at last the run's own name.
    """
    names = [str(run.name) for run in runs]
    configs = [run.config if isinstance(run, Trained) else None for run in runs]
    heads = [n if c is None else c.head for c, n in zip(configs, names, strict=True)]
    forms = [[] if c is None else _form(c) for c in configs]
    with_law = {head for head, form in zip(heads, forms, strict=True) if form}
    laws = [
        f"{head}, {', '.join(form or [_LAWS['gaussian']])}" if head in with_law else head
        for head, form in zip(heads, forms, strict=True)
    ]
    rates = [
        f"rate weight {c.rate_weight:g}" if c is not None and c.stochastic else "" for c in configs
    ]
    sizes = ["" if c is None else f"D = {c.latent_dim}" for c in configs]
    titles = (heads, laws, _joined(heads, rates), _joined(laws, rates))
    sized = [_joined(some, sizes) for some in titles]
    for found in (*titles, *sized, names):
        if len(set(found)) == len(found):
            return found
    return [f"{name} ({i + 1})" for i, name in enumerate(names)]


def _form(config: Any) -> list[str]:
    """Return law and covariance if a run's options name either."""
    options = config.head_options
    if not options.keys() & {"law", "covariance"}:
        return []
    form = [str(options["covariance"])] if "covariance" in options else []
    return [law_title(options.get("law", "gaussian")), *form]


def _joined(titles: Sequence[str], more: Sequence[str]) -> list[str]:
    return [", ".join(filter(None, pair)) for pair in zip(titles, more, strict=True)]
