"""The files of a dataset: listed once, their kinds and splits, and where they may lie.

A row of a dataset may name files of the dataset's own folder, and no others of this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from vcviz.base.errors import InputError, clip, shorten
from vcviz.base.progress import bar
from vcviz.data.memory import size

#: suffix -> how a table is read; a CSV or JSON file may be packed, as in ``.csv.gz``
TABLES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".data": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".npz": "npz",
}
#: suffixes of packed files
PACKINGS = (".gz", ".bz2", ".xz")
IMAGES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".jp2", ".ppm"}
    | {".pgm", ".pbm", ".pnm", ".tga", ".avif"}
)
TEXTS = frozenset({".txt", ".text"})
#: suffix of what is not read -> what to do with it
ADVICE = {
    ".npy": "save inputs and labels together, with numpy.savez",
    ".mat": "save its arrays with numpy.savez",
    ".h5": "save its arrays with numpy.savez",
    ".hdf5": "save its arrays with numpy.savez",
    ".pkl": "a pickle can run any program; save its arrays with numpy.savez",
    ".pickle": "a pickle can run any program; save its arrays with numpy.savez",
    ".xlsx": "save the sheet as CSV",
    ".xls": "save the sheet as CSV",
    ".arff": "save it as CSV",
    ".tar": "unpack it first",
    ".zst": "unpack it first",
    ".tgz": "unpack it first",
    ".7z": "unpack it first",
    ".rar": "unpack it first",
}
_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("validation", "valid", "val", "dev"),
}
#: folders of rows whose class nobody knows
_UNLABELLED = ("unsup", "unlabeled", "unlabelled")
_NOTES = re.compile(r"(readme|license|licence|notice|changelog|changes|citation)\b", re.IGNORECASE)
#: files after which a folder without anything to read is given up
_ENOUGH = 20_000


class File(NamedTuple):
    """A file of a dataset.

    Attributes
    ----------
    path : of the file
    parts : names of the folders between the dataset's folder and the file
    name : of the file
    kind : "image", "text", "archive", one of the values of `TABLES`, or "" for any other
    is_link : whether it may lie elsewhere
    """

    path: str
    parts: tuple[str, ...]
    name: str
    kind: str
    is_link: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it holds many rows."""
        return self.kind in _TABLE_KINDS


_TABLE_KINDS = frozenset(TABLES.values())


def list_files(folder: Path) -> list[File]:
    """Return the files of a folder and of the folders within it, sorted, hidden ones left out.

    Raises
    ------
    InputError
        If nothing of a kind that can be read is among them.
    """
    found: list[File] = []
    readable = 0
    for file in bar(_walk(str(folder), ()), "listing files", leave=False):
        found.append(file)
        readable += bool(file.kind)
        if not readable and len(found) > _ENOUGH:
            break
    if not readable:
        raise InputError(_nothing(found))
    return found


def kind_of(name: str) -> str:
    """Return how a file of that name is read; "" if it is not."""
    stem, suffix = os.path.splitext(name.lower())
    if suffix in PACKINGS:
        kind = TABLES.get(os.path.splitext(stem)[1], "")
        return kind if kind in ("csv", "json") else ""
    if suffix in TABLES:
        return TABLES[suffix]
    if suffix in IMAGES:
        return "image"
    if suffix == ".zip":
        return "archive"
    # Files of news and mail have no suffix, or a number in its place.
    texts = suffix in TEXTS or not re.fullmatch(r"\.[a-z][a-z0-9_-]{0,7}", suffix)
    return "text" if texts and not _NOTES.match(name) else ""


def refusal(name: str) -> InputError:
    """Return the error for a file whose kind is not read."""
    lower = name.lower()
    advice = next((text for end, text in ADVICE.items() if lower.endswith(end)), None)
    if advice is None and os.path.splitext(lower)[1] in PACKINGS:
        advice = "unpack it first"
    return InputError(
        f"{clip(name)} is no kind of file that can be read"
        f"{f' ({advice})' if advice else ''}: use {', '.join(TABLES)}, or a folder of such files "
        "or of one folder of images or of texts a class"
    )


def unpack(archive: Path, stack: ExitStack) -> Path:
    """Return a folder with the files of a zip archive, which goes when the stack is closed.

    Raises
    ------
    InputError
        If it is damaged, or declares more than the disk has room for.
    """
    place = Path(tempfile.gettempdir())
    try:
        with zipfile.ZipFile(archive) as opened:
            # No entry gives more than it declares.
            need, free = sum(e.file_size for e in opened.infolist()), shutil.disk_usage(place).free
            if need > free:
                raise InputError(
                    f"{archive.name} unpacks to {size(need)}, more than the {size(free)} that are "
                    f"free where {place} is; set TMPDIR to a folder on a larger disk"
                )
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vcviz-"))
            opened.extractall(folder)
    except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{archive.name} cannot be unpacked: {shorten(str(error))}") from None
    return Path(folder).resolve()


def arrange(files: Sequence[File], *, by_stem: bool = False) -> dict[str, list[File]]:
    """Return the files of each split, by the names of their folders, or of the files themselves.

    A split is found by a word of a name: ``Final_Training``, ``20news-bydate-test``,
    ``train-00000-of-00002.parquet``. Beside splits, other folders and files are left out. Without
    any, all are "train". What is left of each file's `parts` lies within its split.

    Parameters
    ----------
    files : to share out
    by_stem : whether the names of files count, as they do for tables
    """
    files = below_common(files)
    names = [f.parts[0] if f.parts else "" for f in files]
    splits = _split_names(set(names))
    inner = bool(splits)
    if by_stem and not splits:
        names = [f.name.split(".")[0] for f in files]
        splits = _split_names(set(names))
    if not splits:
        return {"train": list(files)}
    groups: dict[str, list[File]] = {}
    for file, name in zip(files, names, strict=True):
        if name in splits:
            found = file._replace(parts=file.parts[1:]) if inner else file
            groups.setdefault(splits[name], []).append(found)
    return groups


