"""Distributions as JSON and back: the names and parameters of torch's own classes, no code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Leaf:
    """A tensor parameter: where it is, what it may be, its value, and whether it can be trained."""

    name: str
    constraint: Any
    value: Tensor

    @property
    def from_free(self) -> Transform | None:
        """The map of unconstrained tensors to legal values; None if there is none."""
        if not self.value.is_floating_point():
            return None
        for registry in (biject_to, transform_to):  # Cholesky factors are in the second alone
            try:
                return registry(self.constraint)
            except NotImplementedError:
                continue
        return None


@dataclass(frozen=True)
class Tree:
    """A distribution taken apart: its class, tensors, plain values, and distributions within."""

    kind: str
    tensors: Mapping[str, Leaf] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)
    inner: Mapping[str, Tree] = field(default_factory=dict)

    def leaves(self) -> Iterator[Leaf]:
        """Yield all tensors."""
        yield from self.tensors.values()
        for tree in self.inner.values():
            yield from tree.leaves()


def tree_of(law: Distribution, prefix: str = "") -> Tree | None:
    """Return a distribution taken apart; None unless it is made of torch's own classes alone."""
    kind = type(law).__name__
    if CLASSES.get(kind) is not type(law):
        return None
    tensors, plain, inner = {}, {}, {}
    for name in _arguments(type(law)):
        value = getattr(law, "base_dist" if name == "base_distribution" else _inside(name, law))
        if isinstance(value, Distribution):
            tree = tree_of(value, f"{prefix}{name}__")
            if tree is None:
                return None
            inner[name] = tree
        elif isinstance(value, Tensor):
            constraint = getattr(law, "arg_constraints", {}).get(name, constraints.real)
            tensors[name] = Leaf(prefix + name, constraint, value)
        else:
            plain[name] = value
    return Tree(kind, tensors, plain, inner)


def rebuilt(tree: Tree, values: Mapping[str, Tensor]) -> Distribution:
    """Return the distribution of a tree with tensors `values` by the names of its leaves."""
    arguments: dict[str, Any] = dict(tree.plain)
    arguments |= {name: values[leaf.name] for name, leaf in tree.tensors.items()}
    arguments |= {name: rebuilt(inner, values) for name, inner in tree.inner.items()}
    return CLASSES[tree.kind](**arguments, validate_args=False)


def describe(law: Distribution) -> dict[str, Any]:
    """Return a distribution as JSON: the name of its class and its parameters as numbers.

    Raises
    ------
    InputError
        For a class that is not one of torch's own, whose name alone would not bring it back.
    """
    tree = tree_of(law)
    if tree is None:
        raise InputError(
            f"a run's settings can hold torch's own distributions, {type(law).__name__} is not "
            "made of these alone; use it with build_head, outside of train"
        )
    return _as_json(tree)


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


def _as_json(tree: Tree) -> dict[str, Any]:
    values = {name: leaf.value.tolist() for name, leaf in tree.tensors.items()}
    inner = {name: _as_json(part) for name, part in tree.inner.items()}
    return {_KEY: tree.kind, **inner, **values, **tree.plain}


def _arguments(kind: type[Distribution]) -> list[str]:
    """Return the arguments that make a distribution, one of those that say the same."""
    names = [n for n in inspect.signature(kind).parameters if n != "validate_args"]
    for same in _SAME:
        found = [n for n in same if n in names]
        names = [n for n in names if n not in found[1:]]
    return names


def _inside(name: str, law: Distribution) -> str:
    """Return the attribute that holds an argument."""
    return name if hasattr(type(law), name) or name in law.__dict__ else f"_{name}"
