"""What a sweep knows about its runs, in ``sweep.json`` of its folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout

from vcviz import __version__
from vcviz.errors import InputError
from vcviz.locks import held
from vcviz.sweeps.tasks import Task

FORMAT = "vcviz.sweep/1"
FILE = "sweep.json"


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

    def count(self, state: str, tasks: Sequence[Task]) -> int:
        """Return how many of `tasks` are in a state."""
        return sum(self.entries[task.name]["state"] == state for task in tasks)

    def write(self) -> None:
        """Write the journal, at once or not at all."""
        values = {
            "format": FORMAT,
            "version": __version__,
            "runs": list(self.entries.values()),
        }
        temporary = self.path.with_name(f".{FILE}.{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
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
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT!r}")
        return {entry["name"]: entry for entry in values["runs"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged or not a sweep's ({error}); remove it, the runs stay"
        ) from None


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
