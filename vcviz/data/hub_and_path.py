"""Where data lie, and who reads them: files of this machine here, the Hub by `datasets`.

A local path never reaches the network; a Hub id falls back on the local cache when the Hub cannot
be reached. What a library raises becomes one line here.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vcviz.base.errors import InputError, MissingError, clip, nearest
from vcviz.base.json_files import inside, read_json
from vcviz.base.progress import bars_shown
from vcviz.data.dataset_files import File, kind_of, list_files, refusal, unpack
from vcviz.data.documents import read_documents
from vcviz.data.lazy_rows import OnDisk, Rows, in_a_line
from vcviz.data.read_options import PLAIN, ReadOptions
from vcviz.data.table_files import read_tables

#: what follows the colon of a source's name
SHAPES = {"hub": "<owner/name>", "path": "<folder or file>"}
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
#: a described folder of more than this shows a bar while `datasets` converts it
_SLOW_BYTES = 200e6
#: seconds to wait for the Hub's first answer
_PATIENCE = 3.0


def open_source(
    name: str,
    stack: ExitStack,
    how: ReadOptions = PLAIN,
) -> dict[str, Rows]:
    """Return the splits of ``hub:<owner/name>`` or ``path:<folder or file>`` by their names.

    What is unpacked lasts until `stack` is closed: until the rows are no longer needed.

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
        if how.of_csv:
            raise InputError("header= and separator= are for CSV files of path:")
        return _open_hub(where, how.config, how.revision)
    if how.revision is not None:
        raise InputError("revision= belongs to hub: datasets; a path has one version")
    return _open_path(where, stack, how)


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


def _open_path(where: str, stack: ExitStack, how: ReadOptions) -> dict[str, Rows]:
    path = _local(where)
    if not exists(path):
        near = nearest(path.name, _names_in(path.parent))
        raise MissingError(f"there is no folder or file {clip(where, 300)}{near}")
    with _one_line(f"path:{where}"):
        if path.is_file():
            return _read_file(path, stack, how)
        if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
            return _saved(path)
        if _has_configs(path):
            return _described(path, how.config)
        if how.config is not None:
            raise InputError("config= is for folders whose README.md lists configurations")
        return _read_folder(path, stack, how)


def _read_file(path: Path, stack: ExitStack, how: ReadOptions) -> dict[str, Rows]:
    kind = kind_of(path.name)
    if kind == "archive":
        return _read_folder(unpack(path, stack), stack, how)
    # One file of text is a table, such as text that tabs follow.
    file = File(str(path), (), path.name, "csv" if kind == "text" else kind)
    if not file.is_table:
        raise refusal(path.name)
    # Its name alone says nothing of a split.
    found = read_tables([file], how)
    return {"train": found.popitem()[1]} if len(found) == 1 else found


def _read_folder(folder: Path, stack: ExitStack, how: ReadOptions) -> dict[str, Rows]:
    files = list_files(folder)
    kinds = [f.kind for f in files]
    tables = [f for f in files if f.is_table]
    if not tables and "image" not in kinds and "archive" in kinds:
        files = [inner for f in files if f.kind == "archive" for inner in _unpacked(f, stack)]
        kinds, tables = [f.kind for f in files], [f for f in files if f.is_table]
    # Texts beside tables are notes, unless they lie in folders of their own.
    texts = sum(f.kind == "text" and (not tables or bool(f.parts)) for f in files)
    images = kinds.count("image")
    kind = "image" if images >= texts else "text"
    if max(images, texts) > len(tables):
        return read_documents(kind, folder, files, how)
    return read_tables(tables, how)


def _unpacked(archive: File, stack: ExitStack) -> list[File]:
    """Return the files of an archive, as if they lay in a folder of its name."""
    inner = list_files(unpack(Path(archive.path), stack))
    stem = archive.name.rsplit(".", 1)[0]
    return [f._replace(parts=(*archive.parts, stem, *f.parts)) for f in inner]


