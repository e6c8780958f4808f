"""What the lower rooms may ask of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vcviz.records.split import Split

if TYPE_CHECKING:
    from torch import nn


class Trained(ABC):
    """A classifier that knows its data: what functions that take a model may ask of a `Run`.

    Attributes
    ----------
    config : the settings that it was trained with; None if not by vcviz
    history : one mapping per epoch; none if not trained by vcviz
    layer : name of the module whose input is the latent; None for what is found
    """

    config: Any
    history: Sequence[Mapping[str, Any]]
    layer: str | None = None

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is called in legends."""

    @property
    def can_corrupt(self) -> str:
        """The kind of rows that `split` gives, "" if there are none to corrupt."""
        return ""

    @abstractmethod
    def model(self, device: str = "cpu") -> nn.Module:
        """Return the classifier in eval mode."""

    @abstractmethod
    def split(self, name: str = "test") -> Split:
        """Return one of its splits."""
