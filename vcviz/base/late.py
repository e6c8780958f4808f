"""Imports of other packages that cost much and are hardly ever needed, put off until they are."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Late(ModuleType):
    """Stands for a module until an attribute of it is asked for, or a function called."""

    def __init__(self, spec: ModuleSpec, function: str) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__path__ = spec, spec.submodule_search_locations or []
        setattr(self, function, lambda *args, **kw: getattr(self._loaded(), function)(*args, **kw))

    def _loaded(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded(), name)


def put_off(module: str, function: str) -> None:
    """Let ``from module import function`` import nothing before the function is called.

    Nothing happens if the module is not installed, or imported already.
    """
    if module not in sys.modules and (spec := importlib.util.find_spec(module)) is not None:
        sys.modules[module] = _Late(spec, function)
