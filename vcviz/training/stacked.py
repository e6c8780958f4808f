"""Small models that differ in their seed alone, trained together as one program."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from vcviz.base.errors import TrainingError
from vcviz.base.progress import bar_interval
from vcviz.latents.modules import label_prior_of
from vcviz.models.classifier import Classifier
from vcviz.models.encoders.mlp import MLPEncoder
from vcviz.models.heads import HEADS, Head
from vcviz.models.heads.pc_softmax import PCSoftmaxHead
from vcviz.records import LatentSet, Split
from vcviz.runs import folder as run_folder
from vcviz.runs.config import RunConfig
from vcviz.training.loop import Trainer, epoch_seed
from vcviz.training.schedules import optimizers_of

#: heads whose loss is the cross-entropy of a linear layer, plus log class frequencies or nothing
HEADS_STACKED = ("softmax", "pc_softmax")
#: hidden layers wider than this keep a core busy on their own (see benchmarks)
WIDEST = 128
_LARGEST_DATA = 2**30
_LAYERS = (nn.Flatten, nn.Linear, nn.ReLU)


def can_stack(config: RunConfig) -> bool:
    """Return whether runs of these settings can be trained together, and are faster so."""
    hidden = config.encoder_options.get("hidden", (128, 64))
    return (
        config.head in HEADS_STACKED
        and config.encoder in ("auto", "mlp")
        and not config.encoder_options.get("dropout")
        and isinstance(hidden, list | tuple)
        and max(hidden, default=0) <= WIDEST
        and config.precision == "float32"
        and config.augment == "none"
        and not config.stochastic
        and not config.compile
    )


def fits(trainers: Sequence[Trainer]) -> bool:
    """Return whether the models and data of runs have one shape, and are ours to stack."""
    first = trainers[0]
    return (
        all(
            isinstance(t.model.encoder, MLPEncoder)
            and all(isinstance(layer, _LAYERS) for layer in t.model.encoder.net)
            and type(t.model.head) is HEADS[t.config.head]
            and t.x.shape == first.x.shape
            and {s: len(rows) for s, rows in t.probe.items()}
            == {s: len(rows) for s, rows in first.probe.items()}
            and t.done == 0
            for t in trainers
        )
        and len(trainers) * 4 * first.x.numel() <= _LARGEST_DATA
    )


class StackedTrainer:
    """Trains R runs at once: every layer is a batched product over the runs.

    The parameters of the runs' own models become views of the stacked ones, so that what a run
    keeps is at any time read from its own model. Each run has its own data, order of batches and
    initial weights, as when it is trained alone; results agree to float tolerance.

    Parameters
    ----------
    trainers : one each, with settings that differ in the seed alone; see `fits`
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers, self.config = trainers, trainers[0].config
        self.device = trainers[0].device
        self.x = _unit(torch.cat([t.x.flatten(1) for t in trainers]))
        self.y = torch.cat([t.y for t in trainers])
        self.rows = len(trainers[0].y)
        self.parameters: list[nn.Parameter] = []
        for same in zip(*(_ordered(t.model) for t in trainers), strict=True):
            stacked = nn.Parameter(torch.stack([p.data for p in same]))
            for number, parameter in enumerate(same):
                parameter.data = stacked.data[number]
            self.parameters.append(stacked)
        heads = [t.model.head for t in trainers]
        #: (R, C) what is added to the scores in the loss, and in a prediction
        self.trained = torch.stack([_offset(head, "train") for head in heads])
        self.predicted = torch.stack([_offset(h, getattr(h, "predict_prior", "")) for h in heads])
        self.optimizer = optimizers_of(self.config, self.parameters, [])["main"]
        self.probe = {
            split: _unit(torch.stack([_inputs(t.probe[split], self.device) for t in trainers]))
            for split in trainers[0].probe
        }

    def run(self, checkpoint_every: float, progress: bool) -> None:
        """Train to the end, keeping for every run what it keeps when it is trained alone.

        Raises
        ------
        TrainingError
            If the loss of any run stops being finite.
        """
        config, last_saved = self.config, time.monotonic()
        with tqdm(
            total=config.epochs,
            desc=f"{len(self.trainers)} x {config.head} D={config.latent_dim}",
            unit="epoch",
            mininterval=bar_interval(),
            disable=not progress,
        ) as bar:
            self._keep(0)
            for epoch in range(1, config.epochs + 1):
                terms, lr = self._epoch(epoch)
                for trainer, loss, row in zip(self.trainers, terms, self._keep(epoch), strict=True):
                    trained = {"train/cross_entropy": loss, "train/total": loss, "lr": lr}
                    run_folder.append_history(trainer.folder, {"epoch": epoch, **trained, **row})
                    trainer.done = epoch
                if time.monotonic() - last_saved >= checkpoint_every and epoch < config.epochs:
                    self._save()
                    last_saved = time.monotonic()
                bar.update()
        for trainer in self.trainers:
            trainer.conclude()

    def _epoch(self, epoch: int) -> tuple[list[float], float]:
        """Pass over the training rows once; returns the mean loss of each run, and the rate."""
        orders = []
        for number, trainer in enumerate(self.trainers):
            draw = torch.Generator().manual_seed(epoch_seed(trainer.config.seed, epoch))
            orders.append(torch.randperm(self.rows, generator=draw) + number * self.rows)
        order = torch.stack(orders).to(self.device)
        batches, size = self.trainers[0].batches, self.config.batch_size
        total = torch.zeros(len(self.trainers), dtype=torch.float64, device=self.device)
        lr = self.config.lr
        for step, start in enumerate(batches):
            done = (epoch - 1 + step / len(batches)) / self.config.epochs
            lr = self.trainers[0].learning_rate(done)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            rows = order[:, start : start + size]
            logits = self._layers(self.x[rows])[1] + self.trained[:, None]
            # Summed over the runs: the gradient of each is that of its own mean.
            losses = F.cross_entropy(
                logits.flatten(0, 1), self.y[rows].flatten(), reduction="none"
            ).view(rows.shape)
            loss = losses.mean(1)
            self.optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()
            self.optimizer.step()
            total += loss.detach()
        if not total.isfinite().all():
            raise TrainingError(f"a loss became {total.max():g} in epoch {epoch}")
        return (total / len(batches)).tolist(), lr

    def _layers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents (R, B, D) and scores W z + b (R, B, C) of flat inputs (R, B, F)."""
        *hidden, last, head = zip(self.parameters[::2], self.parameters[1::2], strict=True)
        for weight, bias in hidden:
            x = torch.baddbmm(bias[:, None], x, weight.transpose(1, 2)).relu_()
        z = torch.baddbmm(last[1][:, None], x, last[0].transpose(1, 2))
        return z, torch.baddbmm(head[1][:, None], z, head[0].transpose(1, 2))

    def _keep(self, epoch: int) -> list[dict[str, float]]:
        """Keep the probe latents of every run, and return the scores for its history."""
        shown = {}
        with torch.no_grad():
            for split, x in self.probe.items():
                z, scores = self._layers(x)
                logits = scores + self.predicted[:, None]
                found = z, logits.log_softmax(2), -logits.logsumexp(2)
                shown[split] = [values.cpu().numpy() for values in found]
        return [
            trainer.keep_probe(
                epoch,
                {
                    split: _latents(trainer, split, *(v[number] for v in values))
                    for split, values in shown.items()
                },
            )
            for number, trainer in enumerate(self.trainers)
        ]

    def _save(self) -> None:
        """Write a checkpoint of every run, with which it can go on alone."""
        for number, trainer in enumerate(self.trainers):
            own = trainer.optimizers["main"]
            for stacked, parameter in zip(self.parameters, _ordered(trainer.model), strict=True):
                own.state[parameter] = {
                    key: value[number] if value.ndim else value
                    for key, value in self.optimizer.state[stacked].items()
                }
            trainer.save()


def _ordered(model: Classifier) -> list[nn.Parameter]:
    """Return weight and bias of every layer from the input on."""
    modules = [*model.encoder.modules(), *model.head.modules()]
    return [p for m in modules if isinstance(m, nn.Linear) for p in m.parameters(recurse=False)]


def _offset(head: Head, prior: str) -> Tensor:
    """Return (C,) what a head adds to its scores: log pi for "train" where it knows of it."""
    own = isinstance(head, PCSoftmaxHead) and prior == "train"
    return head.log_class_prior if own else torch.zeros_like(head.log_class_prior)


def _latents(
    trainer: Trainer, which: str, z: NDArray, log_probs: NDArray, energy: NDArray
) -> LatentSet:
    split, prior = trainer.probe[which], label_prior_of(trainer.model)
    names = split.class_names
    return LatentSet(z, log_probs, split.y, split.index, names, energy=energy, label_prior=prior)


def _inputs(split: Split, device: torch.device) -> Tensor:
    return torch.as_tensor(split.x.copy(), device=device).flatten(1)


def _unit(x: Tensor) -> Tensor:
    """Return images in bytes as numbers in [0, 1], as the classifier does."""
    return x.float() / 255 if x.dtype == torch.uint8 else x
