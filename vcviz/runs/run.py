"""A finished run: its numbers, and its model, data and latents on request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError, MissingError, unknown
from vcviz.geometry import implied_prior
from vcviz.records import (
    LatentPrior,
    LatentSet,
    RobustnessCurve,
    Split,
    Trained,
    Trajectory,
    as_labels,
    as_probs,
    label_note,
)
from vcviz.runs.config import RunConfig
from vcviz.runs.folder import data_changed
from vcviz.runs.settings import (
    build_model,
    kinds_of,
    load_splits,
    plain_session,
    shapes_of,
    stated,
)
from vcviz.runs.stored import (
    LATENT_ARRAYS,
    LATENTS,
    Arrays,
    read_arrays,
    read_shapes,
    reading,
    stored_law,
)

if TYPE_CHECKING:
    from torch import nn

    from vcviz.models.classifier import Classifier

SPLITS = ("train", "test")
KEPT = (*SPLITS, "validation")


@dataclass(frozen=True, eq=False)
class Run(Trained):
    """A finished run. Numbers are read at once; model, data and latents on request.

    Attributes
    ----------
    path : the run's folder
    config : the settings that repeat it
    data : what the training data looked like (kind, input_shape, class_names, fingerprints, …)
    history : one mapping per epoch, keys such as ``train/cross_entropy`` (nats)
    metrics : numbers on the full test split, keys such as ``accuracy`` and ``ece`` (fractions)
    record : the whole of config.json (defaults, versions, commit, device, …)

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> run.epochs, run.anticipates, run.can_attack
    ([0, 1, 2, 3], 'implied', True)
    >>> run.latents().z.shape, run.latents(epoch=0).z.shape  # at epoch 0 the probe rows only
    ((1000, 2), (500, 2))
    >>> first, last = run.history[0], run.history[-1]
    >>> last["train/cross_entropy"] < first["train/cross_entropy"]
    True
    """

    path: Path
    config: RunConfig
    data: Mapping[str, Any]
    history: tuple[dict[str, Any], ...]
    metrics: Mapping[str, Any]
    record: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def title(self) -> str:
        """The head's name."""
        return self.config.head

    @property
    def class_names(self) -> tuple[str, ...]:
        """C class names."""
        return tuple(self.data["class_names"])

    @property
    def anticipates(self) -> Literal["stated", "implied"] | None:
        """Where `prior` comes from: stated by the head, implied by a softmax layer, or nothing."""
        names = read_shapes(self._latents / "test.safetensors")
        if "prior.mean" in names:
            return "stated"
        return "implied" if "layer.weight" in names else None

    @property
    def has_model(self) -> bool:
        """Whether `model` can make the classifier again; not with an encoder of your own."""
        return self.config.encoder != "custom"

    @property
    def has_splits(self) -> bool:
        """Whether `splits` can load the data again; not if they were passed in memory."""
        return not self.config.dataset.startswith("custom:")

    @property
    def can_attack(self) -> bool:
        """Whether `attack` can be called: with model and data, which are not text."""
        return self.has_model and self.has_splits and self.data["kind"] != "text"

    @property
    def can_corrupt(self) -> str:
        """The kind of its rows, "" if its model or its data cannot be reloaded."""
        return self.data["kind"] if self.has_model and self.has_splits else ""

    @property
    def label_frequencies(self) -> NDArray[np.float64]:
        """(C,) label frequencies of the training rows; a class without rows counts half a row."""
        path = self.path / "weights.safetensors"
        found = read_arrays(path).get("head.log_class_prior")
        if found is None or found.shape != (len(self.class_names),) or found.dtype.kind != "f":
            raise InputError(
                f"{path} has no head.log_class_prior of {len(self.class_names)} classes"
            )
        return np.exp(found.astype(np.float64))

    @cached_property
    def label_note(self) -> str:
        """For which label frequencies the numbers on the test split are, "" if for its own.

        As `LatentSet.label_note`; "" too where the latents cannot be read, which `latents` tells.
        """
        c, names = len(self.class_names), ("y", "label_prior")
        try:
            found = read_arrays(self._latents / "test.safetensors", names)
            prior = found.get("label_prior")
            prior = None if prior is None else as_probs("label_prior", prior, c)
            return label_note(prior, as_labels("y", found["y"], None, c))
        except (InputError, KeyError):
            return ""

    @cached_property
    def epochs(self) -> list[int]:
        """Epochs whose probe latents were kept; 0 is before training."""
        if not self._latents.is_dir():
            raise MissingError(f"{self._latents} is missing; remove that folder and train again")
        found = (re.fullmatch(r"probe-(\d+)\.safetensors", p.name) for p in self._latents.iterdir())
        return sorted(int(m.group(1)) for m in found if m)

    @plain_session()
    def model(self, device: str = "cpu", *, encoder: nn.Module | None = None) -> Classifier:
        """Return the trained classifier in eval mode.

        Parameters
        ----------
        device : where to put it, e.g. "cpu", "cuda"
        encoder : the user's own encoder module, needed if the run was trained with one

        Raises
        ------
        InputError
            If weights are missing, left over or of another shape: each is named.
        """
        from safetensors.torch import load_file

        path = self.path / "weights.safetensors"
        if encoder is None:
            # Settings that ask for terabytes are refused before anything of that size is made.
            self._refuse_misfit(shapes_of(self._stated, self.data), read_shapes(path))
        model = build_model(self._stated, self.data, encoder=encoder)
        with reading(path):
            weights = load_file(path)
        self._refuse_misfit(kinds_of(model.state_dict()), kinds_of(weights))
        model.load_state_dict(weights)
        return model.to(device).eval()

    def splits(self) -> tuple[Split, Split]:
        """Return the (train, test) splits that the run used, loaded again from their source."""
        config = self.config
        if not self.has_splits:
            raise InputError(
                f"run {self.name!r} was trained on splits passed in memory ({config.dataset}); "
                "vcviz cannot load them again, use your own"
            )
        train, test = load_splits(config)
        self.check_data(train, test)
        return train, test

    def check_data(self, train: Split, test: Split) -> None:
        """Raise an `InputError` unless these are the rows that the run was trained on."""
        from vcviz.data import fingerprint

        for which, split in (("train", train), ("test", test)):
            now = {"rows": len(split), "fingerprint": fingerprint(split)}
            if self.data[which]["fingerprint"] != now["fingerprint"]:
                raise InputError(data_changed(self.path, which, self.data[which], now))

    def split(self, name: str = "test") -> Split:
        """Return one of the run's splits; "validation" is the part of "train" that was held out."""
        if _split_name(name) == "validation":
            return self.splits()[0].take(self.latents(name).index, name)
        return self.splits()[SPLITS.index(name)]

    def latents(self, split: str = "test", epoch: int | None = None) -> LatentSet:
        """Return latents that were kept.

        Parameters
        ----------
        split : "test" (all rows), "train" (up to 5000 rows, drawn at random) or "validation" (all
            rows, if some were held out with ``validation=``)
        epoch : None for the trained model; an epoch of `epochs` for the fixed probe rows
        """
        split = _split_name(split)
        if split == "validation" and (self.config.validation == 0 or epoch is not None):
            raise InputError(
                f"run {self.name!r} kept no validation latents"
                + (f" of epoch {epoch}" if epoch is not None else "; train with validation=0.2")
            )
        if epoch is None:
            arrays, prefix, when = self._final_arrays(split), "", "trained"
        else:
            arrays, prefix, when = self._probe_arrays(epoch), f"{split}.", f"epoch {epoch}"
        try:
            fields: dict[str, Any] = {k: arrays[prefix + k] for k in LATENT_ARRAYS[:4]}
            fields |= {k: arrays.get(prefix + k) for k in LATENT_ARRAYS[4:]}
        except KeyError as error:
            raise InputError(f"latents of run {self.name!r} have no array {error}") from None
        if fields["label_prior"] is None:
            fields["label_prior"] = self._final_arrays("test").get("label_prior")
        name = f"{self.config.head}, {split}, {when}"
        try:
            return LatentSet(**fields, class_names=self.class_names, name=name)
        except InputError as error:
            raise InputError(f"latents of run {self.name!r} ({name}): {error}") from None

    def prior(self, epoch: int | None = None) -> LatentPrior | None:
        """Return the law of the latents that the head anticipates, at the end or at an epoch.

        A head that states p(z|y) gives its own; a plain softmax layer gives the implied Gaussian
        of `vcviz.implied_prior`, with the pooled covariance of the training latents of that epoch.
        """
        arrays = self._final_arrays("test") if epoch is None else self._probe_arrays(epoch)
        try:
            if "prior.mean" in arrays:
                return stored_law(arrays, self.config)
            if "layer.weight" in arrays:
                lat = self.latents("train", epoch)
                # What a stochastic encoder's head says of one draw is not what the run predicts.
                return implied_prior(
                    arrays["layer.weight"], arrays["layer.bias"], lat, verify=False
                )
        except (InputError, KeyError, TypeError, RuntimeError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"the law that run {self.name!r} kept is damaged: {reason}") from None
        return None

    def attack(
        self, rows: int | ArrayLike = 200, *, split: str = "test", **options: Any
    ) -> Trajectory:
        """Attack rows of a split: the first `rows`, or those named; `options`: `vcviz.attack`."""
        from vcviz.attacks import attack

        return attack(self, split, rows=rows, **options)

    def robustness(
        self, rows: int | ArrayLike = 200, *, split: str = "test", **options: Any
    ) -> RobustnessCurve:
        """Return accuracy and ECE of rows against the radius; `options`: `robustness_curve`."""
        from vcviz.attacks.curve import robustness_curve

        return robustness_curve(self, split, rows=rows, **options)

    def _refuse_misfit(self, expected: Mapping[str, Any] | None, got: Mapping[str, Any]) -> None:
        if expected is None:
            return
        problems = (
            [f"missing {k}" for k in expected.keys() - got.keys()]
            + [f"unexpected {k}" for k in got.keys() - expected.keys()]
            + [
                f"{k} should be {expected[k]}, is {got[k]}"
                for k in expected.keys() & got.keys()
                if expected[k] != got[k]
            ]
        )
        if problems:
            raise InputError(
                f"weights of {self.name!r} do not fit: {'; '.join(sorted(problems)[:5])}; "
                "remove that folder and train again"
            )

    @property
    def _stated(self) -> RunConfig:
        """The settings, with the defaults that they left out as they were in training."""
        return stated(self.config, self.data, self.record.get("defaults", {}))

    @property
    def _latents(self) -> Path:
        return self.path / LATENTS

    def _final_arrays(self, split: str) -> Arrays:
        return read_arrays(self._latents / f"{split}.safetensors")

    def _probe_arrays(self, epoch: int) -> Arrays:
        if epoch not in self.epochs:
            raise InputError(
                f"run {self.name!r} kept no latents of epoch {epoch}; it has {self.epochs}"
            )
        return read_arrays(self._latents / f"probe-{epoch:05d}.safetensors")


def _split_name(name: str) -> str:
    if name not in KEPT:
        raise unknown("split", name, KEPT)
    return name
