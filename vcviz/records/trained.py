"""What the lower rooms may ask of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from vcviz.records.split import Split

if TYPE_CHECKING:
    from torch import nn


class Trained(ABC):
    """A classifier that knows its data: what functions that take a model may ask of a `Run`."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is called in legends."""

    @abstractmethod
    def model(self, device: str = "cpu") -> nn.Module:
        """Return the classifier in eval mode."""

    @abstractmethod
    def split(self, name: str = "test") -> Split:
        """Return one of its splits."""
