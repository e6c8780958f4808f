"""What is measured of a finished run beside its test metrics, kept in the run's folder."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip, unknown
from vcviz.runs import Run
from vcviz.studies.measures.calibrated import calibration, human
from vcviz.studies.measures.latent import fit, strangers
from vcviz.studies.measures.shifted import attack, corruption, label_shift
from vcviz.studies.measures.store import read_scores, scores_of, write_scores

__all__ = ["MEASURES", "Measure", "check_measures", "measure", "measured", "scores_of"]


@dataclass(frozen=True)
class Measure:
    """Something to measure.

    Attributes
    ----------
    function : (run, **options) -> name of a number -> its value
    """

    function: Callable[..., dict[str, float]]

    @property
    def options(self) -> dict[str, Any]:
        """Option -> its default, `inspect.Parameter.empty` where it has none."""
        found = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}


#: name -> measure; one more is a function and a line here
MEASURES: dict[str, Measure] = {
    "attack": Measure(attack),
    "calibration": Measure(calibration),
    "corruption": Measure(corruption),
    "fit": Measure(fit),
    "human": Measure(human),
    "label_shift": Measure(label_shift),
    "strangers": Measure(strangers),
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
        known = MEASURES[name].options
        found[name] = dict(options or {})
        for option in found[name]:
            if option not in known:
                raise unknown(f"option of measure {name!r}", option, known)
        for option, default in known.items():
            if default is inspect.Parameter.empty and option not in found[name]:
                raise InputError(f"measure {name!r} needs the option {option}")
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
            values = MEASURES[name].function(run, **options)
            seconds = round(time.monotonic() - start, 2)
            known[name] = {"options": options, "values": values, "seconds": seconds}
            write_scores(run.path, known)
        numbers |= known[name]["values"]
    return numbers
