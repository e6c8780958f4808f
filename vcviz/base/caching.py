"""Methods whose results are kept with their instance."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def cached_method(size: int | None = None) -> Callable[[Method], Method]:
    """Return a decorator that keeps the last `size` results of a method, by default all.

    They go with the instance, as those of `functools.cached_property` do.
    """

    def decorate(method: Method) -> Method:
        @wraps(method)
        def first(self: Any, *args: Any) -> Any:
            kept = self.__dict__[method.__name__] = lru_cache(size)(method.__get__(self))
            return kept(*args)

        return first  # type: ignore[return-value]

    return decorate
