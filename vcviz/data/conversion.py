"""Files of others turned into a dataset, after a look at what they say they hold.

A few kilobytes can declare terabytes: constant columns, repeated strings, compressed text. What a
local file declares is compared with what this machine has free before anything of that size is
made, and what is written is counted while it is (of the Hub's files, only this).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vcviz.data import arrow_files, parquet_files, text_files
from vcviz.data.places import check_archives
from vcviz.data.room import free_disk, refuse_disk
from vcviz.json_files import inside, read_json

#: of the kinds of file that `datasets` knows, those that are read from a folder
_KINDS = ("arrow", "csv", "imagefolder", "json", "parquet", "text")
#: bytes after which the rest is foretold
_SAMPLE = 2**28
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def convert(builder: Any, *, folder: Path | None = None, progress: bool = True) -> Any:
    """Return the splits that a builder of `datasets` makes, from its cache if they are there.

    Parameters
    ----------
    builder : what `datasets.load_dataset_builder` returned
    folder : of a local source that is a folder, whose archives are looked at too
    progress : whether looking through long files shows a bar

    Raises
    ------
    InputError
        If the files declare more than there is room for, or are of a kind that is not read.
    """
    kind = type(builder).__module__.rsplit(".", 1)[-1]
    files = [str(f) for several in (builder.config.data_files or {}).values() for f in several]
    local = not any("://" in f for f in files)
    if not Path(builder.cache_dir, "dataset_info.json").exists():
        if folder is not None:
            check_archives(folder)
        found = [Path(f) for f in files]
        rows = _check_declared(builder, kind, found, progress) if local else None
        if hasattr(builder, "_generate_tables"):
            builder._generate_tables = _counted(builder._generate_tables, rows)
    builder.download_and_prepare()
    return builder.as_dataset()


def check_saved(folder: Path) -> None:
    """Refuse a folder of `Dataset.save_to_disk` that leads out of itself or declares too much."""
    parts = [folder]
    if (folder / "dataset_dict.json").exists():
        names = read_json(folder / "dataset_dict.json").get("splits", [])
        parts = [inside(folder, name) for name in names]
    for part in parts:
        state = read_json(part / "state.json") if (part / "state.json").exists() else {}
        for entry in state.get("_data_files", []):
            arrow_files.check_arrow(inside(part, entry["filename"]))


def _check_declared(builder: Any, kind: str, files: list[Path], progress: bool) -> int | None:
    """Refuse files that declare too much; return their number of rows where they say it."""
    if kind not in _KINDS:
        # The caller says what is missing if nothing is there that could be read.
        raise ValueError(f"it holds files of the kind {kind!r}, which are not read")
    n_rows = 0
    for file in files:
        # Beside images lie tables of what is known of them.
        read_as = _SUFFIXES.get(file.suffix.lower(), "") if kind == "imagefolder" else kind
        if read_as == "parquet":
            n_rows += parquet_files.check_parquet(file)
        elif read_as == "arrow":
            arrow_files.check_arrow(file)
        elif read_as:
            separator = _separator(builder.config, file)
            text_files.check_text(file, read_as, separator, progress=progress)
    return n_rows if kind == "parquet" else None


def _separator(config: Any, file: Path) -> str:
    stated = getattr(config, "delimiter", None) or getattr(config, "sep", None)
    return stated or ("\t" if file.suffix.lower() == ".tsv" else ",")


def _counted(
    tables: Callable[..., Iterator[Any]], n_rows: int | None
) -> Callable[..., Iterator[Any]]:
    """Return a maker of tables that stops when all of them will not fit on the disk.

    Parameters
    ----------
    tables : the maker of tables
    n_rows : in all files, where they say so: then the first rows show what all of them take
    """
    free, place = free_disk()
    seen = [0, 0]

    def counted(*args: Any, **options: Any) -> Iterator[Any]:
        for key, table in tables(*args, **options):
            seen[0] += table.nbytes
            seen[1] += len(table)
            # Rows differ: only what is twice too much is foretold.
            rest = seen[0] / max(1, seen[1]) * n_rows / 2 if n_rows and seen[0] > _SAMPLE else 0
            refuse_disk("the rows come", max(seen[0], rest), free, place)
            yield key, table

    return counted
