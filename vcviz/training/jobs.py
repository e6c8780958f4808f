"""Runs on their way from settings to a finished folder: checks, locks, and what is recorded."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vcviz import __version__, runs
from vcviz.base.errors import InputError, TrainingError, clip
from vcviz.base.locks import held
from vcviz.data import fingerprint
from vcviz.models.classifier import Classifier
from vcviz.records import Split
from vcviz.runs import folder as run_folder
from vcviz.runs.config import RunConfig
from vcviz.runs.finding import finished_run
from vcviz.runs.settings import build_model, load_splits, plain_session, unstated
from vcviz.training import distributed
from vcviz.training.loop import Trainer, has_batch_norm
from vcviz.training.schedules import schedule


@dataclass(frozen=True)
class Job:
    """One run that is wanted.

    Attributes
    ----------
    config : its settings
    out, name : folder of runs, and its own within
    splits, encoder : the user's own, if any
    """

    config: RunConfig
    out: Path
    name: str
    splits: tuple[Split, Split] | None = None
    encoder: nn.Module | None = None

    @cached_property
    def data(self) -> tuple[Split, Split]:
        """The (train, test) splits."""
        return self.splits or load_splits(self.config)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What the run remembers of its data."""
        return describe(*self.data)

    def finished(self) -> runs.Run | None:
        """Return the run if it is there, with these settings and these data."""
        done = finished_run(self.out, self.name, self.config)
        if done is not None:
            done.check_data(*self.data)
        return done

    def model(self) -> Classifier:
        """Return the untrained classifier, after a check that data and settings fit it."""
        _check_splits(*self.data)
        with _seeded(self.config.seed):
            model = build_model(self.config, self.description, encoder=self.encoder)
            model.float()  # an encoder of one's own may come from a session of another type
        _check_shapes(model, self.data[0], self.config)
        return model

    def trainer(self, model: Classifier, device: torch.device) -> Trainer:
        """Return a trainer in the run's unfinished folder, whose lock the caller holds."""
        record = {
            "config": self.config.model_dump(),
            "defaults": unstated(self.config, self.description),
            "data": self.description,
            **_provenance(device),
        }
        folder = distributed.first_then_others(
            lambda: run_folder.start(self.out, self.name, self.config, record),
            lambda: run_folder.partial_folder(self.out, self.name),
        )
        try:
            return Trainer(model.to(device), *self.data, self.config, folder, device)
        except InputError:
            run_folder.discard(folder)
            raise

    def finish(self, trainer: Trainer) -> runs.Run:
        """Return the run of a trainer that has concluded."""
        final = distributed.first_then_others(
            lambda: run_folder.finish(trainer.folder, self.name), lambda: self.out / self.name
        )
        return runs.load_run(final)


@plain_session()
def train_job(job: Job, checkpoint_every: float, progress: bool) -> runs.Run:
    """Return the run of a job, trained now unless it is already there.

    Under ``torchrun`` its processes train it together, see `vcviz.training.distributed`.
    """
    if (done := job.finished()) is not None:
        return done
    with distributed.process_group():
        return _train(job, checkpoint_every, progress)


def _train(job: Job, checkpoint_every: float, progress: bool) -> runs.Run:
    device, model = distributed.own_device(pick_device(job.config.device)), job.model()
    with _locked(job), _threads(job.config), _seeded(job.config.seed):
        # Another process may have trained it while this one waited.
        if (done := job.finished()) is not None:
            return done
        trainer = job.trainer(model, device)
        try:
            trainer.run(checkpoint_every, progress)
        except (InputError, TrainingError):
            run_folder.discard(trainer.folder)  # the same settings would only fail again
            raise
        return job.finish(trainer)


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
def _locked(job: Job) -> Iterator[None]:
    """Keep a second process from training the same run at the same time: it waits."""
    if not distributed.is_writer():
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            job.out.mkdir(parents=True, exist_ok=True)
            path, busy = job.out / f".{job.name}.lock", job.out / job.name
            stack.enter_context(held(path, busy=f"{busy} is being trained by another process"))
        except OSError as error:
            raise InputError(
                f"cannot write runs in {job.out}: {error.strerror}; choose another out="
            ) from None
        yield


def _provenance(device: torch.device) -> dict[str, Any]:
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        **_software(),
        "device": {"type": device.type, "name": card},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def _software() -> dict[str, Any]:
    """Return versions and commit; what this process has imported does not change any more."""
    packages = ("torch", "numpy", "scipy", "scikit-learn")
    versions = {"vcviz": __version__, "python": platform.python_version()}
    return {
        "versions": versions | {p: metadata.version(p) for p in packages},
        "commit": _commit(),
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
            found = model.posterior(torch.as_tensor(np.array(split.x[:2])))
    except (RuntimeError, TypeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the encoder cannot take inputs of shape (B, {', '.join(map(str, split.x.shape[1:]))})"
            f": {reason}"
        ) from None
    model.train(was_training)
    if config.batch_size == 1 and has_batch_norm(model):
        raise InputError("batch_size must be at least 2 for an encoder with batch norm, got 1")
    wanted = (len(split.x[:2]), config.latent_dim)
    widths = [part.shape[-1] for part in found if part is not None]
    if config.stochastic and widths != 2 * [config.latent_dim]:
        raise InputError(
            f"a stochastic encoder should give (B, {2 * config.latent_dim}) numbers, the means of "
            f"q(z|x) and then its scales before a softplus; gave (B, {sum(widths)}). "
            "For one that gives a point: stochastic=False"
        )
    if found.mean.shape != wanted:
        raise InputError(
            f"the encoder should give (B, {config.latent_dim}) latents, gave "
            f"{tuple(found.mean.shape)}"
        )