def _saved(folder: Path) -> dict[str, Rows]:
    """Return what `Dataset.save_to_disk` wrote, if its files lie in its folder."""
    import datasets

    parts = [folder]
    if (folder / "dataset_dict.json").exists():
        names = read_json(folder / "dataset_dict.json").get("splits", [])
        parts = [inside(folder, name) for name in names]
    for part in parts:
        state = read_json(part / "state.json") if (part / "state.json").exists() else {}
        for entry in state.get("_data_files", []):
            inside(part, entry["filename"])
    return _splits(datasets.load_from_disk(str(folder)))


def _has_configs(folder: Path) -> bool:
    """Return whether a folder's README.md says which of its files is what, as on the Hub."""
    readme = folder / "README.md"
    if not readme.is_file():
        return False
    with readme.open(encoding="utf-8", errors="replace") as file:
        head = file.read(2**16)
    front = re.match(r"---\s*\n(.*?)\n---", head, re.DOTALL)
    return front is not None and bool(
        re.search(r"^(configs|dataset_info)\s*:", front[1], re.MULTILINE)
    )


def _described(folder: Path, config: str | None) -> dict[str, Rows]:
    import datasets

    if glob.has_magic(str(folder)):
        raise InputError(
            "its path holds one of *, ? and [, which are read as a pattern; rename the folder"
        )
    with _library(online=False, bars=False):
        builder = datasets.load_dataset_builder(str(folder), config)
    named = [name for several in (builder.config.data_files or {}).values() for name in several]
    size = sum(os.path.getsize(name) for name in named if os.path.isfile(name))
    with _library(online=False, bars=size > _SLOW_BYTES):
        builder.download_and_prepare()
        return _splits(builder.as_dataset())


def _open_hub(where: str, config: str | None, revision: str | None) -> dict[str, Rows]:
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
    with _library(online=online), _one_line(f"hub:{where}", online=online):
        builder = datasets.load_dataset_builder(where, config, revision=revision)
        builder.download_and_prepare()
        return _splits(builder.as_dataset())


def _splits(loaded: Any) -> dict[str, Rows]:
    """Return what `datasets` gives as rows by split; a single set becomes the split "train"."""
    found = loaded if isinstance(loaded, Mapping) else {"train": loaded}
    return {name: OnDisk.of_table(data.data.table) for name, data in found.items()}


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
def _library(*, online: bool, bars: bool = True) -> Iterator[None]:
    """Set the network, the bars and the log of `datasets` for a while.

    Without this even a local file is announced to a server, and every error is also logged.
    """
    import datasets
    from huggingface_hub import constants

    switches = [(datasets.config, "HF_HUB_OFFLINE"), (constants, "HF_HUB_OFFLINE")]
    before = [getattr(module, name) for module, name in switches]
    verbosity = datasets.logging.get_verbosity()
    hide = not (bars and bars_shown()) and not datasets.are_progress_bars_disabled()
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
def _one_line(name: str, *, online: bool = True) -> Iterator[None]:
    """Turn whatever a library raises into one line of ours."""
    try:
        yield
    except MissingError:
        raise
    except InputError as error:
        raise InputError(f"{name} cannot be read as a dataset: {error}") from None
    except MemoryError:
        raise InputError(f"{name} does not fit into memory; make a smaller copy") from None
    except Exception as error:  # five libraries meet here
        if type(error).__name__ == "DatasetNotFoundError":
            raise MissingError(f"{name}: {in_a_line(error)}") from None
        if not online and isinstance(error, (ConnectionError, FileNotFoundError)):
            raise MissingError(
                f"{name} is not in the cache and the Hub cannot be reached; connect once to "
                "download it, or give a local copy as path:<folder>"
            ) from None
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise InputError(f"{name} cannot be read as a dataset: {in_a_line(cause)}") from None
