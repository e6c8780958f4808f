"""Datasets from the Hub or from disk, opened by Hugging Face `datasets`, as a mapping of splits.

A local path never reaches the network; a Hub id falls back on the local cache when the Hub cannot
be reached. What the library raises becomes one line here.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcviz.data.conversion import check_saved, convert
from vcviz.errors import InputError, MissingError, clip, nearest, shorten

if TYPE_CHECKING:
    from datasets import Dataset

#: what follows the colon of a source's name
SHAPES = {"hub": "<owner/name>", "path": "<folder or file>"}
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
#: file name suffix -> loader of `datasets` and its settings
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t"}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
    ".arrow": ("arrow", {}),
}
#: a local source larger than this shows a bar while `datasets` converts it
_SLOW_BYTES = 200e6
#: seconds to wait for the Hub's first answer
_PATIENCE = 3.0


def open_source(
    name: str,
    *,
    config: str | None = None,
    revision: str | None = None,
    progress: bool = True,
) -> dict[str, Dataset]:
    """Return the splits of ``hub:<owner/name>`` or ``path:<folder or file>`` by their names.

    Parameters
    ----------
    name : where the data are
    config : configuration of a dataset that has several
    revision : branch, tag or commit of a Hub dataset
    progress : whether downloads and long conversions show a bar

    Raises
    ------
    MissingError
        If there is no such dataset, folder or file, or the Hub cannot be reached.
    InputError
        If what is there cannot be read as a dataset.
    """
    kind, _, where = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind not in SHAPES:
        shapes = " or ".join(f"{k}:{shape}" for k, shape in SHAPES.items())
        raise InputError(f"a source of data is {shapes}, got {clip(name)}")
    if not where:
        raise InputError(f"{kind}: must be followed by {SHAPES[kind]}")
    if kind == "hub":
        return _open_hub(where, config, revision, progress)
    if revision is not None:
        raise InputError("revision= belongs to hub: datasets; a path has one version")
    return _open_path(where, config, progress)


def source_title(name: str) -> str:
    """Return the last part of the name of a source, for titles."""
    folder = source_folder(name)
    if folder is None:
        return name.rstrip("/").rsplit("/", 1)[-1]
    path = _local(name.partition(":")[2])
    return path.name if path == folder else path.stem


def source_folder(name: str) -> Path | None:
    """Return the folder of a local source, or None for one of the Hub."""
    kind, _, where = name.partition(":")
    if kind == "hub":
        return None
    path = _local(where)
    return path.parent if exists(path) and path.is_file() else path


def exists(path: Path) -> bool:
    """Return whether a path is there; a name that no file can have is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _names_in(folder: Path) -> list[str]:
    try:
        return [file.name for file in folder.iterdir()]
    except (OSError, ValueError):
        return []


def _local(where: str) -> Path:
    try:
        return Path(where).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{clip(where)} cannot be a path: {error}") from None


def _open_path(where: str, config: str | None, progress: bool) -> dict[str, Dataset]:
    import datasets

    path = _local(where)
    if not exists(path):
        near = nearest(path.name, _names_in(path.parent))
        raise MissingError(f"there is no folder or file {clip(where, 300)}{near}")
    slow = progress and _size(path) > _SLOW_BYTES
    with _library(online=False, bars=slow), _one_line(f"path:{where}", path=path):
        if path.is_dir():
            if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
                check_saved(path)
                return _splits(datasets.load_from_disk(str(path)))
            builder = datasets.load_dataset_builder(str(path), config)
            return _splits(convert(builder, folder=path, progress=progress))
        loader, settings = _format(path)
        # Brackets and stars in a file's name are no pattern.
        files = glob.escape(str(path))
        builder = datasets.load_dataset_builder(loader, data_files=files, **settings)
        return _splits(convert(builder, progress=progress))


def _open_hub(
    where: str, config: str | None, revision: str | None, progress: bool
) -> dict[str, Dataset]:
    import datasets

    if not HUB_ID.fullmatch(where):
        raise InputError(
            f"hub: must be followed by <owner/name>, like hub:ylecun/mnist, got {clip(where)}"
        )
    if exists(Path(where)):
        # The library would silently take the folder.
        raise InputError(
            f"the folder {where!r} here hides the Hub dataset of that name; use path:{where} for "
            "the folder, or work from another place"
        )
    online = _hub_answers()
    if not online and revision is not None:
        raise MissingError(
            f"hub:{where} at revision {revision!r} cannot be checked: the Hub cannot be reached; "
            "connect, or leave out revision= to use the copy in the cache"
        )
    with _library(online=online, bars=progress), _one_line(f"hub:{where}", online=online):
        return _splits(convert(datasets.load_dataset_builder(where, config, revision=revision)))


