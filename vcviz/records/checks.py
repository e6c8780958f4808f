"""Checks at the boundary: whatever enters a record is an array of the right shape and kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_count

_BLOCK = 8192
#: by how much the sum of probabilities of 16 bits may be off one
_COARSE = 0.05
#: a label beyond is a mistake, such as a row number, unless the classes have names
_MOST_CLASSES = 1_000_000
#: larger numbers are refused: squares and ratios of what is left stay finite
LARGEST = 1e30


def as_array(name: str, value: ArrayLike, ndim: int | None = None) -> NDArray[Any]:
    """Return `value` as an array, refusing ragged input and a wrong number of axes.

    A torch tensor is taken as it is, on whatever device and with or without a gradient. What
    torch could not take (negative strides, another byte order, long doubles) is copied.
    """
    if hasattr(value, "detach"):
        tensor: Any = value.detach().cpu()
        # NumPy has no bfloat16.
        value = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
    try:
        array = np.asarray(value)
        if array.dtype.name == "bfloat16":  # of JAX's arrays
            array = array.astype(np.float32)
    except (ValueError, TypeError) as error:  # torch refuses bfloat16 with the latter
        raise InputError(f"{name} must be a rectangular array: {error}") from None
    if array.dtype == object:
        raise InputError(f"{name} must be a numeric array, got dtype object; convert it first")
    if np.ma.is_masked(value):
        raise InputError(f"{name} has masked values, which would count; leave them out first")
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} axes, got shape {array.shape}")
    if array.dtype.kind == "f" and array.itemsize > 8:
        return array.astype(np.float64)
    if not array.dtype.isnative or min(array.strides, default=0) < 0:
        return array.astype(array.dtype.newbyteorder("="), order="C")
    return array


def as_numbers(name: str, value: ArrayLike, ndim: int | None = None) -> NDArray[Any]:
    """Return `value` as an array of numbers or truths, of whatever type they have."""
    array = as_array(name, value, ndim)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be numeric, got dtype {array.dtype}")
    return array


def as_float(
    name: str, value: ArrayLike, ndim: int | None = None, dtype: type | None = np.float32
) -> NDArray[Any]:
    """Return `value` as a finite float array of `dtype`; None keeps float32 and float64."""
    array = as_numbers(name, value, ndim)
    if dtype is None:
        dtype = array.dtype.type if array.dtype in (np.float32, np.float64) else np.float64
    with np.errstate(over="ignore"):  # what overflows float32 is refused below, as infinite
        array = np.asarray(array, dtype=dtype)
    with np.errstate(invalid="ignore"):
        # Both are NaN if one value is; an array of truths as large as this one is never made.
        ends = (array.max(), array.min()) if array.size else ()
    if not all(np.isfinite(end) for end in ends):
        bad = int((~np.isfinite(array)).sum())
        raise InputError(f"{name} has {bad} NaN or infinite values; remove them first")
    if array.itemsize > 2 and any(abs(end) > LARGEST for end in ends):
        raise InputError(
            f"{name} must stay within {LARGEST:g} either way; bring it to another unit"
        )
    return array


def as_known(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `value` as numbers of a shape, of which NaN are unknown; -1 is any length.

    Whole numbers stay whole, everything else becomes float64.
    """
    array = as_numbers(name, value)
    fits = [want in (-1, got) for want, got in zip(shape, array.shape, strict=False)]
    if array.ndim != len(shape) or not all(fits):
        wanted = str(shape).replace("-1", "N")
        raise InputError(f"{name} must have shape {wanted}, got {array.shape}")
    return array if array.dtype.kind in "iu" else array.astype(np.float64)


