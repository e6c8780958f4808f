"""What is stored of a run: JSON and safetensors files read as those of a stranger are."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from pydantic_core import PydanticCustomError
from safetensors import SafetensorError, safe_open

from vcviz.base import json_files
from vcviz.base.errors import InputError, MissingError, clip
from vcviz.runs.config import RunConfig, readable

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


class _Part(BaseModel):
    """A part of what is stored; what else stands there is kept as it is."""

    model_config = ConfigDict(extra="allow", strict=True)


class StoredRows(_Part):
    """What a run remembers of the rows of a split."""

    rows: int = Field(ge=0)
    fingerprint: str


class StoredData(_Part):
    """What a run remembers of its data: enough to make its model, and to know the data again."""

    kind: Literal["image", "text", "table"]
    input_shape: list[PositiveInt] = Field(min_length=1)
    class_names: list[str] = Field(min_length=2)
    train: StoredRows
    test: StoredRows


class StoredRun(_Part):
    """``config.json``. Its settings are judged by `RunConfig`."""

    config: dict[str, Any]
    data: StoredData


def _number(value: Any) -> Any:
    if not isinstance(value, int | float | list | str | None):
        raise PydanticCustomError("number", "a number")
    return value


class StoredMetrics(_Part):
    """``metrics.json``."""

    accuracy: float
    nll: float
    ece: float
    ece_if_calibrated: float
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(_number)]]


class StoredEpoch(_Part):
    """A line of ``history.jsonl``."""

    epoch: int = Field(ge=0)


class StoredState(_Part):
    """Plain values of a checkpoint."""

    epoch: int = Field(ge=0)
    optimizer: Any
    scaler: Any


def as_record(where: object, kind: type[_Part], values: Any) -> dict[str, Any]:
    """Return values of JSON if they are a record of that kind."""
    try:
        kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {readable(error, [])}{ADVICE}") from None
    found: dict[str, Any] = values
    return found


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the numbers of a finished run."""
    with reading(path):
        return as_record(path, StoredMetrics, json_files.read_json(path, advice=ADVICE))


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a history file."""
    with reading(path):
        lines = json_files.read_bytes(path).splitlines()
    rows = [json_files.parse_json(line, path, advice=ADVICE) for line in lines if line]
    return [as_record(path, StoredEpoch, row) for row in rows]


def stored_settings(folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Return the settings of a run and the whole of its config.json, checked to be ours."""
    path = folder / "config.json"
    with reading(path):
        record = json_files.read_json(path, finite=True, advice=ADVICE)
    if record.get("format") != FORMAT:
        raise InputError(f"{path} is not a vcviz run (format {clip(record.get('format'))})")
    as_record(path, StoredRun, record)
    try:
        return RunConfig.recorded(record["config"]), record
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


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
