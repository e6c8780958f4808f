"""Any torch classifier as a function from a batch to its latents and log-probabilities."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from vcviz.base.errors import InputError
from vcviz.latents.affine import Affine, Found, made_of, search, weight_names
from vcviz.latents.modules import (
    any_layout_does,
    as_module,
    evaluating,
    float_type,
    layer_names,
    move,
    named_layer,
    own_device,
    undisturbed,
    unwrapped,
)
from vcviz.latents.outputs import (
    Inputs,
    at_least_float,
    described,
    first_rows,
    refuse_probabilities,
    scores_in,
    scores_like,
    tensors_of,
)
from vcviz.latents.tape import Spot, Tape
from vcviz.models.classifier import Classifier

#: rows of the pass that is watched, and of the next if a pass of more rows computes otherwise
_FEW, _MORE = 8, 64


class _OtherScores(InputError):
    """What was read as scores is what the scores are made of."""


#: the map that the last reading of a model found, and the state of the weights then
_FOUND: WeakKeyDictionary[nn.Module, tuple[Affine, Any]] = WeakKeyDictionary()


@contextmanager
def reading(
    model: nn.Module,
    *,
    layer: str | None = None,
    device: torch.device | str | None = None,
    strict: bool = True,
) -> Iterator[Reader]:
    """Give a `Reader` of `model`; on the way out the model is as it was.

    While the block runs the model is in evaluation mode, and on `device`. Afterwards, also after an
    error, it is back on its device, and every module has the training flag it had. Several threads
    may read one model; none sees what another reads. A model without latents is refused if
    `strict`; else its log-probabilities stand for them. `layer` is as for `extract_latents`.

    Raises
    ------
    InputError
        If `model` is no module, or there is no such layer or device.
    """
    model = as_module(model)
    inner = unwrapped(model)
    named = None if layer is None else named_layer(inner, layer)
    home = own_device(inner)
    reader = Reader(inner, layer, strict)
    handle = None
    inference = torch.is_inference_mode_enabled()
    try:
        with evaluating(model), torch.inference_mode(False) if inference else nullcontext():
            if device is not None:
                move(inner, device)
            if named is not None:
                handle = named.register_forward_pre_hook(reader._hook(), with_kwargs=True)
            with undisturbed(own_device(inner)):
                yield reader
    finally:
        if handle is not None:
            handle.remove()
        if device is not None and own_device(inner) != home:
            inner.to(home)


class Reading(NamedTuple):
    """What a classifier says of a batch, at least float32.

    Attributes
    ----------
    z : (B, D) latents, detached; of a stochastic encoder one draw of q(z|x) for each input, since
        the law of the draws is what an anticipated law is compared with
    log_probs : (B, C) natural-log p(y|x)
    energy : (B,) minus the logsumexp of the logits, detached; zero if the model normalises itself
    """

    z: Tensor
    log_probs: Tensor
    energy: Tensor


class Reader:
    """A classifier as a function of a batch, see `Reading`; made by `reading`.

    Attributes
    ----------
    model : the module behind wrappers such as `nn.DataParallel`
    layer : name of the module whose input is the latent, None = found by itself
    ours : whether the model is a `Classifier`, whose own methods give all of it
    affine : the map W z + b that makes the scores, held against every batch so far; None if there
        is none, and for our models
    no_law : why there is none, "" if there is one
    has_latents : whether `z` are latents; else they are the log-probabilities
    """

    def __init__(self, model: nn.Module, layer: str | None, strict: bool = True) -> None:
        self.model = model
        self.layer = layer
        self.ours = isinstance(model, Classifier)
        self.affine: Affine | None = None
        self.no_law = ""
        self.has_latents = True
        self._strict = strict
        self._thread = threading.get_ident()
        self._input: Any = None
        self._read: tuple[Tensor, int] | None = None
        self._tape: Tape | None = None
        self._found: dict[bool, Found] = {}
        self._by_pixel = any_layout_does(model)
        self._looked_for_probabilities = False

    @property
    def device(self) -> torch.device:
        """The device the model is on."""
        return own_device(self.model)

    @property
    def draws(self) -> int:
        """Latents whose probabilities one call averages; 1 for a point encoder."""
        model: Any = self.model
        return model.predict_draws if self.ours and model.stochastic else 1

    def __call__(self, x: Inputs, generator: torch.Generator | None = None) -> Reading:
        """Return what the model says of a batch.

        Parameters
        ----------
        x : (B, …) batch on any device, a mapping of keyword arguments for the model (ours takes
            the first), or a tuple of its arguments. Token ids become int64. Images in uint8 stay so
            for our models, which scale them themselves; for other models they become floats in
            [0, 1].
        generator : source of the noise of a stochastic encoder or head; other models have none

        Raises
        ------
        InputError
            If the model fails on the batch, or its output or latent is not what a classifier gives.
        """
        x = self._prepared(x)
        if not self.ours:
            z, log_probs, energy = self._foreign(x)
        else:
            z, log_probs, energy = self._our(x, generator)
        z = z.detach()
        for what, values in (("latents", z), ("output", log_probs.detach())):
            bad = int(values.isnan().any(1).sum())
            if bad:
                raise InputError(f"the model's {what} are NaN in {bad} of {len(values)} rows")
        return Reading(
            at_least_float(z), at_least_float(log_probs), at_least_float(energy.detach())
        )

    def scores(self, x: Inputs) -> Tensor:
        """Return (B, C) scores of a batch before they are normalised, without noise.

        Our heads give their `logits`, of the mean of a stochastic encoder; of another model they
        are what it returns.
        """
        x = self._prepared(x)
        if self.ours:
            model: Any = self.model
            return model.head.logits(model.encode(x))
        return self._logits(self._called(x))

    def linear(self) -> nn.Linear | None:
        """Return the layer that makes a foreign model's scores, or one of the merged numbers."""
        return None if self.affine is None else self.affine.layer(self.model)

    # ---------------------------------------------------------- ours

    def _our(self, x: Any, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        model: Any = self.model
        self._input = None

        def forward(x: Any) -> Any:
            q = model.posterior(x)
            return q, *model.predict(q, generator=generator)

        q, log_probs, energy = self._called(x, forward)
        if self.layer is None:
            return model.head.place(q.draw(1, generator)), log_probs, energy
        return self._named_latent(len(log_probs)), log_probs, energy

    # ---------------------------------------------------------- anybody's

    def _foreign(self, x: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return latents, log-probabilities and energies, and hold the map to the scores."""
        graph = torch.is_grad_enabled()
        fresh = graph not in self._found
        if fresh:
            self._look(x, graph)
        value, scores = self._passed(x, self._found[graph])
        z = self._latent(value, scores)
        placed = self.layer is None and self._found[graph].place is not None
        if placed and not self._within(z, scores):
            # Another length or size of batch may go another way through the model.
            self._look(x, graph, _MORE)
            value, scores = self._passed(x, self._found[graph])
            z = self._latent(value, scores)
        log_probs, energy = scores.log_softmax(1), -scores.logsumexp(1)
        if self.affine is not None and not self._within(z, scores):
            self.affine = None
            self.no_law = "the W z + b that was found does not give the model's scores on all rows"
        elif self.affine is not None and fresh:
            _FOUND[self.model] = self.affine, _state(self.model)
        if z is None:
            if self._strict:
                raise InputError(
                    f"{self.no_law}; name the module whose input is the latent with layer=, for "
                    f"example one of: {layer_names(self.model)}"
                )
            self.has_latents = False
            z = log_probs
        return z, log_probs, energy

    def _look(self, x: Any, graph: bool, rows: int = _FEW) -> None:
        """Watch a pass of a few rows, and find in it the latent and the map to the scores."""
        try:
            found = self._searched(first_rows(x, rows))
        except _OtherScores:
            raise
        except InputError:  # of a model that takes one size of batch
            found = self._searched(first_rows(x))
        before = self.affine
        if self._found and before is not None and found.affine is not None:
            same = before.weight.shape == found.affine.weight.shape and torch.allclose(
                before.weight, found.affine.weight, rtol=1e-5, atol=1e-6
            )
            if not same:
                found = Found(
                    found.place, None, "the map to the scores changes from batch to batch"
                )
        elif self._found and before is None:
            found = Found(found.place, None, self.no_law)
        self._found[graph] = found
        self.affine, self.no_law = found.affine, found.no_law

    def _searched(self, x: Any) -> Found:
        inputs = tensors_of(x)
        tape = self._tape = Tape()
        self._input = self._read = None
        for tensor in inputs:
            tape.know(tensor)
        try:
            with tape:
                output = self._called(x)
                scores = scores_in(output)
        except InputError as error:
            scores_in(
                self._called(x)
            )  # raises by itself, if it is not the watching that the model fails at
            return Found(None, None, f"the forward pass cannot be watched ({error})")
        finally:
            self._tape = None
        if self.layer is not None and self._read is None:
            self._named_latent(len(scores))  # raises
        for other in scores_like(output, len(scores)):
            if other is not scores and made_of(tape, inputs, scores, other):
                raise _OtherScores(
                    f"the model gives (B, {scores.shape[1]}) first, of which weights make the "
                    f"(B, {other.shape[1]}) that it gives too: the first are a latent; give the "
                    "scores first, or under the name 'logits'"
                )
        return search(tape, inputs, scores, weight_names(self.model), self._read)

    def _passed(self, x: Any, found: Found) -> tuple[Tensor | None, Tensor]:
        """Return the value of the latent's tensor in a pass, and the logits."""
        self._input = None
        if self.layer is not None:
            output = self._called(x)
            return self._input, self._logits(output)
        if found.place is None:
            return None, self._logits(self._called(x))
        if found.place[0] < 0:
            value = tensors_of(x)[found.place[1]].detach().clone()
            return value, self._logits(self._called(x))
        with Spot(found.place) as spot:
            output = self._called(x)
        value = spot.found
        if value is not None and value.is_quantized:
            value = value.dequantize()
        return value, self._logits(output)

    def _latent(self, value: Any, scores: Tensor) -> Tensor | None:
        """Return (B, D) latents of the tensor's value; None if it has none."""
        if isinstance(value, Tensor) and self.affine is not None and len(value) == len(scores):
            found = self.affine.latent(value, scores.detach())
            if found is not None:
                return found
        if self.layer is not None:
            return self._named_latent(len(scores))
        return None if value is None else _one_vector(value, (1, -1), len(scores))

    def _within(self, z: Tensor | None, scores: Tensor) -> bool:
        """Return whether there is a latent, and the map makes the scores of it if there is one."""
        if z is None or self.affine is None:
            return z is not None
        off, allowed = self.affine.gap(z.detach(), scores.detach())
        return off <= allowed

    def _named_latent(self, rows: int) -> Tensor:
        """Return the input of the layer that was named, which must be a vector for each row."""
        value = self._input
        if value is None:
            raise InputError(
                f"layer {self.layer!r} was not called in the forward pass; name another"
            )
        if not isinstance(value, Tensor):
            raise InputError(f"layer {self.layer!r} takes a {type(value).__name__}, not a tensor")
        module = named_layer(self.model, str(self.layer))
        z = _one_vector(value, (-1,) if isinstance(module, nn.Linear) else (1,), rows)
        if z is None:
            raise InputError(
                f"layer {self.layer!r} takes {tuple(value.shape)}; a latent is one vector for each "
                f"of the {rows} rows: name another module with layer="
            )
        return z

    # ---------------------------------------------------------- both

    def _called(self, x: Any, forward: Any = None) -> Any:
        """Return what a model gives for prepared inputs; its failure is a line of ours."""
        call = forward or self.model
        try:
            if isinstance(x, Mapping):
                return call(**x)
            return call(*x) if isinstance(x, tuple) else call(x)
        except torch.OutOfMemoryError:
            raise
        except InputError:
            raise
        except Exception as error:  # of anybody's code
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise InputError(f"the model failed on a batch of {described(x)}: {reason}") from error

    def _prepared(self, x: Any) -> Any:
        if isinstance(x, Mapping):
            if not self.ours:
                return {name: self._prepared(value) for name, value in x.items()}
            x = next(iter(x.values()))
        if isinstance(x, tuple):
            if not self.ours:
                return tuple(self._prepared(value) for value in x)
            x = x[0]
        if x.is_inference() and not torch.is_inference_mode_enabled():
            x = x.clone()  # else nothing could be computed in place, nor with a gradient
        x = x.to(self.device)
        if x.dtype == torch.uint8 and x.ndim == 4:
            return x if self.ours else self._laid_out(x.to(float_type(self.model)) / 255)
        if x.is_floating_point():
            return self._laid_out(x.to(float_type(self.model)))
        return x if x.dtype == torch.bool else x.long()

    def _laid_out(self, x: Tensor) -> Tensor:
        """Return images with the channels of a pixel side by side, where the model is fast so."""
        if not (self._by_pixel and x.ndim == 4 and x.device.type == "cpu"):
            return x
        _, c, h, w = x.shape
        x = x.contiguous(memory_format=torch.channels_last)
        # Of one channel both layouts are the same memory, and strides alone say which is meant.
        return x.as_strided(x.shape, (h * w, 1, w, 1)) if c == 1 else x

    def _logits(self, output: Any) -> Tensor:
        logits = scores_in(output)
        if not self._looked_for_probabilities:
            refuse_probabilities(logits)
            self._looked_for_probabilities = True
        return at_least_float(logits)

    def _hook(self) -> Any:
        """Return a hook that keeps what a layer takes, in the thread of this reader alone."""

        # While another thread removes its own hook, torch may call this one without the keywords.
        def hook(_module: nn.Module, args: Any, kwargs: Any = MappingProxyType({})) -> None:
            if threading.get_ident() != self._thread:
                return
            value = args[0] if args else next(iter(kwargs.values()), None)
            if self._tape is not None and isinstance(value, Tensor):
                self._read = value, len(self._tape.ops)
            # A copy: the layer itself, or a later one, may work in place.
            self._input = value.detach().clone() if isinstance(value, Tensor) else value

        return hook


# ---------------------------------------------------------------- parts


def found_before(model: nn.Module) -> nn.Linear | None:
    """Return the map that the last reading of a model found, if its weights are still those."""
    affine, state = _FOUND.get(model, (None, None))
    return None if affine is None or state != _state(model) else affine.layer(model)


def _state(model: nn.Module) -> Any:
    """Return what changes when the weights of a model do."""
    tensors = [*model.parameters(), *model.buffers()]
    return [(id(t), None if t.is_inference() else t._version) for t in tensors]


def _one_vector(value: Tensor, axes: tuple[int, ...], rows: int) -> Tensor | None:
    """Return a tensor as one vector a row, if all but one of its other axes have size 1."""
    if value.ndim > 2 and any(value[0].numel() == value.shape[axis] for axis in axes):
        value = value.flatten(1)
    return value if value.ndim == 2 and len(value) == rows else None
