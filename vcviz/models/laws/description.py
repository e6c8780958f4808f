"""Distributions as JSON and back: the names and parameters of torch's own classes, no code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
import torch.distributions as torch_distributions
from torch import Tensor
from torch.distributions import Distribution, Transform, biject_to, constraints, transform_to

from vcviz.base.errors import InputError, clip, unknown

#: the classes that a description may name
CLASSES: dict[str, type[Distribution]] = {
    name: found
    for name in torch_distributions.__all__
    if inspect.isclass(found := getattr(torch_distributions, name))
    and issubclass(found, Distribution)
    and name not in ("Distribution", "ExponentialFamily", "TransformedDistribution")
}
# One parameter in several forms: the first is described, the others follow from it.
_SAME = (("scale_tril", "covariance_matrix", "precision_matrix"), ("logits", "probs"))
_KEY = "distribution"


def arguments_of(law: Distribution) -> dict[str, Any] | None:
    """Return what makes a distribution again: tensors, plain values, and distributions within.

    None unless it is made of torch's own classes alone.
    """
    if CLASSES.get(type(law).__name__) is not type(law):
        return None
    found = {name: getattr(law, _inside(name, law)) for name in _arguments(type(law).__name__)}
    inner = [value for value in found.values() if isinstance(value, Distribution)]
    return found if all(arguments_of(part) is not None for part in inner) else None


def tensors_of(
    law: Distribution, prefix: str = ""
) -> Iterator[tuple[str, Tensor, Transform | None]]:
    """Yield the tensors of a distribution, each with its name and where its values may come from.

    That is a map of unconstrained tensors to legal values, or None if there is none. Nothing is
    yielded of what `arguments_of` cannot take apart.
    """
    for name, value in (arguments_of(law) or {}).items():
        if isinstance(value, Distribution):
            yield from tensors_of(value, f"{prefix}{name}__")
        elif isinstance(value, Tensor):
            constraint = law.arg_constraints.get(name, constraints.real)
            yield prefix + name, value, _from_free(constraint, value)


def rebuilt(law: Distribution, values: Mapping[str, Tensor], prefix: str = "") -> Distribution:
    """Return a distribution with other tensors, by the names that `tensors_of` gives them."""
    arguments = arguments_of(law) or {}
    for name, value in arguments.items():
        if isinstance(value, Distribution):
            arguments[name] = rebuilt(value, values, f"{prefix}{name}__")
        elif isinstance(value, Tensor):
            arguments[name] = values[prefix + name]
    return type(law)(**arguments, validate_args=False)


def describe(law: Distribution) -> dict[str, Any]:
    """Return a distribution as JSON: the name of its class and its parameters as numbers.

    Raises
    ------
    InputError
        For a class that is not one of torch's own, whose name alone would not bring it back.
    """
    arguments = arguments_of(law)
    if arguments is None:
        raise InputError(
            f"a run's settings can hold torch's own distributions, {type(law).__name__} is not "
            "made of these alone; use it with build_head, outside of train"
        )
    return {_KEY: type(law).__name__, **{k: _as_json(v) for k, v in arguments.items()}}


def from_description(description: Mapping[str, Any]) -> Distribution:
    """Return the distribution that `describe` described.

    Raises
    ------
    InputError
        For a class or parameter that is unknown, or values that the class refuses.
    """
    if not isinstance(description, Mapping) or not isinstance(description.get(_KEY), str):
        raise InputError(
            f"a law is described by its class under {_KEY!r} and its parameters, "
            f"got {clip(description)}"
        )
    kind = description[_KEY]
    if kind not in CLASSES:
        raise unknown("distribution", kind, CLASSES)
    known = inspect.signature(CLASSES[kind]).parameters
    arguments = {}
    for name, value in description.items():
        if name == _KEY:
            continue
        if name not in known:
            raise unknown(f"parameter of {kind}", name, known)
        arguments[name] = _value(name, value)
    # Said here, because some libraries turn the default off for the whole process.
    arguments.setdefault("validate_args", True)
    try:
        return CLASSES[kind](**arguments)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{kind} cannot be built of this description: {clip(reason)}") from None


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return from_description(value)
    if isinstance(value, list):
        try:
            return torch.tensor(value, dtype=torch.get_default_dtype())
        except (ValueError, TypeError):
            raise InputError(f"{name} must be a rectangular list of numbers") from None
    if isinstance(value, float):
        return torch.tensor(value)
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, Distribution):
        return describe(value)
    return value.tolist() if isinstance(value, Tensor) else value


def _from_free(constraint: Any, value: Tensor) -> Transform | None:
    if not value.is_floating_point():
        return None
    for registry in (biject_to, transform_to):  # Cholesky factors are in the second alone
        try:
            return registry(constraint)
        except NotImplementedError:
            continue
    return None


@cache
def _arguments(kind: str) -> list[str]:
    """Return the arguments that make a distribution, one of those that say the same."""
    names = [n for n in inspect.signature(CLASSES[kind]).parameters if n != "validate_args"]
    for same in _SAME:
        found = [n for n in same if n in names]
        names = [n for n in names if n not in found[1:]]
    return names


def _inside(name: str, law: Distribution) -> str:
    """Return the attribute that holds an argument."""
    if name == "base_distribution":
        return "base_dist"
    return name if hasattr(type(law), name) or name in law.__dict__ else f"_{name}"
