"""Any torch classifier as a function from a batch to its latents and log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcviz.errors import InputError
from vcviz.latents.modules import (
    any_layout_does,
    float_type,
    is_ours,
    layer_names,
    move,
    own_device,
    unwrapped,
    watched_layers,
)
from vcviz.latents.outputs import (
    Inputs,
    at_least_float,
    described,
    refuse_probabilities,
    scores_in,
)


@contextmanager
def reading(
    model: nn.Module, *, layer: str | None = None, device: torch.device | str | None = None
) -> Iterator[Reader]:
    """Give a `Reader` of `model`; on the way out the model is as it was.

    While the block runs the model is in evaluation mode, on `device`, and watched by forward
    hooks. Afterwards, also after an error, the hooks are gone, the model is back on its device,
    and every module has the training flag it had.

    Parameters
    ----------
    model : a `Classifier`, or any module from a batch to logits or log-probabilities
    layer : name of the module whose input is the latent; default: for our models what `encode`
        gives, else the input of the last `nn.Linear` called in the forward pass
    device : default the model's own

    Raises
    ------
    InputError
        If `model` is no module, or there is no such layer or device.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    inner = unwrapped(model)
    watched = watched_layers(inner, layer)
    flags = [(module, module.training) for module in model.modules()]
    home = own_device(inner)
    handles = []
    reader = Reader(inner, layer)
    try:
        model.eval()
        if device is not None:
            move(inner, device)
        for name, module in watched.items():
            hook = _keep_input(reader, name, module)
            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
        yield reader
    finally:
        for handle in handles:
            handle.remove()
        if device is not None and own_device(inner) != home:
            inner.to(home)
        for module, training in flags:
            module.training = training


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
    last : name and module whose input was read last; None for our models
    """

    def __init__(self, model: nn.Module, layer: str | None) -> None:
        self.model = model
        self.layer = layer
        self.ours = is_ours(model)
        self.last: tuple[str, nn.Module] | None = None
        self._input: Any = None
        self._looked_for_probabilities = False
        self._by_pixel = any_layout_does(model)

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
        x : (B, …) batch on any device, or a mapping of keyword arguments for the model (ours takes
            the first). Token ids become int64. Images in uint8 stay so for our models, which
            scale them themselves; for other models they become floats in [0, 1].
        generator : source of the noise of a stochastic encoder or head; other models have none

        Raises
        ------
        InputError
            If the model fails on the batch, or its output or latent is not what a classifier gives.
        """
        x = self._prepared(x)
        self._input = self.last = None
        try:
            z, output, energy = self._forward(x, generator)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError) as error:
            reason = str(error).strip().split("\n")[0]
            raise InputError(f"the model failed on a batch of {described(x)}: {reason}") from error
        if energy is None:
            logits = self._logits(output)
            log_probs, energy = logits.log_softmax(1), -logits.logsumexp(1)
        else:
            log_probs = output
        z = (z if z is not None else self._latent(log_probs)).detach()
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
        return self._logits(self._forward(x, None)[1])

    def _forward(
        self, x: Any, generator: torch.Generator | None
    ) -> tuple[Tensor | None, Any, Tensor | None]:
        """Return latents (None where the hooks have them), what the model gave, and energies."""
        model: Any = self.model
        if not self.ours:
            return None, model(**x) if isinstance(x, Mapping) else model(x), None
        q = model.posterior(x)
        log_probs, energy = model.predict(q, generator=generator)
        if self.layer is not None:
            return None, log_probs, energy
        return model.head.place(q.draw(1, generator)), log_probs, energy

    def _prepared(self, x: Any) -> Any:
        if isinstance(x, Mapping):
            if not self.ours:
                return {name: self._prepared(value) for name, value in x.items()}
            x = next(iter(x.values()))
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

    def _latent(self, log_probs: Tensor) -> Tensor:
        if self.last is None:
            raise InputError(
                f"layer {self.layer!r} was not called in the forward pass; name another"
                if self.layer is not None
                else "the model called no nn.Linear, so its latents cannot be found; name the "
                "module whose input they are with layer=, for example one of: "
                f"{layer_names(self.model)}"
            )
        name, module = self.last
        z, n_classes = self._input, log_probs.shape[1]
        if self.layer is None and module.out_features != n_classes:
            raise InputError(
                f"the last nn.Linear called, {name!r}, has {module.out_features} outputs but the "
                f"model has {n_classes} classes, so its input is not the latent; name the module "
                "whose input is with layer="
            )
        if not isinstance(z, Tensor):
            raise InputError(f"layer {name!r} takes a {type(z).__name__}, not a tensor")
        features = -1 if isinstance(module, nn.Linear) else 1
        if z.ndim > 2 and z[0].numel() == z.shape[features]:
            z = z.flatten(1)
        if z.ndim != 2 or len(z) != len(log_probs):
            raise InputError(
                f"layer {name!r} takes {tuple(z.shape)}; a latent is one vector for each of the "
                f"{len(log_probs)} rows: name another module with layer="
            )
        return z


# ---------------------------------------------------------------- parts


def _keep_input(reader: Reader, name: str, module: nn.Module) -> Any:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        value = args[0] if args else next(iter(kwargs.values()), None)
        # A copy: the layer itself, or a later one, may work in place.
        reader._input = value.detach().clone() if isinstance(value, Tensor) else value
        reader.last = name, module

    return hook
