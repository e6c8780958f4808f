"""Everything needed to repeat a run, checked before anything starts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcviz.base.errors import InputError, clip, nearest, shorten
from vcviz.runs.presets import PRESETS, filled

Schedule = Literal["constant", "step", "cosine"]


class RunConfig(BaseModel):
    """Settings of one training run; plain values, which JSON holds.

    Unknown names, wrong types and values out of range raise `InputError` with the nearest name.
    `device`, `threads` and `compile` say how to compute, not what: they are not part of `key`.

    What is not given comes from the head's `preset`: "vcviz" has what each head is best trained
    with (for "variational" a stochastic encoder), "paper" what its authors used, as far as it is
    known (`vcviz.runs.presets`). A config holds all settings resolved, so a run's record says what
    was done and not which preset was meant. Options of encoder and head that nobody gave stand
    beside it in the record, as ``defaults``: a run stays what it was when a default changes.

    Examples
    --------
    >>> config = vcviz.RunConfig(dataset="mixture", head="gaussian_mixture", epochs=3)
    >>> config.default_name
    'mixture-gaussian_mixture-d2-s0-ba5f852c'
    >>> config.differences()
    {'head': 'gaussian_mixture', 'dataset': 'mixture', 'epochs': 3}
    >>> vcviz.RunConfig(epoch=3)
    Traceback (most recent call last):
        ...
    vcviz.base.errors.InputError: unknown setting 'epoch'; did you mean 'epochs'?
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    dataset: str = Field(
        "digits", description="digits, mixture, hub:<owner/name> or path:<folder or file>"
    )
    dataset_options: dict[str, Any] = Field(
        default_factory=dict, description="Option of the dataset, such as label=fine_label"
    )
    n_train: int | None = Field(None, ge=2, description="Keep this many training rows, stratified")
    validation: float = Field(0.0, ge=0, lt=1, description="Share of the training rows held out")
    encoder: str = Field("auto", description="auto, mlp, cnn, resnet20…, text, or custom")
    encoder_options: dict[str, Any] = Field(
        default_factory=dict, description="Option of the encoder, such as dropout=0.2"
    )
    head: str = Field("softmax", description="Head of the classifier")
    preset: Literal["vcviz", "paper"] = Field(
        "vcviz", description="Where settings come from that are not given"
    )
    head_options: dict[str, Any] = Field(
        default_factory=dict, description="Option of the head, such as margin=0.1"
    )
    latent_dim: int = Field(2, ge=1, description="D, dimensions of the latent space")
    stochastic: bool = Field(
        False, description="Encoder gives a Gaussian q(z|x), not a point; default for variational"
    )
    draws: int = Field(1, ge=1, description="S, latents drawn per input and training step")
    predict_draws: int = Field(32, ge=1, description="S, latents drawn per prediction")
    rate_weight: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Weight of the rate KL(q(z|x) || r)"
    )
    rate_to: Literal["law", "normal"] = Field(
        "law",
        description="r, the head's p(z|y) where it states one, else N(0, I), or always that",
    )
    epochs: int = Field(30, ge=1, description="Passes over the training rows")
    batch_size: int = Field(200, ge=1, description="Rows per step")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="Optimizer")
    lr: float = Field(2e-3, gt=0, allow_inf_nan=False, description="Learning rate")
    law_lr_scale: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="Learning rate of the law, in units of lr"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of sgd")
    nesterov: bool = Field(True, description="SGD with momentum as Nesterov's")
    weight_decay: float = Field(0.0, ge=0, allow_inf_nan=False, description="Weight decay")
    schedule: Schedule = Field("step", description="Learning rate over the epochs")
    schedule_options: dict[str, Any] = Field(
        default_factory=dict, description="Option of the schedule, such as gamma=0.1"
    )
    critic_optimizer: Literal["adam", "adamw"] = Field(
        "adam",
        description="Optimizer of the critic: adam with betas (0.5, 0.9), adamw with decay 0.01",
    )
    critic_lr: float = Field(
        5e-3, gt=0, allow_inf_nan=False, description="Learning rate of the critic"
    )
    critic_steps: int = Field(1, ge=1, description="Critic updates per batch")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Numbers to train with"
    )
    augment: Literal["none", "crop", "crop-flip"] = Field(
        "none", description="What is done to training images"
    )
    seed: int = Field(0, ge=0, description="Seed of data, weights and order")
    probe_size: int = Field(500, ge=1, description="Test rows whose latents are kept every epoch")
    probe_every: int = Field(1, ge=1, description="Epochs between kept probe latents")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0 or mps")
    threads: int | None = Field(None, ge=1, description="CPU threads; default 1 for small models")
    compile: bool = Field(False, description="Use torch.compile")

    def __init__(self, /, **values: Any) -> None:
        values = filled({name: _plain(value) for name, value in values.items()})
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(readable(error, list(type(self).model_fields))) from None
        if self.preset == "paper" and self.head not in PRESETS["paper"]:
            raise InputError(
                f"preset 'paper' has no settings for head {clip(self.head)}; it has some for: "
                f"{', '.join(PRESETS['paper'])}"
            )
        if not self.stochastic and (self.draws > 1 or self.rate_weight):
            raise InputError("draws and rate_weight need a stochastic encoder; add stochastic=true")

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the settings that a run's record holds: what it lacks is the field's own default.

        A record is of before a preset changed, or a setting was added: nothing is filled in.
        """
        fields = cls.model_fields.items()
        named = {name: field.get_default(call_default_factory=True) for name, field in fields}
        config = cls(**{**named, **values})
        return config.model_copy(update={"head_options": dict(values.get("head_options", {}))})

    def to_json(self) -> str:
        """Return the settings as indented JSON."""
        return _json(self.model_dump(), indent=2) + "\n"

    @property
    def latent(self) -> str:
        """What the encoder gives, for tables: "point" or, with the weight of its rate, "q(z|x)"."""
        return f"q(z|x), rate {self.rate_weight:g}" if self.stochastic else "point"

    def differences(self) -> dict[str, Any]:
        """Return the settings that differ from the head's preset: `RunConfig` of them is this."""
        base = type(self)(head=self.head, preset=self.preset)
        found = {k: v for k, v in self.model_dump().items() if v != getattr(base, k)}
        named = {"head": self.head, "preset": self.preset}
        return {k: v for k, v in named.items() if v != type(self).model_fields[k].default} | found

    @property
    def key(self) -> str:
        """Hash of what determines the result; two configs with one key are the same run.

        Of what differs from the defaults, so that a new setting leaves the old keys as they are.
        """
        values = self.model_dump(exclude={"device", "threads", "compile"}, exclude_defaults=True)
        return hashlib.sha256(_json(values).encode()).hexdigest()[:8]

    @property
    def default_name(self) -> str:
        """Folder name for the run, e.g. ``digits-variational-d2-s0-1a2b3c4d``."""
        source = self.dataset.split(":", 1)[-1].rstrip("/").rsplit("/", 1)[-1]
        source = re.sub(r"[^A-Za-z0-9_]+", "_", source)[:40].strip("_") or "data"
        return f"{source}-{self.head}-d{self.latent_dim}-s{self.seed}-{self.key}"