def _format(path: Path) -> tuple[str, dict[str, Any]]:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"{path.name!r} is no kind of file that can be read: use {', '.join(_FORMATS)}, or a "
            "folder of such files or of one folder of images a class"
        )
    return _FORMATS[suffix]


def _splits(loaded: Any) -> dict[str, Dataset]:
    """Return what `datasets` gives as a plain mapping; a single set becomes the split "train"."""
    return dict(loaded) if isinstance(loaded, Mapping) else {"train": loaded}


def _size(path: Path) -> int:
    # What is gone by now is not in the way.
    return sum(f.stat().st_size for f in _files(path) if f.is_file())


def _files(path: Path) -> list[Path]:
    """Return a file, or the files of a folder and the folders within it, however they change."""
    if not path.is_dir():
        return [path]
    return sorted(Path(where, name) for where, _, names in os.walk(path) for name in names)


def _hub_answers() -> bool:
    """Return whether the Hub gives any answer within a few seconds.

    Asked once and first, because the library's own retries take half a minute to give up.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception:  # the HTTP client differs between versions, and so do its errors
        return False
    return True


@contextmanager
def _library(*, online: bool, bars: bool) -> Iterator[None]:
    """Set the network, the bars and the log of `datasets` for a while.

    Without this even a local file is announced to a server, and every error is also logged.
    """
    import datasets
    from huggingface_hub import constants

    switches = [(datasets.config, "HF_HUB_OFFLINE"), (constants, "HF_HUB_OFFLINE")]
    before = [getattr(module, name) for module, name in switches]
    verbosity = datasets.logging.get_verbosity()
    hide = not bars and not datasets.are_progress_bars_disabled()
    try:
        for module, name in switches:
            setattr(module, name, getattr(module, name) or not online)
        datasets.logging.set_verbosity(datasets.logging.CRITICAL)
        if hide:
            datasets.disable_progress_bars()
        yield
    finally:
        for (module, name), value in zip(switches, before, strict=True):
            setattr(module, name, value)
        datasets.logging.set_verbosity(verbosity)
        if hide:
            datasets.enable_progress_bars()


@contextmanager
def _one_line(name: str, *, online: bool = True, path: Path | None = None) -> Iterator[None]:
    """Turn whatever the library raises into one line of ours."""
    from datasets.exceptions import DatasetNotFoundError

    try:
        yield
    except InputError:
        raise
    except DatasetNotFoundError as error:
        raise MissingError(f"{name}: {_line(error)}") from None
    except Exception as error:  # five libraries meet here
        if isinstance(root := _root(error), InputError):
            raise InputError(f"{name}: {root}") from None
        if not online and isinstance(error, (ConnectionError, FileNotFoundError)):
            raise MissingError(
                f"{name} is not in the cache and the Hub cannot be reached; connect once to "
                "download it, or give a local copy as path:<folder>"
            ) from None
        why = _line(_root(error)) if path is None else _emptiness(path) or _line(_root(error))
        raise InputError(f"{name} cannot be read as a dataset: {why}") from None


def _emptiness(path: Path) -> str | None:
    """Return what is missing in a local source; the library stumbles over it without saying so."""
    import pandas as pd
    from PIL import Image
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    if path.is_dir() and glob.has_magic(str(path)):
        return "its path holds one of *, ? and [, which are read as a pattern; rename the folder"
    files = _files(path)
    pictures = Image.registered_extensions()
    if not any(f.suffix.lower() in (*_FORMATS, *pictures, ".zip", ".txt") for f in files):
        return f"it has no files of data ({', '.join(_FORMATS)}) and no images"
    for file in files:
        try:
            if file.suffix == ".parquet" and read_metadata(file).num_rows == 0:
                return f"{file.name} has no rows"
            if file.suffix in (".csv", ".tsv") and pd.read_csv(file, nrows=1).empty:
                return f"{file.name} has no rows"
        except (ArrowException, OSError, ValueError):
            continue
    return None


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _line(error: BaseException) -> str:
    return shorten(" ".join(str(error).split()) or type(error).__name__, 300)
