"""Any torch classifier as a function from a batch to its latents and log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vcviz.errors import InputError, unknown
from vcviz.model import Classifier

Inputs = Tensor | Mapping[str, Tensor]

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


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
    watched = _watched(inner, layer)
    flags = [(module, module.training) for module in model.modules()]
    home = own_device(inner)
    handles = []
    reader = Reader(inner, layer)
    try:
        model.eval()
        if device is not None:
            _move(inner, device)
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
        self._by_pixel = _any_layout_does(model)

    @property
    def device(self) -> torch.device:
        """The device the model is on."""
        return own_device(self.model)

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
            raise InputError(f"the model failed on a batch of {_described(x)}: {reason}") from error
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
            _at_least_float(z), _at_least_float(log_probs), _at_least_float(energy.detach())
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
            return x if self.ours else self._laid_out(x.to(_float_type(self.model)) / 255)
        if x.is_floating_point():
            return self._laid_out(x.to(_float_type(self.model)))
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
        logits = _logits(output)
        if logits.ndim != 2 or logits.shape[1] < 2:
            hint = (
                "; give a binary classifier two outputs, for example torch.cat([0 * a, a], 1)"
                if logits.ndim == 1 or (logits.ndim == 2 and logits.shape[1] == 1)
                else ""
            )
            raise InputError(
                f"the model must return (B, C) scores of at least 2 classes, "
                f"got shape {tuple(logits.shape)}{hint}"
            )
        if not self._looked_for_probabilities:
            values = logits.detach().float()
            if (values >= 0).all() and ((values.sum(1) - 1).abs() < 1e-5).all():
                raise InputError(
                    "the model's rows are non-negative and sum to 1, as probabilities do; "
                    "logits or log-probabilities are needed: leave out its last softmax"
                )
            self._looked_for_probabilities = True
        return _at_least_float(logits)

    def _latent(self, log_probs: Tensor) -> Tensor:
        if self.last is None:
            raise InputError(
                f"layer {self.layer!r} was not called in the forward pass; name another"
                if self.layer is not None
                else "the model called no nn.Linear, so its latents cannot be found; name the "
                f"module whose input they are with layer=, for example one of: {_last(self.model)}"
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


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module behind `nn.DataParallel`, an averaged or a compiled model."""
    inner: Any = model
    while True:
        if isinstance(inner, _WRAPPERS):
            inner = inner.module
        elif isinstance(getattr(inner, "_orig_mod", None), nn.Module):
            inner = inner._orig_mod
        else:
            return inner


def is_ours(model: nn.Module) -> bool:
    """Return whether the model is a `Classifier`."""
    return isinstance(model, Classifier)


def _any_layout_does(model: nn.Module) -> bool:
    """Return whether a model has convolutions, and no code that could ask for a layout.

    On a CPU convolutions and pooling take about half the time with the channels of a pixel side by
    side, and the results differ by rounding alone. A forward of somebody's own may use `view`,
    which fails on that layout. Our encoders have it in their weights.
    """
    modules = list(model.modules())
    return any(type(m) is nn.Conv2d for m in modules) and all(
        type(m).__module__.startswith("torch.nn.modules.")
        and (type(m) is nn.Sequential or next(m.children(), None) is None)
        for m in modules
    )


def own_device(model: nn.Module) -> torch.device:
    """Return the device of the model's first parameter or buffer; the CPU if it has none."""
    return next((t.device for t in _tensors(model)), torch.device("cpu"))


# ---------------------------------------------------------------- parts


def _watched(model: nn.Module, layer: str | None) -> dict[str, nn.Module]:
    if layer is None:
        return {} if is_ours(model) else linears(model)
    modules = {name: module for name, module in model.named_modules() if name}
    if layer not in modules:
        raise unknown("layer", layer, modules)
    return {layer: modules[layer]}


def _keep_input(reader: Reader, name: str, module: nn.Module) -> Any:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        value = args[0] if args else next(iter(kwargs.values()), None)
        # A copy: the layer itself, or a later one, may work in place.
        reader._input = value.detach().clone() if isinstance(value, Tensor) else value
        reader.last = name, module

    return hook


def linears(model: nn.Module) -> dict[str, nn.Module]:
    """Return the linear layers by name, in the order in which they were registered."""
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}


def _last(model: nn.Module, n: int = 5) -> str:
    return ", ".join([name for name, _ in model.named_modules() if name][-n:]) or "(it has none)"


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _float_type(model: nn.Module) -> torch.dtype:
    return next((t.dtype for t in _tensors(model) if t.is_floating_point()), torch.float32)


def _move(model: nn.Module, device: torch.device | str) -> None:
    homes = {str(t.device) for t in _tensors(model)}
    if len(homes) > 1:
        raise InputError(f"the model is spread over {sorted(homes)}; leave device= out")
    try:
        model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"device {str(device)!r} cannot be used: {reason}") from None


def _logits(output: Any) -> Tensor:
    """Return the scores in what a model gave: a tensor, something with `.logits`, dict or tuple."""
    if isinstance(output, Tensor):
        return output
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits
    if isinstance(output, Mapping):
        named = [output[key] for key in ("logits", "log_probs") if key in output]
        output = [*named, *output.values()]
    if isinstance(output, (tuple, list)) and output:
        return _logits(output[0])
    raise InputError(
        f"the model must return logits or log-probabilities, got {type(output).__name__}"
    )


def _at_least_float(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _described(x: Inputs) -> str:
    if isinstance(x, Mapping):
        return ", ".join(f"{name} {_described(value)}" for name, value in x.items())
    return f"shape {tuple(x.shape)}, {str(x.dtype).removeprefix('torch.')}"
