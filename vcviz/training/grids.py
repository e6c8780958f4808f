"""Grids of settings: their cells, and a run of each."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vcviz.base.errors import InputError, clip
from vcviz.runs import Run

Cell = dict[str, Any]
Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]]

#: a grid with more cells than this is taken for a slip of the pen
LARGEST_GRID = 100_000


def train_grid(grid: Grid, **settings: Any) -> list[Run]:
    """Return one run per cell of a grid of settings, trained one after another.

    `vcviz.sweep` does the same several at a time, one on each core, and goes on where one fails.

    Parameters
    ----------
    grid : setting -> values, or a list of such mappings whose cells are put together; dotted names
        reach into options, as in ``{"head_options.margin": [0, 0.1]}``
    settings : as for `vcviz.train`, shared by all runs; options given here are kept beside those of
        the grid

    Returns
    -------
    list of Run
        In the order of the grid, the last setting changing first.

    Raises
    ------
    InputError
        For an empty grid, a setting that is given twice, or as for `vcviz.train`.

    Examples
    --------
    >>> grid = {"head_options.law": ["gaussian", "student_t"]}
    >>> settings = {"head": "gaussian_mixture", "dataset": "mixture", "epochs": 2}
    >>> runs = vcviz.training.train_grid(grid, **settings, progress=False)
    >>> [run.prior().family for run in runs]
    ['gaussian', 'student_t']

    Classes of rising imbalance:

    >>> grid = {"dataset_options.imbalance": [1, 10], "head": ["softmax", "pc_softmax"]}
    >>> runs = vcviz.training.train_grid(grid, dataset="mixture", epochs=2, progress=False)
    >>> for run in runs:
    ...     print(run.title, run.label_frequencies.round(2))
    ...
    softmax [0.21 0.2  0.2  0.19 0.2 ]
    pc_softmax [0.21 0.2  0.2  0.19 0.2 ]
    softmax [0.47 0.26 0.15 0.08 0.04]
    pc_softmax [0.47 0.26 0.15 0.08 0.04]
    """
    from vcviz.training.train_runs import train  # torch: what only reads grids needs none

    encoder = settings.pop("encoder", None)
    # Each begins with the weights that the encoder has now.
    return [
        train(**{"encoder": copy.deepcopy(encoder)} | nested(cell))
        for cell in cells_of(grid, settings)
    ]


def cells_of(grid: Grid, fixed: Mapping[str, Any] | None = None) -> list[Cell]:
    """Return the cells of a grid, each a flat mapping of settings; what comes twice is kept once.

    Raises
    ------
    InputError
        If the grid is empty, a setting has no values or is fixed too, or there are too many cells.
    """
    fixed = dict(fixed or {})
    grids = [grid] if isinstance(grid, Mapping) else grid
    if not isinstance(grids, Sequence) or not all(isinstance(g, Mapping) for g in grids):
        raise InputError(f"a grid is a mapping of settings to values, got {clip(grid)}")
    cells: dict[str, Cell] = {}
    for part in grids:
        axes = {str(name): _axis(str(name), values) for name, values in part.items()}
        if both := sorted(axes.keys() & fixed.keys()):
            raise InputError(f"{both[0]} is both fixed and in the grid; give it once")
        size = 1
        for values in axes.values():
            size *= len(values)
        if len(cells) + size > LARGEST_GRID:
            raise InputError(f"the grid has more than {LARGEST_GRID:,} cells; make it smaller")
        for combination in itertools.product(*axes.values()):
            cell = dict(zip(axes, combination, strict=True))
            cells.setdefault(repr(sorted(cell.items(), key=lambda item: item[0])), fixed | cell)
    if not cells:
        raise InputError("the grid is empty; give settings with values, e.g. seed=0:5")
    return list(cells.values())


def nested(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell with dotted names as mappings: ``head_options.margin`` within its parent."""
    values: dict[str, Any] = {}
    for name, value in cell.items():
        *parents, leaf = name.split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise InputError(f"{name} needs {parent} to be a mapping, it is {clip(place)}")
        if isinstance(place.get(leaf), dict) and isinstance(value, Mapping):
            place[leaf] = {**place[leaf], **value}
        else:
            place[leaf] = dict(value) if isinstance(value, Mapping) else value
    return values


def _axis(name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence | range):
        values = [values]
    if not len(values):
        raise InputError(f"{name} has no values in the grid")
    return [v for value in values for v in (numbers_of(value) or [value])]


def numbers_of(value: Any) -> list[int]:
    """Return the numbers of ``first:end`` or ``first:end:step``; nothing for any other value."""
    if not isinstance(value, str) or not re.fullmatch(r"-?\d+:-?\d+(:-?\d+)?", value):
        return []
    first, end, *step = (int(part) for part in value.split(":"))
    if step == [0] or not (numbers := list(range(first, end, *step))):
        raise InputError(f"the range {value} holds no number; it is first:end, the end left out")
    return numbers
