"""What an AdversarialExplorer attacks: runs, attacked as asked, or attacks that were made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError
from vcviz.explorers.adversarial_controls import NO_TARGET, AttackValues
from vcviz.explorers.panel_data import projected
from vcviz.explorers.subject import Subject
from vcviz.figures.trajectory import Scene
from vcviz.figures.trajectory_paths import ColorBy, pick_samples
from vcviz.records import LatentPrior, RobustnessCurve, Trajectory
from vcviz.records.titles import run_titles
from vcviz.runs import Run
from vcviz.studies.compare.attacks import CHECKS

Report = Callable[[int, int], None]
#: radii of a curve
_RADII = 8
#: values of inputs at all steps that are kept for pictures
_KEPT = 60_000_000


class Attacked:
    """Attacks on several sources, kept once they were made.

    Parameters
    ----------
    attacked : as for `AdversarialExplorer`
    rows : test rows to attack: the first so many, or their numbers

    Attributes
    ----------
    titles : one a source
    has_runs : whether anything can be attacked anew
    """

    def __init__(self, attacked: Any, rows: int | Sequence[int]) -> None:
        self.items = _listed(attacked)
        self.rows: Any = rows
        self.has_runs = any(not isinstance(item, Trajectory) for item, _ in self.items)
        self.titles = run_titles([item for item, _ in self.items])
        self._given: dict[tuple[int, AttackValues], Trajectory] = {}
        self._report: Report | None = None

    def give(self, i: int, options: AttackValues, path: Trajectory) -> None:
        """Take an attack that was made already as that of source `i` with these options."""
        self._given[i, options] = path

    def path(self, i: int, options: AttackValues, report: Report | None = None) -> Trajectory:
        """Return the attack on a source, `report` is told of every step.

        Raises
        ------
        InputError
            Whatever goes wrong: an explorer shows it and lives on.
        """
        item = self.items[i][0]
        if isinstance(item, Trajectory):
            return item
        if (i, options) in self._given:
            return self._given[i, options]
        with self._reporting(report):
            return self._path(i, options)

    def curves(self, options: AttackValues, report: Report | None = None) -> list[RobustnessCurve]:
        """Return accuracy and ECE of every run against radii up to twice the present one.

        Raises
        ------
        InputError
            If no source can be attacked anew, or the attack has a target.
        """
        able = [i for i, (item, _) in enumerate(self.items) if not isinstance(item, Trajectory)]
        if not able:
            raise InputError("an attack that was made already has no curve; pass the run itself")
        if options.target != NO_TARGET:
            raise InputError("curves are of attacks without a target; set the target to none")
        found = []
        for k, i in enumerate(able):

            def passed_on(done: int, total: int, k: int = k) -> None:
                if report is not None:
                    report(k * total + done, len(able) * total)

            with self._reporting(passed_on):
                found.append(self._curve(i, options))
        return found

    @cached_method(32)
    def scene(
        self,
        i: int,
        options: AttackValues,
        axes: tuple[Any, ...] | None,
        classes: tuple[int, ...],
        which: str,
        numbers: tuple[int, ...],
        color: ColorBy,
        narrow: bool,
        low: bool,
    ) -> Scene:
        """Return what is drawn of an attack, for the values of an explorer's controls."""
        path = self.path(i, options)
        item, prior = self.items[i]
        if not isinstance(item, Trajectory):
            prior = item.prior()
        everyone = which == "evenly" and set(np.unique(path.y)) <= set(classes)
        samples = None if everyone else pick_samples(path, which, classes, numbers).tolist()
        projection = None
        if axes is not None and axes != ("pca",):  # else the scene's own choice
            projection = projected(path.at(0), prior, axes)
        return Scene(
            path,
            prior,
            projection=projection,
            samples=samples,
            color=color,
            narrow=narrow,
            low=low,
        )

    # ---------------------------------------------------------- parts

    @contextlib.contextmanager
    def _reporting(self, report: Report | None) -> Iterator[None]:
        """Tell `report` of what is made inside; results are kept without it."""
        self._report = report
        try:
            yield
        finally:
            self._report = None

    @cached_method(16)
    def _path(self, i: int, options: AttackValues) -> Trajectory:
        item = self.items[i][0]
        given = options.arguments()
        shape = item.data["input_shape"] if isinstance(item, Run) else (0,)
        n = np.size(self.rows) if np.ndim(self.rows) else self.rows
        size = np.prod(shape) * n * (given["steps"] + 1)
        more = {"checks": CHECKS, "keep_inputs": bool(size <= _KEPT), "report": self._report}
        return _safely(lambda: item.attack(self.rows, progress=False, **given, **more))

    @cached_method(64)
    def _curve(self, i: int, options: AttackValues) -> RobustnessCurve:
        item = self.items[i][0]
        given = options.arguments()
        del given["targeted"]
        largest = 2 * (given.pop("epsilon") or 0.05)
        radii = np.linspace(0, largest, _RADII + 1)[1:].round(6).tolist()
        return _safely(
            lambda: item.robustness(
                self.rows, epsilons=radii, name=self.titles[i], progress=False,
                report=self._report, **given,
            )
        )  # fmt: skip


def _safely(work: Callable[[], Any]) -> Any:
    """Return what `work` does; what goes wrong in a model becomes a message."""
    try:
        return work()
    except InputError:
        raise
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(f"the attack failed: {reason}") from error


def _listed(attacked: Any) -> list[tuple[Any, LatentPrior | None]]:
    if _is_pair(attacked) or not isinstance(attacked, (list, tuple)):
        attacked = [attacked]
    found: list[tuple[Any, LatentPrior | None]] = []
    for given in attacked:
        item, prior = given if _is_pair(given) else (given, None)
        if not isinstance(item, (Run, Subject, Trajectory)):
            raise InputError(
                f"AdversarialExplorer takes runs or Trajectory records, got {type(item).__name__}"
            )
        if not isinstance(item, Trajectory) and not item.can_attack:
            raise InputError(
                f"{item.name!r} cannot be attacked: text has no gradients, "
                "latents no model, normalised images a range that is not known, and an encoder or "
                "data that were passed in memory cannot be had again"
            )
        if not any(item is other for other, _ in found):
            found.append((item, prior))
    if not found:
        raise InputError("nothing to explore: pass a run or a Trajectory")
    return found


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Trajectory)
