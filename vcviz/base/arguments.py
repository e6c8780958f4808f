"""Records that functions are given: a wrong one is refused in a line, as the signature has it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vcviz.base.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

#: record -> where one comes from
SOURCES = {
    "ActivationMaps": "see vcviz.latents.info_cam",
    "LatentPrior": "of a run it is run.prior(), of a model vcviz.prior_of(model)",
    "LatentSet": "of a run it is run.latents(), of a model vcviz.extract_latents(model, data)",
    "LogitLaw": "see vcviz.latents.logit_law",
    "Projection": "see vcviz.fit_projection",
    "ReliabilityCurve": "see vcviz.reliability_curve",
    "RobustnessCurve": "see vcviz.robustness_curve",
    "Run": "see vcviz.train and vcviz.load_run",
    "Scoreboard": "see vcviz.studies.load_scoreboard",
    "Split": "build one from arrays: vcviz.Split(x, y)",
    "Trajectory": "see vcviz.attack",
}


def takes_records(function: F) -> F:
    """Return a function that refuses anything but the records that its signature asks for.

    Looked at are parameters that take records alone: one, or one or several, as in ``lat:
    LatentSet``, ``prior: LatentPrior | None`` and ``curves: ReliabilityCurve |
    Sequence[ReliabilityCurve]``. What else a parameter takes is the function's own business.

    Raises
    ------
    InputError
        From the function, before it begins.
    """
    positional = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is not p.KEYWORD_ONLY
    ]

    @functools.cache
    def kinds() -> dict[str, tuple[tuple[type, ...], tuple[type, ...]]]:
        found = {k: _kinds(v, function) for k, v in function.__annotations__.items()}
        return {k: v for k, v in found.items() if v is not None}

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(positional, args, strict=False)) | kwargs
        for name, wanted in kinds().items():
            if name in given:
                _check(name, given[name], *wanted)
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]


def one_or_several(name: str, records: T | Sequence[T]) -> list[T]:
    """Return the records that a figure or table is made of, at least one."""
    found = list(records) if isinstance(records, Sequence) else [records]
    if not found:
        raise InputError(f"{name} must be at least one record, got an empty list")
    return found


def _kinds(
    annotation: object, function: Callable[..., Any]
) -> tuple[tuple[type, ...], tuple[type, ...]] | None:
    """Return which records an annotation names alone, and which in sequences; None if others."""
    known = {**inspect.unwrap(function).__globals__, "None": type(None), "str": str}
    alone: list[type] = []
    several: list[type] = []
    for part in str(annotation).split(" | "):
        inner = part.removeprefix("Sequence[").removesuffix("]")
        kind = known.get(inner)
        ours = getattr(kind, "__module__", "").startswith("vcviz.") or inner in ("None", "str")
        if not isinstance(kind, type) or not ours:
            return None
        (alone if inner == part else several).append(kind)
    return (tuple(alone), tuple(several)) if {*alone, *several} - {str, type(None)} else None


def _check(name: str, value: object, alone: tuple[type, ...], several: tuple[type, ...]) -> None:
    if isinstance(value, alone):
        return
    if several and isinstance(value, Sequence):
        wrong = [one for one in value if not isinstance(one, several)]
        if not wrong and not isinstance(value, str):
            return
        value = wrong[0] if wrong else value
    names = ["name" if k is str else k.__name__ for k in alone if k is not type(None)]
    names += [f"list of {kind.__name__}" for kind in several]
    source = next((s for kind in (*alone, *several) if (s := SOURCES.get(kind.__name__))), "")
    kinds = " or ".join(f"{'an' if k[0] in 'AEIOU' else 'a'} {k}" for k in names)
    raise InputError(
        f"{name} must be {kinds}, got {type(value).__name__}" + (f"; {source}" if source else "")
    )
