"""The training loop: one visible pass over the data, with everything it keeps on the way."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from vcviz.base.errors import InputError, TrainingError
from vcviz.base.progress import bar_interval
from vcviz.data.subsets import stratified_split
from vcviz.latents import extract_latents
from vcviz.models.classifier import Classifier
from vcviz.records import LatentSet, Split
from vcviz.runs import folder as run_folder
from vcviz.runs.config import RunConfig
from vcviz.runs.stored import Arrays
from vcviz.training import distributed
from vcviz.training.kept import (
    anticipated_arrays,
    final_metrics,
    latent_arrays,
    probe_rows,
    quick_scores,
)
from vcviz.training.losses import LossTable
from vcviz.training.schedules import augmented, optimizers_of, schedule
from vcviz.training.step import TrainingStep

_LARGEST_TRAIN_LATENTS = 5000


class Trainer:
    """The state of one training run: model, both optimisers, data on the device."""

    def __init__(
        self,
        model: Classifier,
        train: Split,
        test: Split,
        config: RunConfig,
        folder: Path,
        device: torch.device,
    ) -> None:
        self.model, self.config, self.folder, self.device = model, config, folder, device
        self.writes = distributed.is_writer()
        # From here on `index` counts the rows of the run's own splits, as `Run.split` gives them.
        train, test = (replace(s, index=np.arange(len(s))) for s in (train, test))
        held_out = None
        if config.validation > 0:
            train, held_out = stratified_split(train, config.validation, seed=config.seed)
        self.train, self.test, self.held_out = train, test, held_out
        model.head.set_class_counts(torch.as_tensor(train.class_counts))
        self.probe = {
            "train": train.take(probe_rows(train, config.probe_size, config.seed)),
            "test": test.take(probe_rows(test, config.probe_size, config.seed)),
        }
        self.x = _on_device(train.x, device)
        self.y = torch.as_tensor(train.y.copy(), device=device)
        if self.x.ndim == 4:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        critic = [] if model.head.critic is None else list(model.head.critic.parameters())
        self.critic_parameters = critic
        main = [*model.encoder.parameters(), *model.head.main_parameters()]
        self.optimizers = optimizers_of(
            config,
            main,
            critic,
            law=model.head.law_parameters(),
            undecayed=model.head.undecayed_parameters(),
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
        if config.compile:
            model.encoder.compile()
        names = (name for name, _ in model.named_parameters() if name.startswith("head.critic."))
        self.step = distributed.parallel(
            TrainingStep(model, config),
            [f"model.{name}" for name in names],
            device,
            whole=model.head.whole_loss and config.encoder != "custom",
        )
        n, b = len(self.y), config.batch_size
        # A last batch of a single row would leave batch norm without a variance.
        smallest = (2 if has_batch_norm(model) else 1) * distributed.world_size()
        self.batches = [s for s in range(0, n, b) if min(s + b, n) - s >= smallest]
        self.done = 0

    # ---------------------------------------------------------- the loop

    def run(self, checkpoint_every: float, progress: bool) -> None:
        """Train to the end, keeping probe latents, history and checkpoints on the way."""
        config = self.config
        self._resume()
        last_saved = time.monotonic()
        with tqdm(
            total=config.epochs,
            initial=self.done,
            desc=f"{config.head} D={config.latent_dim}",
            unit="epoch",
            mininterval=bar_interval(),
            disable=not progress or not self.writes,
        ) as bar:
            if self.done == 0:
                self.keep_probe(0)
            for epoch in range(self.done + 1, config.epochs + 1):
                row = {"epoch": epoch, **self._epoch(epoch), **self.keep_probe(epoch)}
                if self.writes:
                    run_folder.append_history(self.folder, row)
                self.done = epoch
                due = time.monotonic() - last_saved >= checkpoint_every and epoch < config.epochs
                if due and self.writes:
                    self.save()
                    last_saved = time.monotonic()
                bar.set_postfix_str(
                    f"loss {row['train/total']:.3f}, accuracy {row['probe_test/accuracy']:.3f}",
                    refresh=False,
                )
                bar.update()
        self.conclude()

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Pass over the training rows once; returns the mean of each term of the loss."""
        config, model = self.config, self.model
        # All randomness of an epoch follows from (seed, epoch), so resuming needs no saved state.
        seed = epoch_seed(config.seed, epoch)
        # Each process draws noise of its own; the order of the batches is the same for all.
        # On a CPU its own alone: for a card not in use torch would keep a stack trace each time.
        own_seed = seed + distributed.rank()
        on_cpu = self.device.type == "cpu"
        seed_all = torch.default_generator.manual_seed if on_cpu else torch.manual_seed
        seed_all(own_seed)
        noise = torch.Generator(self.device).manual_seed(own_seed)
        order = torch.randperm(len(self.y), generator=torch.Generator().manual_seed(seed)).to(
            self.device
        )
        main, critic_optimizer = self.optimizers["main"], self.optimizers.get("critic")
        model.train()
        losses = LossTable(epoch, len(self.batches))
        lr = config.lr
        for step, start in enumerate(self.batches):
            done = (epoch - 1 + step / len(self.batches)) / config.epochs
            lr = self._set_learning_rate(done)
            model.head.begin_step(done)
            own, weight = distributed.share_of(order[start : start + config.batch_size])
            x, y = augmented(self.x[own], config.augment, noise), self.y[own]

            loss, total, z, y = self.step(x, y, noise)
            main.zero_grad()
            self.scaler.scale(total if weight == 1 else total * weight).backward()
            self.scaler.step(main)
            self.scaler.update()

            critic = None
            if critic_optimizer is not None:
                for _ in range(config.critic_steps):
                    critic = model.head.critic_terms(z.detach(), y, generator=noise)
                    critic_optimizer.zero_grad()
                    critic.backward(weight)
                    distributed.average_gradients(self.critic_parameters)
                    critic_optimizer.step()
            losses.add(step, loss, critic, weight)
        return {**distributed.averaged(losses.means(), self.device), "lr": lr}

    def _set_learning_rate(self, done: float) -> float:
        config = self.config
        lr = config.lr * schedule(config.schedule, done, **config.schedule_options)
        for group in self.optimizers["main"].param_groups:
            group["lr"] = lr * group["lr_scale"]
        return lr

    # ---------------------------------------------------------- what is kept

    def keep_probe(self, epoch: int) -> dict[str, float]:
        """Keep the probe latents of an epoch and return their scores for the history."""
        row: dict[str, float] = {}
        arrays = anticipated_arrays(self.model)
        for split, rows in self.probe.items():
            latents = self._latents(rows)
            row |= {f"probe_{split}/{k}": v for k, v in quick_scores(latents).items()}
            arrays |= {f"{split}.{k}": v for k, v in latent_arrays(latents).items()}
        if self.held_out is not None:
            row |= {
                f"validation/{k}": v for k, v in quick_scores(self._latents(self.held_out)).items()
            }
        kept = epoch % self.config.probe_every == 0 or epoch == self.config.epochs
        if kept and self.writes:
            run_folder.write_probe(self.folder, epoch, arrays)
        return row

    def _latents(self, split: Split) -> LatentSet:
        try:
            latents = distributed.in_shards(
                split,
                lambda part: extract_latents(
                    self.model, part, seed=self.config.seed, progress=False
                ),
            )
        except InputError as error:
            raise TrainingError(
                f"the model broke down in epoch {self.done + 1}: {error}; lower lr="
            ) from None
        return replace(latents, index=split.index)

    def conclude(self) -> None:
        """Keep the trained weights, the latents of the splits and the final numbers."""
        test = self._latents(self.test)
        train = self._latents(
            self.train.take(probe_rows(self.train, _LARGEST_TRAIN_LATENTS, self.config.seed))
        )
        law = anticipated_arrays(self.model)
        kept = {"train": train, "test": test}
        if self.held_out is not None:
            kept["validation"] = self._latents(self.held_out)
        if not self.writes:
            return
        for split, latents in kept.items():
            run_folder.write_arrays(
                self.folder / "latents" / f"{split}.safetensors", latent_arrays(latents) | law
            )
        weights = {k: v.detach().cpu().numpy() for k, v in self.model.state_dict().items()}
        run_folder.write_arrays(self.folder / "weights.safetensors", weights)
        metrics = final_metrics(test)
        if "validation" in kept:
            scores = quick_scores(kept["validation"])
            metrics |= {f"validation/{k}": v for k, v in scores.items()}
        run_folder.write_json(self.folder / "metrics.json", metrics)

    # ---------------------------------------------------------- checkpoints

    def save(self) -> None:
        """Write a checkpoint."""
        arrays = {
            f"model/{k}": v.detach().cpu().numpy() for k, v in self.model.state_dict().items()
        }
        plain: dict[str, Any] = {}
        for which, optimizer in self.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    if isinstance(value, Tensor):
                        arrays[f"{which}/{index}/{key}"] = value.detach().cpu().numpy()
                    else:
                        plain[f"{which}/{index}/{key}"] = value
        state = {"epoch": self.done, "optimizer": plain, "scaler": self.scaler.state_dict()}
        run_folder.write_checkpoint(self.folder, arrays, state)

    def _resume(self) -> None:
        saved = run_folder.read_checkpoint(self.folder)
        if saved is None:
            return
        try:
            self._restore(*saved)
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"the checkpoint in {self.folder} does not fit its run ({reason}); "
                "remove that folder and train again"
            ) from None

    def _restore(self, arrays: Arrays, state: Mapping[str, Any]) -> None:
        tensors = {k: torch.from_numpy(v) for k, v in arrays.items()}
        self.model.load_state_dict(
            {k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")}
        )
        for which, optimizer in self.optimizers.items():
            values: dict[int, dict[str, Any]] = {}
            for source in (tensors, state["optimizer"]):
                for key, value in source.items():
                    kind, _, rest = key.partition("/")
                    if kind == which:
                        index, _, leaf = rest.partition("/")
                        values.setdefault(int(index), {})[leaf] = value
            self._check_moments(optimizer, values)
            optimizer.load_state_dict(optimizer.state_dict() | {"state": values})
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.done = state["epoch"]

    def _check_moments(self, optimizer: Any, values: Mapping[int, Mapping[str, Any]]) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, moments in values.items():
            shapes = {v.shape for v in moments.values() if isinstance(v, Tensor) and v.ndim}
            if not shapes <= {parameters[index].shape}:
                raise ValueError(f"moments of parameter {index} have shapes {shapes}")


def has_batch_norm(model: nn.Module) -> bool:
    """Return whether a module normalises over the batch, which takes at least two rows."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


def _on_device(x: Any, device: torch.device) -> Tensor:
    # Images stay uint8 here: a quarter of the memory, and the model scales them itself.
    tensor = torch.as_tensor(np.array(x), device=device)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of everything random in an epoch of a run."""
    digest = hashlib.sha256(f"{seed}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:7], "little")
