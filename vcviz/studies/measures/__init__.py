"""What is measured of a finished run beside its test metrics, kept in the run's folder."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip, unknown
from vcviz.base.options import check_options
from vcviz.runs import Run
from vcviz.studies.measures.calibrated import calibration, human
from vcviz.studies.measures.latent import fit, strangers
from vcviz.studies.measures.shifted import attack, corruption, label_shift
from vcviz.studies.measures.store import read_scores, scores_of, write_scores

__all__ = ["MEASURES", "check_measures", "measure", "measured", "scores_of"]


#: name -> (run, **options) -> name of a number -> its value; one more is a function and a line here
MEASURES: dict[str, Callable[..., dict[str, float]]] = {
    "attack": attack,
    "calibration": calibration,
    "corruption": corruption,
    "fit": fit,
    "human": human,
    "label_shift": label_shift,
    "strangers": strangers,
}


def check_measures(wanted: Any) -> dict[str, dict[str, Any]]:
    """Return what is wanted, measure -> options, if all of it is known.

    Parameters
    ----------
    wanted : mapping of measure to its options (None for the defaults), or a list of measures

    Raises
    ------
    InputError
        For an unknown measure or option, with the nearest name, or a missing one.
    """
    if isinstance(wanted, (list, tuple)):
        wanted = dict.fromkeys(wanted)
    if not isinstance(wanted, Mapping):
        raise InputError(f"measures are a mapping of names to options, got {clip(wanted)}")
    found = {}
    for name, options in wanted.items():
        if name not in MEASURES:
            raise unknown("measure", name, MEASURES)
        if options is not None and not isinstance(options, Mapping):
            raise InputError(f"options of measure {name!r} are a mapping, got {clip(options)}")
        known = [
            p for p in inspect.signature(MEASURES[name]).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        ]  # fmt: skip
        found[name] = dict(options or {})
        check_options(f"measure {name!r}", found[name], [p.name for p in known])
        for p in known:
            if p.default is p.empty and p.name not in found[name]:
                raise InputError(f"measure {name!r} needs the option {p.name}")
    return found


def measured(run: Run, wanted: Any) -> bool:
    """Return whether all of what is wanted is in the run's folder already."""
    known = read_scores(run.path)
    return all(
        name in known and known[name]["options"] == options
        for name, options in check_measures(wanted).items()
    )


@takes_records
def measure(run: Run, wanted: Any) -> dict[str, float]:
    """Return the numbers of these measures of a run; what its folder lacks is measured now.

    Parameters
    ----------
    run : a finished run that can load its data again
    wanted : as for `check_measures`, e.g. ``{"attack": {"epsilons": [0.1]}, "fit": None}``

    Returns
    -------
    dict
        Name of a number -> its value; `vcviz.records.numbers.title` says what a name means.

    Raises
    ------
    InputError
        For what is unknown, or does not fit the run.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> numbers = vcviz.studies.measure(run, {"fit": None})
    >>> list(numbers)
    ['train_energy', 'train_kl', 'train_variance', 'test_energy', 'test_kl', 'test_variance']
    """
    known = read_scores(run.path)
    numbers: dict[str, float] = {}
    for name, options in check_measures(wanted).items():
        if name not in known or known[name]["options"] != options:
            start = time.monotonic()
            values = MEASURES[name](run, **options)
            seconds = round(time.monotonic() - start, 2)
            known[name] = {"options": options, "values": values, "seconds": seconds}
            write_scores(run.path, known)
        numbers |= known[name]["values"]
    return numbers