def below_common(files: Sequence[File]) -> list[File]:
    """Return the files with the folders left out that all of them lie in, but splits' own."""
    # What the first and the last in order share, all do.
    first = min((f.parts for f in files), default=())
    last = max((f.parts for f in files), default=())
    n = 0
    while n < min(len(first), len(last)) and first[n] == last[n] and not split_of(first[n]):
        n += 1
    return [f._replace(parts=f.parts[n:]) for f in files] if n else list(files)


def split_of(name: str) -> str | None:
    """Return "train", "test" or "validation" if a word of the name says so."""
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return next((split for split, known in _SPLITS.items() if set(words) & set(known)), None)


def exact_split(name: str) -> str | None:
    """Return "train", "test" or "validation" if the whole name says so."""
    return next((split for split, known in _SPLITS.items() if name.lower() in known), None)


def class_folders(files: Sequence[File]) -> list[File]:
    """Return the files that lie in folders of their own, if any do, else all.

    Beside folders of a class lie lists and notes, and rows whose class nobody knows.
    """
    inner = [f for f in files if f.parts and f.parts[0].lower() not in _UNLABELLED]
    return inner or list(files)


def class_names(files: Sequence[File]) -> list[str] | None:
    """Return the innermost folder of each file in which they differ, or None if they do not."""
    depth = min((len(f.parts) for f in files), default=0)
    for k in range(1, depth + 1):
        names = [f.parts[-k] for f in files]
        if len(set(names)) > 1:
            return names
    return None


def _walk(folder: str, parts: tuple[str, ...]) -> Iterator[File]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda e: e.name)
    except OSError as error:
        raise InputError(f"{clip(folder, 200)} cannot be listed: {error.strerror}") from None
    folders = []
    for entry in listed:
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry)
        elif entry.is_dir():
            # Followed, links could lead anywhere, or round and round.
            raise InputError(
                f"the folder {clip(entry.path, 200)} is a link, which is not followed; put the "
                "folder itself there, or take the link away"
            )
        elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
            kind = kind_of(entry.name)
            yield File(entry.path, parts, entry.name, kind, entry.is_symlink())
    for entry in folders:
        yield from _walk(entry.path, (*parts, entry.name))


def _split_names(names: set[str]) -> dict[str, str]:
    """Return which names mean which split; none unless they can only be meant so.

    A class may be called "train", so its name alone among others is no split.
    """
    names = names - {""}
    exact = {name: split for name in names if (split := exact_split(name))}
    meant = {name: split for name in names if (split := split_of(name))}
    if len(meant) < len(names) and len(set(exact.values())) < 2:
        return {}
    # Beside train.csv, oos_train.csv is a split of its own.
    taken = set(exact.values())
    return {n: s if n in exact or s not in taken else n for n, s in meant.items()}


def _nothing(files: Sequence[File]) -> str:
    ends = Counter(os.path.splitext(f.name.lower())[1] or f.name for f in files)
    held = ", ".join(f"{clip(end, 20)[1:-1]} ({n})" for end, n in ends.most_common(4))
    advice: Callable[[str], str | None] = ADVICE.get
    what = next((f"; {end}: {advice(end)}" for end, _ in ends.most_common() if advice(end)), "")
    return (
        f"it has no files of data ({', '.join(TABLES)}), no images and no texts"
        f"{f', but {held}' if held else ''}{what}"
    )


class Places:
    """The folders that documents of a dataset may lie in.

    A dataset comes from others, and a row of it could name any file of this machine.

    Parameters
    ----------
    folder : of a local source, where relative paths start; None for one of the Hub, whose files
        lie in the cache
    """

    def __init__(self, folder: Path | None) -> None:
        caches: list[str | Path] = []
        if "datasets" in sys.modules:
            import datasets
            from huggingface_hub import constants

            config = datasets.config
            # What is unpacked from an archive lies in the cache too.
            caches = [config.EXTRACTED_DATASETS_PATH]
            if folder is None:
                caches = [
                    config.HF_DATASETS_CACHE,
                    config.DOWNLOADED_DATASETS_PATH,
                    constants.HF_HUB_CACHE,
                    *caches,
                ]
        self.start = Path(folder or caches[0]).resolve()
        self._roots = [self.start, *(Path(cache).resolve() for cache in caches)]
        self._known: dict[Path, Path] = {}

    def locate(self, name: object) -> str:
        """Return the path of a file that a row names.

        Raises
        ------
        InputError
            If it lies elsewhere, by its name or through a link.
        """
        if not isinstance(name, str) or not name or "\0" in name:
            raise InputError(f"{clip(name)} is no file's name")
        if re.match(r"\w+://", name):
            raise InputError(
                f"{clip(name, 200)} is an address, or in an archive; unpack or download it first"
            )
        path = self.start / name
        try:
            # Many files lie in few folders: those are looked up once.
            if path.name == ".." or path.is_symlink():
                real = path.resolve()
            else:
                if path.parent not in self._known:
                    self._known[path.parent] = path.parent.resolve()
                real = self._known[path.parent] / path.name
        except (OSError, RuntimeError) as error:
            raise InputError(f"{clip(name)} cannot be a path: {clip(str(error))}") from None
        if not any(real.is_relative_to(root) for root in self._roots):
            raise InputError(
                f"the file {clip(name, 200)} lies outside of {self.start}; only files within the "
                "folder of a dataset are read, so copy it there"
            )
        return str(path)
