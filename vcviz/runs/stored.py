"""What is stored of a run: JSON and safetensors files read as those of a stranger are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from vcviz.base import json_files
from vcviz.base.errors import InputError, MissingError, clip
from vcviz.base.options import check_count
from vcviz.runs.config import RunConfig

FORMAT = "vcviz.run/1"
LATENTS, CHECKPOINT = "latents", "checkpoint"
#: arrays of a `LatentSet` that a file of latents holds; the last two may be missing
LATENT_ARRAYS = ("z", "log_probs", "y", "index", "energy", "label_prior")
#: what to do about a run that is damaged
ADVICE = "; remove that folder and train again"

Arrays = dict[str, NDArray[Any]]


def is_run(path: Path) -> bool:
    """Return whether a folder is a finished run: visible, with a config."""
    return not path.name.startswith(".") and (path / "config.json").is_file()


def read_json(path: Path, *, finite: bool = False) -> dict[str, Any]:
    """Return the JSON object in a file; with `finite`, one without NaN and infinities."""
    with reading(path):
        return json_files.read_json(path, finite=finite, advice=ADVICE)


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a history file."""
    with reading(path):
        if path.stat().st_size > json_files.LARGEST:
            raise InputError(f"{path} has {path.stat().st_size >> 20} MB; a history never has")
        lines = path.read_bytes().splitlines()
    rows = [json_files.parse_json(line, path, advice=ADVICE) for line in lines if line]
    for row in rows:
        if not isinstance(row, dict):
            raise InputError(f"{path} should hold a JSON object a line, holds {clip(row)}")
        check_count(f"epoch in a line of {path}", row.get("epoch"), minimum=0)
    return rows


def stored_settings(folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Return the settings of a run and the whole of its config.json, checked to be ours."""
    path = folder / "config.json"
    record = read_json(path, finite=True)
    if record.get("format") != FORMAT:
        raise InputError(f"{path} is not a vcviz run (format {clip(record.get('format'))})")
    if missing := {"config", "data"} - record.keys():
        raise InputError(f"{path} lacks {', '.join(sorted(missing))}")
    for name in ("config", "data"):
        if not isinstance(record[name], dict):
            raise InputError(f"{name} in {path} must be an object, got {clip(record[name])}")
    check_data(path, record["data"])
    try:
        return RunConfig.recorded(record["config"]), record
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_data(path: Path, data: Mapping[str, Any]) -> None:
    """Raise an `InputError` unless this is what a config says of the data of a run."""
    names, shape = data.get("class_names"), data.get("input_shape")
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(n, str) for n in names):
        raise InputError(f"class_names in {path} must be a list of names, got {clip(names)}")
    if not isinstance(shape, list) or not shape:
        raise InputError(f"input_shape in {path} must be a list of lengths, got {clip(shape)}")
    for length in shape:
        check_count(f"input_shape in {path}", length)
    if data.get("kind") not in ("image", "text", "table"):
        raise InputError(
            f"kind in {path} must be image, text or table, got {clip(data.get('kind'))}"
        )
    for which in ("train", "test"):
        split = data.get(which)
        if not isinstance(split, dict) or not {"rows", "fingerprint"} <= split.keys():
            raise InputError(f"{which} in {path} must hold rows and a fingerprint")


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of a whole safetensors file; the arrays are not read."""
    with reading(path), safe_open(path, framework="numpy") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def read_arrays(path: Path, only: Collection[str] | None = None) -> Arrays:
    """Return all arrays of a safetensors file, or those of `only` that it has."""
    with reading(path), safe_open(path, framework="numpy") as file:
        names = [n for n in file.keys() if only is None or n in only]  # noqa: SIM118
        return {name: file.get_tensor(name) for name in names}


class reading:
    """Turn what goes wrong while reading a file of a run into one line that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        folder = self.path.parent
        if folder.name in (LATENTS, CHECKPOINT) and folder.is_symlink():
            raise InputError(f"{folder} is a link; only what lies in the run's folder is read")
        try:
            json_files.check_plain(self.path)
        except MissingError:
            raise MissingError(f"{self.path} is missing{ADVICE}") from None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InputError) or error is None:
            return
        if isinstance(error, FileNotFoundError):
            raise MissingError(f"{self.path} is missing{ADVICE}") from None
        if isinstance(error, SafetensorError | TypeError | KeyError | AttributeError):
            # The latter for a type of number that NumPy does not have.
            raise InputError(
                f"{self.path} is damaged or not a safetensors file ({str(error)[:200]}){ADVICE}"
            ) from None
        if isinstance(error, PermissionError):
            raise InputError(f"{self.path} may not be read: {error.strerror}") from None