def as_labels(
    name: str, value: ArrayLike, n: int | None = None, n_classes: int | None = None
) -> NDArray[np.int64]:
    """Return `value` as (N,) int64 labels in [0, `n_classes`), one per row of `n`."""
    array = as_array(name, value)
    if n is not None and array.shape != (n,):
        raise InputError(f"{name} must have shape ({n},), one label per row, got {array.shape}")
    if array.ndim != 1:
        raise InputError(f"{name} must have one axis, got shape {array.shape}")
    whole = array.dtype.kind == "f" and np.array_equal(array, np.round(array))
    if whole and (np.abs(array) < 2**53).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integer labels, got dtype {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError(
            f"{name} must hold labels that fit a 64-bit integer, got up to {array.max()}"
        )
    array = array.astype(np.int64)
    if n_classes is not None and array.size and (array.min() < 0 or array.max() >= n_classes):
        raise InputError(
            f"{name} must lie in [0, {n_classes}), got labels from {array.min()} to {array.max()}"
        )
    return array


def as_rows(value: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return row numbers of `n` rows: the first so many, or those that are named."""
    rows = as_array("rows", value)
    if rows.ndim == 0:
        return np.arange(min(check_count("rows", rows.item()), n))
    return as_indices("rows", rows, n)


def as_indices(name: str, value: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return `value` as whole numbers in [0, `n`), at least one, in the order given."""
    array = as_array(name, value)
    whole = array.ndim > 0 and array.size > 0 and array.dtype.kind in "iu"
    if not whole or array.min() < 0 or array.max() >= n:
        raise InputError(
            f"{name} must be whole numbers in [0, {n}), at least one; got {clip(value)}"
        )
    return array.astype(np.int64).ravel()


def as_places(value: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return positions in `n` rows: those that are named, from the end if negative, or a mask's."""
    rows = as_array("rows", value)
    if rows.size == 0 and rows.ndim == 1:
        return rows.astype(np.int64)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.min() < -n or rows.max() >= n:
        raise InputError(
            f"rows must be positions below {n} or a mask of {n}, got {rows.dtype} of shape "
            f"{rows.shape}" + (f" up to {rows.max()}" if rows.dtype.kind in "iu" else "")
        )
    return rows.astype(np.int64)


def is_coarse(value: Any) -> bool:
    """Return whether an array or tensor holds floating-point numbers of 16 bits."""
    return str(getattr(value, "dtype", "")).endswith("float16")


def as_log_probs(
    value: ArrayLike, name: str = "log_probs", dtype: type | None = np.float64
) -> NDArray[Any]:
    """Return `value` as (N, C) natural-log probabilities whose rows sum to one.

    Minus infinity is a legal log-probability; NaN and plus infinity are not. A `dtype` of None
    keeps float32 and float64 as they are. Those of 16 bits sum to one as well as 16 bits can: they
    are normalised here.
    """
    coarse = is_coarse(value)
    array = as_array(name, value, 2)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} must be numeric, got dtype {array.dtype}")
    if array.shape[1] < 2:
        raise InputError(f"{name} must have at least 2 classes, got shape {array.shape}")
    if dtype is None:
        dtype = array.dtype.type if array.dtype in (np.float32, np.float64) else np.float64
    worst = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(dtype, copy=False)
        for start in range(0, len(array), _BLOCK):  # in cache: a million rows in 20 ms
            total = np.einsum("nc->n", np.exp(array[start : start + _BLOCK]))
            worst = float(np.maximum(worst, np.abs(total - 1).max()))
    if worst < 1e-2 and not coarse:  # false for NaN too
        return array
    if worst < _COARSE and coarse:
        return array - logsumexp(array, axis=1, keepdims=True).astype(array.dtype)
    if np.isnan(array).any() or np.isposinf(array).any():
        raise InputError(f"{name} holds NaN or +inf values; they are not log-probabilities")
    hint = (
        " (these look like probabilities: pass their log)"
        if (array.min() >= 0 and np.allclose(array.sum(1), 1, atol=1e-2))
        else " (for raw logits subtract their logsumexp first)"
    )
    raise InputError(f"rows of {name} must sum to 1 after exp, one is off by {worst:.3g}{hint}")


def as_positive(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return `value` as a positive array, broadcast to `shape`."""
    found = as_float(name, value, None, np.float64)
    try:
        found = np.array(np.broadcast_to(found, shape))
    except ValueError:
        like = " like mean" if len(shape) == 2 else ""
        raise InputError(f"{name} must have shape {shape}{like}, got {found.shape}") from None
    if found.min(initial=1) <= 1 / LARGEST:
        raise InputError(f"{name} must be positive, got a smallest value of {found.min():.3g}")
    return found


def as_factors(name: str, value: ArrayLike, c: int, d: int) -> NDArray[np.float64]:
    """Return `value` as (C, D, D) lower triangular matrices with a positive diagonal.

    One matrix for all classes, given as (D, D), (1, D, D) or C times over, is kept once: the
    result is then a view of it whose first axis takes no step.
    """
    found = as_array(name, value)
    found = found[None] if found.ndim == 2 else found
    if found.ndim != 3 or found.shape not in ((c, d, d), (1, d, d)):
        raise InputError(f"{name} must have shape ({c}, {d}, {d}), got {found.shape}")
    tril = as_float(name, found[:1] if _same_throughout(found) else found, 3, np.float64)
    if np.diagonal(tril, axis1=1, axis2=2).min() <= 1 / LARGEST or any(
        np.triu(one, 1).any() for one in tril
    ):
        raise InputError(f"{name} must be lower triangular with a positive diagonal")
    return np.broadcast_to(tril, (c, d, d))


def _same_throughout(array: NDArray[Any]) -> bool:
    """Return whether all entries along the first axis are the same; mostly one look says no."""
    if array.strides[0] == 0 or len(array) == 1:
        return True
    return all(np.array_equal(one, array[0]) for one in reversed(array[1:]))


def as_probs(name: str, value: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Return `value` as (C,) probabilities, divided by their sum, which must be nearly 1."""
    probs = as_float(name, value, 1, np.float64)
    if probs.shape != (n_classes,) or probs.min() < 0 or abs(probs.sum() - 1) > 1e-3:
        raise InputError(
            f"{name} must hold {n_classes} probabilities that sum to 1, "
            f"got shape {probs.shape} with sum {probs.sum():.3g}"
        )
    return probs / probs.sum()


def as_distributions(name: str, value: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return `value` as (N, C) probabilities whose rows sum to 1."""
    probs = as_float(name, value, 2, np.float64)
    if probs.shape != shape:
        raise InputError(f"{name} must have shape {shape}, got {probs.shape}")
    if probs.min() < 0 or (worst := np.abs(probs.sum(1) - 1).max()) > 1e-3:
        reason = "a negative one" if probs.min() < 0 else f"a sum that is off by {worst:.3g}"
        raise InputError(f"rows of {name} must be distributions: non-negative, sum 1; got {reason}")
    return probs


def as_log_weights(value: ArrayLike | None, c: int) -> NDArray[np.float64]:
    """Return `value` as (C,) logs of weights that sum to one; default uniform."""
    if value is None:
        return np.full(c, -np.log(c))
    # -inf is legal: a class that never occurred in training.
    log_weight = as_array("log_weight", value, 1)
    if (
        log_weight.shape != (c,)
        or log_weight.dtype.kind not in "fiu"
        or not np.isfinite(log_weight.max())
    ):
        raise InputError(f"log_weight must be ({c},) logs of class weights")
    log_weight = log_weight.astype(np.float64)
    log_weight -= log_weight.max()  # else the logsumexp of large ones rounds to their maximum
    return log_weight - logsumexp(log_weight)


def as_table(value: Any, n: int) -> dict[str, NDArray[Any]] | None:
    """Return `value`, a DataFrame or columns by name, as a dict of (N,) arrays; None if empty.

    Numbers, truths, words and dates stay what they are; anything else is told in words.
    """
    if value is None:
        return None
    found = {}
    for name, column in columns_of(value).items():
        array = np.asarray(column)
        if array.shape[:1] != (n,) or array.ndim != 1:
            raise InputError(
                f"column {name!r} of the table must have {n} values, one per row, got {array.shape}"
            )
        # Words as Python's strings: NumPy's would all be as wide as the longest.
        plain = array.dtype.kind in "fiubMm"
        array = array.copy() if plain else np.array([_word(v) for v in array], dtype=object)
        array.flags.writeable = False
        found[str(name)] = array
    return found or None


def columns_of(table: Any) -> dict[str, Any]:
    """Return the columns of a DataFrame or a mapping; an index with a name is the first of them."""
    if not hasattr(table, "items"):
        raise InputError(f"table must be a DataFrame or columns by name, got {clip(table)}")
    columns = {str(name): column for name, column in table.items()}
    index = getattr(table, "index", None)
    if getattr(index, "name", None) is not None:
        columns = {str(index.name): np.asarray(index)} | columns  # type: ignore[union-attr]
    return columns


def _word(value: Any) -> str:
    return "" if value is None or value != value else str(value)  # NaN is not itself


def class_names_of(names: Sequence[str] | None, n_classes: int) -> tuple[str, ...]:
    """Return C names: those given, or the numbers of the classes."""
    if names is None:
        if n_classes > _MOST_CLASSES:
            raise InputError(f"labels must count the classes from 0, got one of {n_classes - 1}")
        return tuple(str(k) for k in range(n_classes))
    names = tuple(str(n) for n in names)
    if len(names) != n_classes:
        raise InputError(f"class_names must have {n_classes} entries, got {len(names)}")
    return names


def freeze(record: object, **values: object) -> None:
    """Set fields of a frozen record; arrays become read-only views."""
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        object.__setattr__(record, name, value)
