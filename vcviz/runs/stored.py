"""What is stored of a run: records and arrays, read as untrusted input; laws as arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from pydantic_core import PydanticCustomError
from safetensors import SafetensorError, safe_open

from vcviz.base import json_files
from vcviz.base.errors import InputError, MissingError, clip
from vcviz.records import LatentPrior
from vcviz.runs.config import RunConfig, readable
from vcviz.runs.settings import plain_session

FORMAT = "vcviz.run/1"
LATENTS, CHECKPOINT = "latents", "checkpoint"
#: arrays of a `LatentSet` that a file of latents holds; the last two may be missing
LATENT_ARRAYS = ("z", "log_probs", "y", "index", "energy", "label_prior")
#: what to do about a run that is damaged
ADVICE = "; remove that folder and train again"
_LAW_FIELDS = ("mean", "scale", "scale_tril", "log_weight", "df", "concentration")
_PRIOR, _STATE = "prior.", "law."

Arrays = dict[str, NDArray[Any]]


def is_run(path: Path) -> bool:
    """Return whether a folder is a finished run: visible, with a config."""
    return not path.name.startswith(".") and (path / "config.json").is_file()


class _Part(BaseModel):
    """A part of what is stored; unknown keys are kept."""

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
    defaults: dict[str, dict[str, Any]] = Field(default_factory=dict)


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


def as_record(
    where: object, kind: type[BaseModel], values: Any, advice: str = ADVICE
) -> dict[str, Any]:
    """Return values of JSON if they are a record of that kind; `advice` says what to do if not."""
    try:
        kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {readable(error, [])}{advice}") from None
    return dict(values)


def read_record(path: Path, kind: type[BaseModel], advice: str = ADVICE) -> dict[str, Any]:
    """Return what a file of JSON holds if it is a record of that kind."""
    return as_record(path, kind, json_files.read_json(path, advice=advice), advice)


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the numbers of a finished run."""
    with reading(path):
        return read_record(path, StoredMetrics)


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


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading a file of a run into one line that names the file."""
    folder = path.parent
    if folder.name in (LATENTS, CHECKPOINT) and folder.is_symlink():
        raise InputError(f"{folder} is a link; only what lies in the run's folder is read")
    try:
        json_files.check_plain(path)
        yield
    except FileNotFoundError:
        raise MissingError(f"{path} is missing{ADVICE}") from None
    except PermissionError as error:
        raise InputError(f"{path} may not be read: {error.strerror}") from None
    # The last for a type of number that NumPy does not have.
    except (SafetensorError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged or not a safetensors file ({str(error)[:200]}){ADVICE}"
        ) from None


def law_arrays(prior: LatentPrior, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what a run keeps of a law.

    Parameters
    ----------
    prior : the law; one without a family written down is Gaussian, as all were at first
    state : parameters of the module that states it, kept for a law of the user's own alone:
        its density is code, which the run's settings bring back
    """
    arrays = {f"{_PRIOR}{k}": v for k in _LAW_FIELDS if (v := getattr(prior, k)) is not None}
    if prior.scale_tril is not None and prior.one_scale:  # one for all classes is kept once
        arrays[f"{_PRIOR}scale_tril"] = np.array(prior.scale_tril[:1])
    if prior.family != "gaussian":
        arrays[f"{_PRIOR}family"] = np.frombuffer(prior.family.encode(), np.uint8)
    if prior.family == "custom":
        arrays |= {f"{_STATE}{k}": v for k, v in state.items()}
    return arrays


def stored_law(arrays: Mapping[str, NDArray[Any]], config: RunConfig) -> LatentPrior:
    """Return the law that `law_arrays` took apart."""
    family = arrays.get(f"{_PRIOR}family", np.empty(0, np.uint8)).tobytes().decode() or "gaussian"
    if family == "custom":
        return _custom_law(arrays, config)
    stated: dict[str, Any] = {k: arrays.get(f"{_PRIOR}{k}") for k in _LAW_FIELDS}
    return LatentPrior(**stated, family=family)


@plain_session()
def _custom_law(arrays: Mapping[str, NDArray[Any]], config: RunConfig) -> LatentPrior:
    import torch

    from vcviz.models.heads import build_head

    mean = arrays[f"{_PRIOR}mean"]
    n_classes, latent_dim = mean.shape
    options = {"latent_dim": latent_dim, "n_classes": n_classes, **config.head_options}
    law: Any = build_head(config.head, **options).law
    state = {k.removeprefix(_STATE): v for k, v in arrays.items() if k.startswith(_STATE)}
    law.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    prior: LatentPrior = law.prior(torch.from_numpy(arrays[f"{_PRIOR}log_weight"]))
    return prior
