"""What every attack is: where a batch of inputs goes next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from vcviz.attacks.ball import Ball


class Attack(ABC):
    """An attack on one batch; a subclass writes `step` and its docstring.

    The first line of the docstring says in menus and tables what the attack is, its references
    where it is from. Ball, loss, noise, batches and records are none of its business.

    Parameters
    ----------
    steps : how many there will be
    step_size : size of the first

    Attributes
    ----------
    rows : name -> (B, …) tensor that is remembered of each row from step to step; finished rows
        are dropped from all of them
    """

    #: why nobody can choose the step size; "" if it can be chosen
    own_step: ClassVar[str] = ""
    #: whether it is one step, however many are asked for
    one_step: ClassVar[bool] = False
    #: whether the last step recorded is the worst point seen, not the last one tried
    ends_at_worst: ClassVar[bool] = False

    def __init__(self, steps: int, step_size: float) -> None:
        self.steps, self.step_size = steps, step_size
        self.rows: dict[str, Tensor] = {}

    @staticmethod
    def default_step(epsilon: float, steps: int) -> float:
        """Return the size of the first step where none was asked for."""
        return epsilon / 4

    @abstractmethod
    def step(self, x: Tensor, ball: Ball, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the inputs after a step.

        Parameters
        ----------
        x : (B, …) where the inputs are
        ball : `Ball.direction` is the steepest way, `Ball.project` leads back into the ball
        value, gradient : (B,) objective to raise and (B, …) its gradient, at `x`
        """

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these."""
        self.rows = {name: values[rows] for name, values in self.rows.items()}
