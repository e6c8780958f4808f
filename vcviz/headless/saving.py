"""How often a notebook is written to disk while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

#: Of the time, the largest part that writing may take.
SHARE = 0.1


class PatientEngine(NBClientEngine):
    """Papermill's engine, but the notebook so far is written only as often as that is cheap.

    Papermill writes the whole notebook before and after every cell. With some megabytes of figures
    in it this took longer than all else that the process does; a small one is still written every
    time.
    """

    name = "vcviz"

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **options: Any
    ) -> None:
        """Run the cells."""
        nb_man.save = patient(nb_man.save)
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **options)
        finally:
            del nb_man.save  # the last one, of what is complete, is always written


def patient(save: Callable[..., None]) -> Callable[..., None]:
    """Return `save` that does nothing until what it took last time is `SHARE` of the time since."""
    due = time.monotonic()

    def save_if_due(**options: Any) -> None:
        nonlocal due
        began = time.monotonic()
        if began < due:
            return
        save(**options)
        now = time.monotonic()
        due = now + (now - began) / SHARE

    return save_if_due


papermill_engines.register(PatientEngine.name, PatientEngine)
