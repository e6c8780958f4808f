"""Train a classifier from settings to a finished run folder; the loop itself is in loop.py."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from torch import nn
from torch.distributions import Distribution

from vcviz import runs
from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip, expect, unknown
from vcviz.base.options import check_path
from vcviz.data import fingerprint
from vcviz.models.heads import HEADS
from vcviz.models.laws import describe as describe_law
from vcviz.records import Split, as_array
from vcviz.runs import folder as run_folder
from vcviz.runs.config import RunConfig
from vcviz.training.jobs import Job, train_job


@overload
def train(
    config: RunConfig | str | None = None, *, seeds: None = None, **options: Any
) -> runs.Run: ...
@overload
def train(
    config: RunConfig | str | None = None, *, seeds: Iterable[int], **options: Any
) -> list[runs.Run]: ...
@takes_records
def train(
    config: RunConfig | str | None = None,
    *,
    seeds: Iterable[int] | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    splits: tuple[Split, Split] | None = None,
    encoder: str | nn.Module | None = None,
    checkpoint_every: float = 10.0,
    progress: bool = True,
    **settings: Any,
) -> runs.Run | list[runs.Run]:
    """Return the run of these settings, trained now unless it is already there.

    Parameters
    ----------
    config, settings : a `RunConfig`, or its fields as keywords, e.g. ``head="variational"``,
        ``dataset="digits"``, ``latent_dim=2``, ``epochs=30``, ``seed=0``, ``head_options={…}``
        (a `torch.distributions` object as its ``law`` is kept as JSON,
        `vcviz.models.laws.describe`); a string alone is the dataset
    seeds : train one run for each of these seeds instead, one after another, and return a list;
        `vcviz.sweep` does several at a time, one on each core
    out : folder of runs
    name : the run's folder; default made of dataset, head, D, seed and a hash of the settings
    splits : (train, test) of your own instead of `dataset` and its options, all rows of them
    encoder : a name of `vcviz.models.encoders`, or a module of your own, x -> (B, latent_dim)
    checkpoint_every : seconds between checkpoints; 0 writes one after every epoch
    progress : show a progress bar

    Returns
    -------
    Run
        An interrupted run of the same settings is continued from its last checkpoint and, on a
        CPU, ends with the same weights and history as one that was not interrupted.

    Raises
    ------
    InputError
        For settings that do not fit, or a run of that name with other settings or other data.
    TrainingError
        If the loss stops being finite; the message names the term and the step.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> run.path.name
    'mixture-gaussian_mixture-d2-s0-ba5f852c'
    >>> run.epochs, run.latents().z.shape
    ([0, 1, 2, 3], (1000, 2))
    >>> print(f"accuracy {run.metrics['accuracy']:.1f}")
    accuracy 1.0
    >>> same = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> same.path == run.path  # read from its folder, not trained again
    True
    """
    if isinstance(config, str):
        if "dataset" in settings:
            raise InputError(f"give one dataset, got {clip(config)} and dataset=")
        settings["dataset"], config = config, None
    if isinstance(encoder, str):
        settings["encoder"], encoder = encoder, None
    if isinstance(settings.get("dataset"), tuple):
        if splits is not None:
            raise InputError("give one dataset, got splits= and dataset=")
        splits = settings.pop("dataset")
    if splits is not None:
        for option in ("dataset", "dataset_options", "n_train"):
            if settings.get(option):
                raise InputError(f"splits of your own stand for the dataset; leave {option} out")
        if not isinstance(splits, (tuple, list)) or len(splits) != 2:
            raise InputError(f"splits should be (train, test), got {clip(splits)}")
        for which, split in zip(("train split", "test split"), splits, strict=True):
            expect(which, split, Split, "build one from arrays: vcviz.Split(x, y)")
    if encoder is not None:
        expect("encoder", encoder, nn.Module)
    if config is not None and settings:
        raise InputError(
            f"give a config or settings, not both (got config and {', '.join(settings)})"
        )
    config = _with_described_law(config or RunConfig(**settings))
    if splits is not None:
        config = _with_own_splits(config, splits)
    if encoder is not None:
        config = _with_own_encoder(config, encoder)
    if seeds is None:
        return train_job(_job(config, out, name, splits, encoder), checkpoint_every, progress)
    if name is not None:
        raise InputError("runs of several seeds have names of their own; leave name= out")
    if not isinstance(seeds, Iterable) or not (wanted := list(seeds)):
        raise InputError(f"seeds should be some integers, as in range(5), got {clip(seeds)}")
    values = config.model_dump()
    # All settings are checked before anything is trained.
    configs = {seed: RunConfig(**values | {"seed": seed}) for seed in wanted}
    runs_of = {
        # Each begins with the weights that the encoder has now.
        seed: train_job(
            _job(c, out, None, splits, copy.deepcopy(encoder)), checkpoint_every, progress
        )
        for seed, c in configs.items()
    }
    return [runs_of[seed] for seed in wanted]


def _job(
    config: RunConfig,
    out: str | Path,
    name: str | None,
    splits: tuple[Split, Split] | None,
    encoder: nn.Module | None,
) -> Job:
    return Job(
        config,
        check_path("out", out),
        run_folder.check_name(name or config.default_name),
        splits,
        encoder,
    )


def train_heads(
    heads: Sequence[str] = ("softmax", "gaussian_mixture", "variational"),
    *,
    head_options: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> list[runs.Run]:
    """Return one run per head with otherwise equal settings, for a comparison.

    Parameters
    ----------
    heads : names of heads
    head_options : options by head, e.g. ``{"variational": {"critic_weight": 0.5}}``
    settings : as for `train`

    Returns
    -------
    list of Run
        In the order of `heads`.

    Raises
    ------
    InputError
        For an unknown head, options of a head that is not trained, or as for `train`.

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> for run in runs:
    ...     print(f"{run.title}: accuracy {run.metrics['accuracy']:.1f}, law {run.anticipates}")
    ...
    softmax: accuracy 0.6, law implied
    gaussian_mixture: accuracy 1.0, law stated
    """
    heads = [heads] if isinstance(heads, str) else list(heads)
    if not heads:
        raise InputError(f"heads must name at least one of {', '.join(HEADS)}")
    for head in heads:
        if head not in HEADS:
            raise unknown("head", head, HEADS)
    own = dict(head_options or {})
    if stray := own.keys() - set(heads):
        raise InputError(f"head_options names {sorted(stray)}, which are not among {list(heads)}")
    encoder = settings.pop("encoder", None)
    return [
        # Each begins with the weights that the encoder has now.
        train(head=h, head_options=dict(own.get(h, {})), encoder=copy.deepcopy(encoder), **settings)
        for h in heads
    ]


def _with_own_splits(config: RunConfig, splits: tuple[Split, Split]) -> RunConfig:
    prints = {"train": fingerprint(splits[0]), "test": fingerprint(splits[1])}
    values = config.model_dump() | {
        "dataset": f"custom:{splits[0].name}",
        "dataset_options": prints,
    }
    return RunConfig(**values)


def _with_own_encoder(config: RunConfig, encoder: nn.Module) -> RunConfig:
    digest = hashlib.sha256()
    for key, value in sorted(encoder.state_dict().items()):
        digest.update(key.encode() + as_array(key, value).tobytes())
    options = {"class": type(encoder).__qualname__, "initial_weights": digest.hexdigest()[:16]}
    return RunConfig(**config.model_dump() | {"encoder": "custom", "encoder_options": options})


def _with_described_law(config: RunConfig) -> RunConfig:
    """Return the config with a `torch.distributions` object among its options made JSON."""
    law = config.head_options.get("law")
    if not isinstance(law, Distribution):
        return config
    options = {**config.head_options, "law": describe_law(law)}
    return RunConfig(**dict(config) | {"head_options": options})
