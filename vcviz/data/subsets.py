"""Stratified splits, low-data and imbalanced subsets, by a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count, check_fraction, check_number
from vcviz.records import Split

#: share of the rows that become the test split where the data has none of its own
TEST_FRACTION = 1 / 3
IMBALANCES = ("step", "exponential")


@takes_records
def subset(split: Split, n: int, *, seed: int = 0) -> Split:
    """Return `n` rows of a split, classes in proportion and none lost, in source order.

    Subsets are nested: with one seed, the rows of a smaller `n` are among those of a larger one.

    Parameters
    ----------
    split : the rows to choose from
    n : rows to keep, at least one for every class that occurs
    seed : which rows are chosen

    Returns
    -------
    Split
        `index` still says which rows of the source they are.

    Raises
    ------
    InputError
        If `n` is smaller than the number of classes or larger than the split.

    Examples
    --------
    >>> train, _ = vcviz.load_data("digits")
    >>> few, more = vcviz.data.subset(train, 20), vcviz.data.subset(train, 50)
    >>> few.class_counts, bool(np.isin(few.index, more.index).all())  # nested
    (array([2, 2, 2, 2, 2, 2, 2, 2, 2, 2]), True)
    """
    return split.take(subset_rows(split.y, n, seed=seed, name=split.name))


@takes_records
def imbalanced(
    split: Split,
    ratio: float,
    *,
    kind: str = "step",
    largest: int | None = None,
    seed: int = 0,
) -> Split:
    """Return rows of a split in which some classes are `ratio` times rarer, in source order.

    With one seed, the rows of a class in a choice that keeps fewer of it are among those of one
    that keeps more.

    Parameters
    ----------
    split : the rows to choose from
    ratio : rows of the most frequent class over those of the rarest, 1 or more
    kind : "step": classes 0, 2, 4, … are rare, the others frequent (Qin et al.'s even and odd
        digits); "exponential": the rows fall geometrically from class 0 to the last (a long tail)
    largest : rows of the most frequent class; default as many as the data allow
    seed : which rows are chosen

    Returns
    -------
    Split
        `index` still says which rows of the source they are.

    Raises
    ------
    InputError
        If a class has too few rows for it, or the rarest would be left without any.

    Examples
    --------
    >>> train, _ = vcviz.load_data("digits")
    >>> vcviz.data.imbalanced(train, 10, largest=100).class_counts
    array([ 10, 100,  10, 100,  10, 100,  10, 100,  10, 100])
    >>> vcviz.data.imbalanced(train, 10, kind="exponential", largest=100).class_counts
    array([100,  77,  60,  46,  36,  28,  22,  17,  13,  10])
    """
    rows = imbalanced_rows(
        split.class_counts, check_number("ratio", ratio, least=1), kind, largest, split.name
    )
    return split.take(_choose(split.y, rows, seed))


def imbalanced_rows(
    counts: NDArray[np.int64], ratio: float, kind: str, largest: int | None, name: str = "data"
) -> NDArray[np.int64]:
    """Return how many rows of each class `imbalanced` keeps of `counts`."""
    check_choice("kind", kind, IMBALANCES)
    n_classes = len(counts)
    place = np.arange(n_classes)
    rarity = (place % 2 == 0) if kind == "step" else place / (n_classes - 1)
    share = ratio ** -np.asarray(rarity, float)
    room = counts / share
    scarce = int(room.argmin())
    most = int(room.min()) if largest is None else check_count("largest", largest)
    if most > room.min() + 0.5 / share[scarce]:
        raise InputError(
            f"{most} rows of the largest class at {ratio:g}:1 take {round(most * share[scarce])} "
            f"of class {scarce} of {name!r}, which has {counts[scarce]}; lower largest="
        )
    if most * share.min() < 0.5:
        raise InputError(
            f"at {ratio:g}:1 the rarest of the classes of {name!r} would have no rows, the largest "
            f"having {most}; choose a smaller ratio"
        )
    rows = np.minimum(np.rint(most * share).astype(np.int64), counts)
    return np.maximum(rows, 1)


def stratified_split(split: Split, fraction: float, *, seed: int = 0) -> tuple[Split, Split]:
    """Return the rest and a part that holds `fraction` of the rows, classes in proportion.

    A class of two rows or more has rows on both sides; a single row stays in the rest. Both sides
    keep the source order.

    Raises
    ------
    InputError
        If a side would have fewer rows than classes.
    """
    rest, part = split_rows(split.y, fraction, seed=seed, name=split.name)
    return split.take(rest), split.take(part)


def train_and_test(whole: Split, fraction: float, *, seed: int) -> tuple[Split, Split]:
    """Return the two sides of `stratified_split`, named after the whole."""
    rest, part = split_rows(whole.y, fraction, seed=seed, name=whole.name)
    return whole.take(rest, f"{whole.name} train"), whole.take(part, f"{whole.name} test")


def subset_rows(
    y: NDArray[np.int64], n: int, *, seed: int, name: str = "data"
) -> NDArray[np.int64]:
    """Return the sorted positions of a stratified choice of `n` of the labels `y`."""
    n = check_count("n", n)
    counts = np.bincount(y)
    present = int((counts > 0).sum())
    if n > len(y):
        raise InputError(f"{n} rows were asked of {name!r}, which has {len(y)}")
    if n < present:
        raise InputError(
            f"{n} rows cannot hold the {present} classes of {name!r}; ask for {present} or more"
        )
    return _choose(y, _allocate(counts, n, low=np.minimum(counts, 1), high=counts), seed)


def some_rows(n: int, most: int | None, seed: int) -> NDArray[np.int64]:
    """Return the sorted positions of at most so many of `n` rows, chosen at random."""
    if most is None or check_count("max_rows", most) >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])


def split_rows(
    y: NDArray[np.int64], fraction: float, *, seed: int, name: str = "data"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sorted positions of the rest and of the part that `stratified_split` makes."""
    fraction = check_fraction("fraction", fraction)
    counts = np.bincount(y)
    low, high = np.minimum(counts // 2, 1), np.maximum(counts - 1, 0)
    n = round(fraction * len(y))
    if not low.sum() <= n <= high.sum() or n == 0:
        raise InputError(
            f"a fraction of {fraction:.3g} splits the {len(y)} rows of {name!r} into "
            f"{len(y) - n} and {n}, which leaves some of its {(counts > 0).sum()} classes without "
            "a row; use more rows or another fraction"
        )
    part = _choose(y, _allocate(counts, n, low, high), seed)
    rest = np.setdiff1d(np.arange(len(y)), part, assume_unique=True)
    return rest, part


def _allocate(
    counts: NDArray[np.int64], n: int, low: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return rows per class by Webster's divisor rule, within [low, high].

    A divisor rule never takes a row back when `n` grows, which is what makes subsets nested;
    rounding each share by itself would not.
    """
    room = high - low
    classes = np.repeat(np.arange(len(counts)), room)
    step = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    order = np.argsort((2 * step + 1) / counts[classes], kind="stable")
    return low + np.bincount(classes[order[: n - low.sum()]], minlength=len(counts))


def _choose(y: NDArray[np.int64], take: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    chosen = [rng.permutation(np.flatnonzero(y == k))[:count] for k, count in enumerate(take)]
    return np.sort(np.concatenate(chosen))
