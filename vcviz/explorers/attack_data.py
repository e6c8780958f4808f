"""What an AdversarialExplorer attacks: runs, attacked as asked, or attacks that were made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from vcviz.base.errors import InputError
from vcviz.base.titles import run_titles
from vcviz.explorers.panel_data import projected
from vcviz.figures.trajectory import Scene
from vcviz.figures.trajectory_paths import pick_samples
from vcviz.records import LatentPrior, RobustnessCurve, Trajectory
from vcviz.studies.compare.attacks import CHECKS

Options = tuple[tuple[str, Any], ...]
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
        self.rows = rows
        self.has_runs = any(not isinstance(item, Trajectory) for item, _ in self.items)
        self.titles = run_titles([item for item, _ in self.items])
        self._made: dict[tuple[int, Options], Trajectory] = {}
        self._path = lru_cache(maxsize=16)(self._attack)
        self.scene = lru_cache(maxsize=32)(self._new_scene)
        self._curve = lru_cache(maxsize=64)(self._new_curve)
        self._report: Callable[[int, int], None] | None = None

    def give(self, i: int, options: Options, path: Trajectory) -> None:
        """Take an attack that was made already as that of source `i` with these options."""
        self._made[i, options] = path

    def path(
        self, i: int, options: Options, report: Callable[[int, int], None] | None = None
    ) -> Trajectory:
        """Return the attack on a source, `report` is told of every step.

        Raises
        ------
        InputError
            Whatever goes wrong: an explorer shows it and lives on.
        """
        item = self.items[i][0]
        if isinstance(item, Trajectory):
            return item
        if (i, options) in self._made:
            return self._made[i, options]
        self._report = report
        try:
            return self._path(i, options)
        finally:
            self._report = None

    def curves(
        self, options: Options, report: Callable[[int, int], None] | None = None
    ) -> list[RobustnessCurve]:
        """Return accuracy and ECE of every run against radii up to twice the present one.

        Raises
        ------
        InputError
            If no source can be attacked anew, or the attack has a target.
        """
        able = [i for i, (item, _) in enumerate(self.items) if hasattr(item, "robustness")]
        if not able:
            raise InputError("an attack that was made already has no curve; pass the run itself")
        if dict(options).get("targeted") is not None:
            raise InputError("curves are of attacks without a target; set the target to none")
        found = []
        for k, i in enumerate(able):

            def told(done: int, total: int, k: int = k) -> None:
                if report is not None:
                    report(k * total + done, len(able) * total)

            self._report = told
            try:
                found.append(self._curve(i, options))
            finally:
                self._report = None
        return found

    # ---------------------------------------------------------- parts

    def _attack(self, i: int, options: Options) -> Trajectory:
        item = self.items[i][0]
        chosen = dict(options)
        size = _size(item) * _count(self.rows) * (int(chosen.get("steps", 1)) + 1)
        # Those who brought objects of their own need not know of options that are not in use.
        chosen = {k: v for k, v in chosen.items() if (k, v) not in _USUAL}
        more = {"checks": CHECKS, "keep_inputs": size <= _KEPT, "report": self._report}
        return _safely(lambda: item.attack(self.rows, progress=False, **chosen, **more))

    def _new_curve(self, i: int, options: Options) -> RobustnessCurve:
        item = self.items[i][0]
        chosen = {k: v for k, v in options if k not in ("epsilon", "targeted")}
        largest = 2 * (dict(options)["epsilon"] or 0.05)
        radii = np.linspace(0, largest, _RADII + 1)[1:].round(6).tolist()
        return _safely(
            lambda: item.robustness(
                self.rows, epsilons=radii, name=self.titles[i], progress=False,
                report=self._report, **chosen,
            )
        )  # fmt: skip

    def _new_scene(
        self,
        i: int,
        options: Options,
        axes: tuple[Any, ...] | None,
        classes: tuple[int, ...],
        which: str,
        numbers: tuple[int, ...],
        narrow: bool,
        low: bool,
    ) -> Scene:
        path = self.path(i, options)
        item, prior = self.items[i]
        if not isinstance(item, Trajectory):
            prior = item.prior()
        everyone = which == "evenly" and set(np.unique(path.y)) <= set(classes)
        samples = None if everyone else pick_samples(path, which, classes, numbers).tolist()
        projection = None
        if axes is not None and axes != ("pca",):  # else the scene's own choice
            projection = projected(path.at(0), prior, axes)
        return Scene(path, prior, projection=projection, samples=samples, narrow=narrow, low=low)


_USUAL = (("loss", "ce"), ("targeted", None))


def _safely(work: Callable[[], Any]) -> Any:
    """Return what `work` does; what goes wrong in a model becomes a message."""
    try:
        return work()
    except InputError:
        raise
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(f"the attack failed: {reason}") from error


def _size(item: Any) -> int:
    """Return how many values an input has, 0 if it is not known."""
    shape = getattr(item, "input_shape", None)
    if shape is None and hasattr(item, "data"):
        shape = item.data.get("input_shape")
    return int(np.prod(shape)) if shape else 0


def _count(rows: int | Sequence[int]) -> int:
    return int(rows) if np.ndim(rows) == 0 else len(rows)  # type: ignore[arg-type]


def _listed(attacked: Any) -> list[tuple[Any, LatentPrior | None]]:
    if _is_pair(attacked) or not isinstance(attacked, (list, tuple)):
        attacked = [attacked]
    found: list[tuple[Any, LatentPrior | None]] = []
    for item in attacked:
        pair = item if _is_pair(item) else (item, None)
        if not any(pair[0] is other for other, _ in found):
            found.append(pair)
    if not found:
        raise InputError("nothing to explore: pass a run or a Trajectory")
    for item, _ in found:
        if not isinstance(item, Trajectory) and not hasattr(item, "attack"):
            raise InputError(
                f"AdversarialExplorer takes runs or Trajectory records, got {type(item).__name__}"
            )
        if getattr(item, "can_attack", True) is False:
            raise InputError(
                f"{getattr(item, 'name', 'this')!r} cannot be attacked: text has no gradients, "
                "latents no model, normalised images a range that is not known, and an encoder or "
                "data that were passed in memory cannot be had again"
            )
    return found


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Trajectory)