def _plain(value: Any) -> Any:
    """Return numbers and arrays of NumPy or torch, within mappings too, as Python's own."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value.tolist() if hasattr(value, "tolist") else value


def _json(values: dict[str, Any], **how: Any) -> str:
    try:
        return json.dumps(values, sort_keys=True, **how)
    except TypeError as error:
        raise InputError(f"settings must be numbers, strings, lists or mappings: {error}") from None


#: one line names no more of what is wrong
MOST_COMPLAINTS = 5


def readable(error: ValidationError, known: list[str]) -> str:
    """Return pydantic's complaints as one line of ours."""
    parts, listed = [], False
    found = error.errors()
    for item in found[:MOST_COMPLAINTS]:
        name = shorten(".".join(map(str, item["loc"])))
        if item["type"] == "extra_forbidden":
            close = nearest(name, known)
            listed = listed or not close
            parts.append(f"unknown setting {clip(name)}{close}")
        elif item["type"] == "missing":
            parts.append(f"{name} is missing")
        else:
            message = item["msg"].removeprefix("Input should be ")
            parts.append(f"{name} should be {message}, got {clip(item['input'])}")
    more = len(found) - len(parts)
    return (
        "; ".join(parts)
        + (f"; and {more} more" if more else "")
        + (f"; choose from: {', '.join(known)}" if listed else "")
    )
