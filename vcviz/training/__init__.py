"""Train a classifier from settings to a finished run folder; the loop itself is in loop.py."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import nn
from torch.distributions import Distribution

from vcviz import __version__, runs
from vcviz.config import RunConfig
from vcviz.data import fingerprint
from vcviz.errors import InputError, TrainingError, clip, expect, unknown
from vcviz.heads import HEADS
from vcviz.laws import describe as describe_law
from vcviz.model import Classifier
from vcviz.records import Split
from vcviz.runs import folder as run_folder
from vcviz.training.loop import Trainer, has_batch_norm
from vcviz.training.schedules import schedule


def train(
    config: RunConfig | str | None = None,
    *,
    out: str | Path = "runs",
    name: str | None = None,
    splits: tuple[Split, Split] | None = None,
    encoder: str | nn.Module | None = None,
    checkpoint_every: float = 10.0,
    progress: bool = True,
    **settings: Any,
) -> runs.Run:
    """Return the run of these settings, trained now unless it is already there.

    Parameters
    ----------
    config, settings : a `RunConfig`, or its fields as keywords, e.g. ``head="variational"``,
        ``dataset="digits"``, ``latent_dim=2``, ``epochs=30``, ``seed=0``, ``head_options={…}``
        (a `torch.distributions` object as its ``law`` is kept as JSON, `vcviz.laws.describe`);
        a string alone is the dataset
    out : folder of runs
    name : the run's folder; default made of dataset, head, D, seed and a hash of the settings
    splits : (train, test) of your own instead of `dataset`
    encoder : a name of `vcviz.encoders`, or a module of your own, x -> (B, latent_dim)
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
    """
    if isinstance(config, str):
        settings["dataset"], config = config, None
    if isinstance(encoder, str):
        settings["encoder"], encoder = encoder, None
    if isinstance(settings.get("dataset"), tuple):
        splits = settings.pop("dataset")
    if splits is not None:
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
    name = run_folder.check_name(name or config.default_name)
    done = runs.finished_run(out, name, config)
    train_split, test_split = splits or runs.load_splits(config)
    if done is not None:
        done.check_data(train_split, test_split)
        return done
    device = pick_device(config.device)
    _check_splits(train_split, test_split)
    data = describe(train_split, test_split)
    with _seeded(config.seed):
        model = runs.build_model(config, data, encoder=encoder)
    _check_shapes(model, train_split, config)

    with _locked(Path(out), name), _threads(config), _seeded(config.seed):
        record = {"config": config.model_dump(), "data": data, **_provenance(device)}
        folder = run_folder.start(out, name, config, record)
        try:
            Trainer(model.to(device), train_split, test_split, config, folder, device).run(
                checkpoint_every, progress
            )
        except (InputError, TrainingError):
            run_folder.discard(folder)  # the same settings would only fail again
            raise
        return runs.load_run(run_folder.finish(folder, name))


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
    return [train(head=h, head_options=dict(own.get(h, {})), **settings) for h in heads]


def pick_device(name: str) -> torch.device:
    """Return the device of that name; "auto" takes CUDA, then Apple's MPS, then the CPU."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"device {name!r} is not available here; use auto or cpu") from None
    return device


def describe(train: Split, test: Split) -> dict[str, Any]:
    """Return what a run must remember of its data to rebuild the model and to check the data."""
    return {
        "kind": train.kind,
        "input_shape": list(train.x.shape[1:]),
        "class_names": list(train.class_names),
        "n_tokens": train.preprocessing.get("n_tokens"),
        "preprocessing": dict(train.preprocessing),
        "train": {"name": train.name, "rows": len(train), "fingerprint": fingerprint(train)},
        "test": {"name": test.name, "rows": len(test), "fingerprint": fingerprint(test)},
    }


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch for the block and leave the caller's own random state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _threads(config: RunConfig) -> Iterator[None]:
    """Set CPU threads for the block: one for small models, where more only wait for each other."""
    before = torch.get_num_threads()
    small = config.encoder in ("auto", "mlp", "text")
    torch.set_num_threads(config.threads or (1 if small else before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _locked(out: Path, name: str) -> Iterator[None]:
    """Keep a second process from training the same run at the same time."""
    path = out / f".{name}.lock"
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0).acquire()
    except Timeout:
        raise InputError(f"run {name!r} in {out}/ is being trained by another process") from None
    except OSError as error:
        raise InputError(
            f"cannot write runs in {out}: {error.strerror}; choose another out="
        ) from None
    try:
        with lock:
            yield
    finally:
        path.unlink(missing_ok=True)


def _provenance(device: torch.device) -> dict[str, Any]:
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    packages = ("torch", "numpy", "scipy", "scikit-learn")
    return {
        "versions": {"vcviz": __version__, "python": platform.python_version()}
        | {p: metadata.version(p) for p in packages},
        "commit": _commit(),
        "device": {"type": device.type, "name": card},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str | None:
    """Return the commit of the project that the source lies in; None for an installed package."""
    here = Path(__file__).parent.parent.parent
    if not (here / ".git").exists():
        return None
    done = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


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
        digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    options = {"class": type(encoder).__qualname__, "initial_weights": digest.hexdigest()[:16]}
    return RunConfig(**config.model_dump() | {"encoder": "custom", "encoder_options": options})


def _with_described_law(config: RunConfig) -> RunConfig:
    """Return the config with a `torch.distributions` object among its options made JSON."""
    law = config.head_options.get("law")
    if not isinstance(law, Distribution):
        return config
    options = {**config.head_options, "law": describe_law(law)}
    return RunConfig(**dict(config) | {"head_options": options})


def _check_splits(train: Split, test: Split) -> None:
    if train.class_names != test.class_names or train.x.shape[1:] != test.x.shape[1:]:
        raise InputError(
            f"train and test must agree: classes {clip(train.class_names)} and "
            f"{clip(test.class_names)}, shapes {train.x.shape[1:]} and {test.x.shape[1:]}"
        )
    if (present := int((train.class_counts > 0).sum())) < 2:
        raise InputError(f"the training rows hold {present} class, at least 2 are needed")


def _check_shapes(model: Classifier, split: Split, config: RunConfig) -> None:
    """Run two rows through the encoder, so that what does not fit is said before training."""
    schedule(config.schedule, 0.0, **config.schedule_options)
    if config.augment != "none" and split.kind != "image":
        raise InputError(
            f"augment={config.augment!r} is for images, this is a {split.kind} dataset"
        )
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            z = model.encode(torch.as_tensor(np.array(split.x[:2])))
    except (RuntimeError, TypeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the encoder cannot take inputs of shape (B, {', '.join(map(str, split.x.shape[1:]))})"
            f": {reason}"
        ) from None
    model.train(was_training)
    if config.batch_size == 1 and has_batch_norm(model):
        raise InputError("batch_size must be at least 2 for an encoder with batch norm, got 1")
    if z.shape != (len(split.x[:2]), config.latent_dim):
        raise InputError(
            f"the encoder should give (B, {config.latent_dim}) latents, gave {tuple(z.shape)}"
        )
