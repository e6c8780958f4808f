"""What the settings of a run stand for: its model before training, and its data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcviz.base.errors import InputError
from vcviz.records import Split
from vcviz.runs.config import RunConfig

if TYPE_CHECKING:
    from torch import nn

    from vcviz.models.classifier import Classifier


@contextmanager
def plain_session() -> Iterator[None]:
    """Be as torch is when it starts: float32, on the CPU, with gradients; then as it was before.

    A run must not depend on the session's global state. Also a decorator.
    """
    import torch

    kind, elsewhere = torch.get_default_dtype(), torch.get_default_device().type != "cpu"
    inference = torch.is_inference_mode_enabled()
    with (
        torch.device("cpu") if elsewhere else nullcontext(),
        torch.inference_mode(False) if inference else nullcontext(),
        torch.enable_grad(),
        torch.random.fork_rng(devices=[]),  # weights are drawn before they are loaded
    ):
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(kind)


def build_model(
    config: RunConfig, data: Mapping[str, Any], *, encoder: nn.Module | None = None
) -> Classifier:
    """Return the untrained classifier of a config for data of that shape."""
    from vcviz.models.classifier import Classifier
    from vcviz.models.encoders import build_encoder
    from vcviz.models.heads import build_head

    if encoder is None:
        if config.encoder == "custom":
            raise InputError("encoder 'custom' stands for a module of your own; pass encoder=")
        encoder = build_encoder(
            config.encoder,
            kind=data["kind"],
            input_shape=tuple(data["input_shape"]),
            latent_dim=config.latent_dim * (2 if config.stochastic else 1),
            n_tokens=data.get("n_tokens"),
            **config.encoder_options,
        )
    head = build_head(
        config.head,
        latent_dim=config.latent_dim,
        n_classes=len(data["class_names"]),
        **config.head_options,
    )
    return Classifier(
        encoder, head, stochastic=config.stochastic, predict_draws=config.predict_draws
    )


def unstated(config: RunConfig, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the options of encoder, head and law that a config leaves to their defaults.

    A run's record keeps them: defaults may change, and the run's model must not change with them.
    Of what is of the user's own, only what JSON holds.
    """
    from vcviz.models.encoders import ENCODERS, encoder_for
    from vcviz.models.heads import HEADS
    from vcviz.models.laws import LAWS
    from vcviz.models.options import defaults_of

    head = defaults_of(HEADS[config.head]) if config.head in HEADS else {}
    own = head.pop("law_options", None) or {}
    law = {**head, **config.head_options}.get("law")
    if isinstance(law, str) and law in LAWS:
        own = {k: v for k, v in defaults_of(LAWS[law]).items() if k not in head} | own
    encoder = {}
    if config.encoder in ("auto", *ENCODERS):
        name = encoder_for(config.encoder, data["kind"], data["input_shape"])
        encoder = defaults_of(ENCODERS[name][0])
    found = {"encoder_options": encoder, "head_options": head, "law_options": own}
    given = _options_of(config)
    return {
        kind: {k: json.loads(text) for k, v in options.items()
               if k not in given[kind] and (text := _as_json(v)) is not None}
        for kind, options in found.items()
    }  # fmt: skip


def _as_json(value: Any) -> str | None:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None


def stated(config: RunConfig, data: Mapping[str, Any], record: Mapping[str, Any]) -> RunConfig:
    """Return a config with the options that it left to the defaults that a record has kept.

    What is no option any more is left out.
    """
    if not record:
        return config
    now, given = unstated(config, data), _options_of(config)
    whole = {
        kind: {k: record.get(kind, {}).get(k, v) for k, v in now[kind].items()} | dict(options)
        for kind, options in given.items()
    }
    own = {"law_options": whole.pop("law_options")}
    if own["law_options"]:
        whole["head_options"] |= own
    return config.model_copy(update=whole)


def _options_of(config: RunConfig) -> dict[str, Mapping[str, Any]]:
    """Return the options that a config has of encoder, head and law."""
    return {
        "encoder_options": config.encoder_options,
        "head_options": config.head_options,
        "law_options": config.head_options.get("law_options") or {},
    }


def shapes_of(config: RunConfig, data: Mapping[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes of a model that is not made; None where only making it tells."""
    import torch

    try:
        with torch.device("meta"):
            model = build_model(config, data)
    except (InputError, NotImplementedError, OverflowError, RuntimeError, TypeError) as error:
        if "overflow" in str(error).lower():
            raise InputError("the settings ask for a model larger than any machine holds") from None
        if isinstance(error, OverflowError | TypeError):
            raise
        # Some parts check values, which such a model has none of; what is wrong is then said by
        # making it.
        return None
    return {k: tuple(v.shape) for k, v in model.state_dict().items()}


def kinds_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shape of every tensor, with its type where that is not a float's."""
    return {
        k: tuple(v.shape) if v.is_floating_point() else (*v.shape, str(v.dtype))
        for k, v in state.items()
    }


def load_splits(config: RunConfig) -> tuple[Split, Split]:
    """Return the (train, test) splits of a config; the last few are kept in memory."""
    options = json.dumps(config.dataset_options)
    stamp = _stamp(config.dataset)
    return _load_splits(config.dataset, options, config.n_train, config.seed, stamp)


@lru_cache(maxsize=2)
def _load_splits(
    dataset: str, options: str, n_train: int | None, seed: int, stamp: int
) -> tuple[Split, Split]:
    from vcviz.data import load_data

    return load_data(dataset, seed=seed, n_train=n_train, **json.loads(options))


def _stamp(dataset: str) -> int:
    """Return a number that changes with a local file, so that what is kept of it goes stale."""
    from vcviz.data.hub_and_path import exists

    kind, _, place = dataset.partition(":")
    if kind != "path" or not exists(Path(place)):
        return 0
    files = [place]
    if Path(place).is_dir():
        files = sorted(os.path.join(at, name) for at, _, names in os.walk(place) for name in names)
    # A link may lead nowhere.
    stats = [os.stat(f) for f in files if os.path.exists(f)]
    return hash((tuple(files), tuple((s.st_mtime_ns, s.st_size) for s in stats)))
