"""JSON that others may have written: parsed strictly, and every fault said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vcviz.base.errors import InputError, MissingError, clip

#: bytes; a file of ours is never larger
LARGEST = 64 * 2**20


def check_plain(path: Path) -> None:
    """Refuse what is no file of its own folder: a link, a device, or a pipe that never ends.

    Raises
    ------
    MissingError
        If there is nothing.
    """
    if path.is_symlink():
        raise InputError(f"{path} is a link; only files that lie in their folder are read")
    if not path.exists():
        raise MissingError(f"{path} is missing")
    if not path.is_file():
        raise InputError(f"{path} is not a file")


def parse_json(text: str | bytes, where: object, *, finite: bool = False, advice: str = "") -> Any:
    """Return what JSON text holds.

    Parameters
    ----------
    text : the JSON, as UTF-8 if it is bytes
    where : named in messages
    finite : whether NaN and infinities are refused too; they are no JSON, but metrics can be
    advice : ends messages

    Raises
    ------
    InputError
        For what is not JSON, has one key twice, is nested too deeply, or has a number of
        thousands of digits.
    """
    options: dict[str, Any] = {"parse_constant": _refuse} if finite else {}
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(text, object_pairs_hook=_once, **options)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is damaged or not JSON ({_line(error)}){advice}") from None


def read_json(path: Path, *, finite: bool = False, advice: str = "") -> dict[str, Any]:
    """Return the JSON object in a file; see `parse_json`."""
    values = parse_json(read_bytes(path, advice=advice), path, finite=finite, advice=advice)
    if not isinstance(values, dict):
        raise InputError(f"{path} should hold a JSON object, holds {clip(values)}{advice}")
    return values


def read_bytes(path: Path, *, advice: str = "") -> bytes:
    """Return what a file of ours holds.

    Raises
    ------
    InputError
        If it is a link, larger than such a file can be, or may not be read.
    """
    check_plain(path)
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise InputError(
                f"{path} has {size >> 20} MB, more than any file that vcviz writes{advice}"
            )
        return path.read_bytes()
    except PermissionError as error:
        raise InputError(f"{path} may not be read: {error.strerror}") from None


def inside(folder: Path, name: object) -> Path:
    """Return the path of a file that a record of `folder` names; it must lie in that folder.

    Raises
    ------
    InputError
        For a name that leads out of it, by itself or through a link.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"{folder} names {clip(name)}, which is no file's name")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder} names {clip(name)}, which lies outside of it")
    return path


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {clip(twice)} comes twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number in JSON")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
