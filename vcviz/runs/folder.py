"""Run folders on disk: safetensors and JSON, no pickle; written here, read by `stored`.

A run trains in a hidden sibling ``.<name>.partial`` and is renamed to ``<name>`` when it is
complete, so that a folder in the list is always a finished run.

======================  =====================================================================
``config.json``         settings, the defaults of options that they left out, what the data looked
                        like, versions, commit, device
``weights.safetensors`` the classifier's parameters and buffers
``history.jsonl``       one line per epoch
``metrics.json``        numbers on the test split
``latents/``            ``probe-<epoch>`` (fixed rows, every epoch), ``test``, ``train`` and, where
                        rows were held out, ``validation``
``checkpoint/``         while training only: everything needed to go on
======================  =====================================================================
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vcviz.base import json_files
from vcviz.base.errors import InputError, clip
from vcviz.base.replacing import replacing
from vcviz.runs.config import RunConfig
from vcviz.runs.stored import (
    ADVICE,
    CHECKPOINT,
    FORMAT,
    LATENTS,
    Arrays,
    StoredState,
    as_record,
    reading,
    stored_settings,
)


def check_name(name: str) -> str:
    """Return `name` if it can be a folder's name, refusing paths and hidden names."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,149}", name):
        raise InputError(
            f"a run's name may hold letters, digits and . _ + = - (at most 150, not starting "
            f"with a dot), got {clip(name)}"
        )
    return name


def partial_folder(out: str | Path, name: str) -> Path:
    """Return the hidden folder in which a run of that name trains."""
    return Path(out) / f".{check_name(name)}.partial"


def start(out: str | Path, name: str, config: RunConfig, record: Mapping[str, Any]) -> Path:
    """Return the folder to train in: new, or the one that an interrupted run left behind."""
    folder = partial_folder(out, name)
    existing = folder / "config.json"
    if existing.exists():
        stored, before = stored_settings(folder)
        refuse_if_different(folder, stored, config)
        refuse_if_changed(folder, before.get("defaults", {}), record["defaults"])
        for which in ("train", "test"):
            old, new = before["data"][which], record["data"][which]
            if old["fingerprint"] != new["fingerprint"]:
                raise InputError(data_changed(folder, which, old, new))
        if (folder / CHECKPOINT / "state.safetensors").exists():
            return folder
    try:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / LATENTS).mkdir(parents=True)
        (folder / CHECKPOINT).mkdir()
    except OSError as error:
        raise InputError(
            f"cannot write runs in {out}: {error.strerror}; choose another out="
        ) from None
    write_json(folder / "config.json", {"format": FORMAT, "name": name, **record})
    return folder


def refuse_if_different(path: Path, before: RunConfig, now: RunConfig) -> None:
    """Raise an `InputError` naming the settings that differ between two configs."""
    if before.key == now.key:
        return
    old, new = before.model_dump(), now.model_dump()
    changes = [
        f"{k} {clip(old[k], 40)} → {clip(new[k], 40)}"
        for k in old
        if old[k] != new[k] and k not in ("device", "threads", "compile")
    ]
    raise InputError(
        f"{path} holds a run with other settings ({'; '.join(changes)}); "
        "choose another name= or remove that folder"
    )


def refuse_if_changed(
    path: Path, before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raise an `InputError` naming the defaults that a run was trained with and are others now."""
    changes = [
        f"{name} {clip(old, 40)} → {clip(now[kind][name], 40)}"
        for kind, options in before.items()
        for name, old in options.items()
        if name in now.get(kind, {}) and now[kind][name] != old
    ]
    if changes:
        raise InputError(
            f"{path} holds a run with other defaults than now ({'; '.join(changes)}); "
            "choose another name= or remove that folder"
        )


def data_changed(path: Path, which: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the message for a run whose data are no longer those it was trained on."""
    return (
        f"the {which} rows of {path} have changed since it was trained: {old['rows']} rows "
        f"(fingerprint {old['fingerprint']}) became {new['rows']} ({new['fingerprint']}); "
        "choose another name= or remove that folder"
    )


def discard(folder: Path) -> None:
    """Remove an unfinished run."""
    shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object atomically."""
    text = json.dumps(values, indent=2, sort_keys=False) + "\n"
    _replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_arrays(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    meta: Mapping[str, str] | None = None,
    *,
    durable: bool = True,
) -> None:
    """Write arrays (and string metadata) as one safetensors file, atomically."""
    # Not ascontiguousarray, which would give the counters of batch norm an axis.
    plain = {k: np.asarray(v, order="C") for k, v in arrays.items()}
    _replace(
        path,
        lambda temporary: save_file(plain, temporary, metadata=dict(meta or {})),
        durable=durable,
    )


def write_probe(folder: Path, epoch: int, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep the probe latents of an epoch."""
    write_arrays(folder / LATENTS / f"probe-{epoch:05d}.safetensors", arrays, durable=False)


def append_history(folder: Path, row: Mapping[str, Any]) -> None:
    """Add one epoch's line to the history."""
    path = folder / "history.jsonl"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise _unwritten(path, error.errno, error.strerror) from None


def write_checkpoint(
    folder: Path, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]
) -> None:
    """Replace the checkpoint by this one: arrays, and plain values as JSON in the file's header.

    One file, so that it is either the old one or the new one whatever happens.
    """
    path = folder / CHECKPOINT / "state.safetensors"
    write_arrays(path, arrays, {"state": json.dumps(state)})


def read_checkpoint(folder: Path) -> tuple[Arrays, dict[str, Any]] | None:
    """Return the last checkpoint, after dropping what was written later; None if there is none."""
    path = folder / CHECKPOINT / "state.safetensors"
    if not path.exists():
        return None
    with reading(path), safe_open(path, framework="numpy") as file:
        stored = (file.metadata() or {}).get("state", "")
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = json_files.parse_json(stored, f"the state in {path}", advice=ADVICE)
    as_record(path, StoredState, state)
    _rewind(folder, state["epoch"])
    return arrays, state


def _rewind(folder: Path, epoch: int) -> None:
    path = folder / "history.jsonl"
    kept = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            within = json.loads(line)["epoch"] <= epoch
        except (ValueError, TypeError, KeyError):
            break  # the kill came in the middle of this line
        if within:
            kept.append(line + b"\n")
    _replace(path, lambda temporary: temporary.write_bytes(b"".join(kept)))
    for probe in (folder / LATENTS).glob("probe-*.safetensors"):
        if int(probe.stem.removeprefix("probe-")) > epoch:
            probe.unlink()


def finish(folder: Path, name: str) -> Path:
    """Rename the completed folder to its final place and return that."""
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    for leftover in folder.rglob("*.tmp"):
        leftover.unlink()
    final = folder.parent / name
    os.rename(folder, final)
    return final


def _replace(path: Path, write: Callable[[Path], Any], *, durable: bool = True) -> None:
    # A probe every epoch must not cost a disk flush; its loss in a power cut costs nothing.
    try:
        with replacing(path, durable=durable) as temporary:
            write(temporary)
    except OSError as error:
        raise _unwritten(path, error.errno, error.strerror) from None
    except SafetensorError as error:
        # The library hides the system's error in a text of its own.
        code = re.search(r"os error (\d+)", str(error))
        reason = os.strerror(int(code[1])) if code else str(error)
        raise _unwritten(path, int(code[1]) if code else None, reason) from None


def _unwritten(path: Path, number: int | None, reason: str | None) -> OSError:
    return OSError(
        number,
        f"cannot write {path.name} ({reason}); what was written before is intact, "
        "free some space or choose another out= and start again to go on",
        str(path.parent),
    )
