"""What a sweep knows about its runs, in ``sweep.json`` of its folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from filelock import Timeout
from pydantic import BaseModel, ConfigDict, Field

from vcviz import __version__
from vcviz.base.errors import InputError
from vcviz.base.locks import held
from vcviz.base.replacing import replacing
from vcviz.runs.stored import read_record
from vcviz.studies.sweeps.tasks import Task

FILE = "sweep.json"
_ADVICE = "; remove it, the runs stay"


class _Entry(BaseModel):
    """What is always known of a run. Its name is that of a folder beside the journal."""

    model_config = ConfigDict(strict=True)
    name: str = Field(pattern=r"^[^/\\\x00]*[^./\\\x00][^/\\\x00]*$")
    notebook: str | None
    parameters: dict[str, Any]
    command: str
    state: str
    attempts: int
    reason: str | None
    seconds: float | None


class _Journal(BaseModel):
    format: Literal["vcviz.sweep/1"]
    runs: list[_Entry]


class Journal:
    """The state of every run that a folder's sweeps had: written whole after every change.

    Attributes
    ----------
    entries : name of a run -> name, notebook, parameters, command, state ("waiting", "done" or
        "failed"), attempts, reason, seconds
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.entries: dict[str, dict[str, Any]] = read_journal(folder)

    def plan(self, tasks: Sequence[Task]) -> None:
        """Add tasks that are new, keeping what is known of the others."""
        for task in tasks:
            known = self.entries.get(task.name, {})
            self.entries[task.name] = {
                "name": task.name,
                "notebook": task.notebook,
                "parameters": dict(task.parameters),
                "command": task.command,
                "state": "waiting",
                "attempts": 0,
                "reason": None,
                "seconds": known.get("seconds"),
            }
        self.write()

    def note(self, name: str, **changes: Any) -> None:
        """Change what is known of a run."""
        self.entries[name].update(changes)
        self.write()

    def write(self) -> None:
        """Write the journal, at once or not at all."""
        values = {
            "format": "vcviz.sweep/1",
            "version": __version__,
            "runs": list(self.entries.values()),
        }
        try:
            with replacing(self.path) as temporary:
                temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write {FILE} ({error.strerror}); finished runs are intact, free some "
                "space and give the same command to go on",
                str(self.path.parent),
            ) from None


def read_journal(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a folder's journal by name; nothing if it has none.

    Raises
    ------
    InputError
        If the file is not a journal.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    runs = read_record(path, _Journal, _ADVICE)["runs"]
    return {entry["name"]: entry for entry in runs}


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second sweep out of the folder."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(folder / ".sweep.lock"))
        except Timeout:
            raise InputError(
                f"another sweep is running in {folder}; wait for it, or choose another out="
            ) from None
        except OSError as error:
            raise InputError(
                f"cannot write in {folder}: {error.strerror}; choose another out="
            ) from None
        yield
