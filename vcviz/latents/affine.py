"""The affine map from a latent to the scores of any classifier, found by watching a forward pass.

Of all tensors of the pass that everything the scores know of the input goes through, the last one
is looked for of which the scores are an affine function with weights in it. It is found by doing
what comes after that tensor again, in float64, from other values of it: however the map is
written, what counts is what it computes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from vcviz.latents.modules import float_type, own_device
from vcviz.latents.outputs import raise_probabilities
from vcviz.latents.tape import Flow, Place, Tape, as_double, memory_of
from vcviz.models.precision import widest

#: a map of more weights is not looked for
_MOST_WEIGHTS = 2 * 10**8
#: relative; the replay is in float64
_EXACT = 1e-7
_SAME_VALUE = {"to_copy", "alias", "detach", "clone", "view", "unsafe_view"}
_MOVING = _SAME_VALUE | {
    "t", "transpose", "permute", "unsqueeze", "squeeze", "expand", "select", "slice", "reshape",
    "empty", "zeros", "ones", "full", "arange",
}  # fmt: skip
_SCALING = {"mul", "div", "neg", "to_copy"}


class Affine(NamedTuple):
    """A map z -> W z + b and how z is made of the tensor that it takes.

    Attributes
    ----------
    weight, bias : (C, D) and (C,) float64, on the CPU
    axis : where the D dimensions of z stand in the tensor, None if it is flattened
    share : (P,) weight of each place of the tensor (token, pixel) in z; with `axis` only
    columns : those of the flattened tensor that the map reads, None for all
    bits : of the coarsest number that took part
    picks : whether each row has a place of its own, that whose map gives its scores
    """

    weight: Tensor
    bias: Tensor
    axis: int | None
    share: Tensor | None
    columns: Tensor | None
    bits: int
    picks: bool = False

    def latent(self, value: Tensor, scores: Tensor) -> Tensor | None:
        """Return (B, D) latents of the tensor's value, None if that has another shape."""
        dim = self.weight.shape[1]
        if self.picks and self.axis is not None:
            return self._picked(value.movedim(self.axis, 1).flatten(2), scores)
        if self.share is not None and self.axis is not None:
            parts = value.movedim(self.axis, 1).flatten(2)
            if parts.shape[1:] != (dim, len(self.share)):
                return None
            return parts @ self.share.to(parts)
        flat = value.flatten(1) if value.ndim > 1 else value[:, None]
        if self.columns is not None:
            if flat.shape[1] <= int(self.columns.max()):
                return None
            flat = flat[:, self.columns.to(flat.device)]
        return flat if flat.shape[1] == dim else None

    def _picked(self, parts: Tensor, scores: Tensor) -> Tensor:
        """Return (B, D) of each row the one of its P places that the scores are made of."""
        weight, bias = (t.to(parts.device, scores.dtype) for t in (self.weight, self.bias))
        best = torch.full_like(scores[:, 0], torch.inf)
        found = parts[:, :, 0].clone()
        for p in range(parts.shape[2]):
            off = parts[:, :, p].to(scores.dtype) @ weight.T + bias - scores
            off = (off - off.mean(1, keepdim=True)).abs().amax(1)
            found = torch.where((off < best)[:, None], parts[:, :, p], found)
            best = torch.minimum(off, best)
        return found

    def gap(self, z: Tensor, scores: Tensor) -> tuple[float, float]:
        """Return by how much log p of W z + b and of the scores differ at most, and what may be.

        A thousandth of the largest score is allowed, 2.5 machine epsilons of 16-bit numbers, five
        hundredths of 8-bit ones.
        """
        weight, bias = (v.to(z.device, widest(z.device)) for v in (self.weight, self.bias))
        made = z.to(weight.dtype) @ weight.T + bias
        own = scores.to(weight.dtype)
        # What has no probability at all, as a class that was masked, is not compared.
        off = made.log_softmax(1).clamp(_NEVER) - own.log_softmax(1).clamp(_NEVER)
        largest = -(made - made.amax(1, keepdim=True)).clamp(_NEVER).amin().item()
        return off.abs().amax().item(), _ALLOWED[self.bits] * (1 + largest)

    def layer(self, model: nn.Module) -> nn.Linear:
        """Return the map as a layer: one of the model's own if there is one with these numbers.

        A parametrised layer makes its weight anew each time that it is read, and one of spectral
        norm another one in training: such a layer is never returned.
        """
        for module in model.modules():
            if not isinstance(module, nn.Linear) or is_parametrized(module):
                continue
            if module.weight.shape == self.weight.shape:
                bias = torch.zeros(len(self.bias)) if module.bias is None else module.bias
                if _same(module.weight, self.weight) and _same(bias, self.bias):
                    return module
        dtype = torch.promote_types(float_type(model), torch.float32)
        n_classes, dim = self.weight.shape
        layer = nn.Linear(dim, n_classes, device="meta").to(dtype)
        layer.to_empty(device=own_device(model))
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            layer.bias.copy_(self.bias)
        return layer.requires_grad_(False)


#: log p of what never happens, and the score of a class that is masked by minus infinity
_NEVER, _MASKED = -100.0, -1e9
_ALLOWED = {64: 1e-3, 32: 1e-3, 16: 0.02, 8: 0.05}


class Found(NamedTuple):
    """What a pass has to say of the latent.

    Attributes
    ----------
    place : of the tensor that is, or is nearest to, the latent; None if there is none
    affine : the map from it to the scores; None if there is none
    no_law : why there is no map
    """

    place: Place | None
    affine: Affine | None
    no_law: str


class NotAffine(Exception):
    """The scores are no affine function of a tensor; the text says what they are."""


def search(
    tape: Tape,
    inputs: list[Tensor],
    scores: Tensor,
    names: dict[int, str],
    named: tuple[Tensor, int] | None = None,
) -> Found:
    """Return the latent of a pass and the affine map from it to the scores.

    Parameters
    ----------
    tape : of the pass, of a few rows
    inputs : tensors that the model was given
    scores : (B, C) that it gave
    names : of its parameters, by their memory, see `weight_names`
    named : the tensor that shall be the latent, and how many operations came before it was read;
        default the last one that there is a map from
    """
    flow = logits_of(tape, inputs, scores)
    if flow is None:
        return Found(None, None, "the scores do not depend on the inputs by anything that was seen")
    found = _found(flow, tape, scores, names, named, picks=False)
    if found.affine is None:
        flow = Flow(tape, inputs, flow.target, picks=True)
        other = _found(flow, tape, scores, names, named, picks=True)
        return found if other.affine is None else other
    return found


def _found(
    flow: Flow,
    tape: Tape,
    scores: Tensor,
    names: dict[int, str],
    named: tuple[Tensor, int] | None,
    *,
    picks: bool,
) -> Found:
    """Return what a flow has to say of the latent; the parameters are those of `search`."""
    places = list(flow.bottlenecks())
    if named is not None:
        places = _places_of(flow, tape.find(named[0]), [p for p in places if p[0] < named[1]])
        if not places:
            return Found(None, None, "the scores depend on more than the input of that layer")
    for place in places:
        value = flow.value(place)
        if not (value.is_floating_point() or value.is_quantized) or len(value) != len(scores):
            continue
        steps = [flow.ops[k] for k in flow.after(place)]
        constants, quantised = (
            flow.constants(place),
            any("quantized." in str(op.func) for op in steps),
        )
        learned = bool(constants) or quantised
        if named is None and (not learned or place[1] < 0):
            continue  # or what was written into a part of something, which stands behind it
        if value[0].numel() * scores.shape[1] > _MOST_WEIGHTS:
            break
        matrices = [t for t in constants if t.ndim > 1 and min(t.shape) > 1]
        try:
            weight, bias = solved(flow, place, as_double(value), alike=not picks)
        except NotAffine as error:
            if named is None and not matrices and not quantised:
                continue  # as a cap does, before a prior or a mask: the weights come before it
            known = [names[m] for t in constants if (m := memory_of(t)) in names]
            of = f" with {', '.join(known[:4])}" if known else ""
            return Found(place if place[0] >= 0 else None, None, f"{error}{of}")
        scores_already = not matrices and not quantised and _only_picks(weight)
        if named is None and (scores_already or not weight.any()):
            continue
        if named is None and (before := _unscaled(flow, place, places)) != place:
            place, value = before, flow.value(before)
            weight, bias = solved(flow, place, as_double(value), alike=not picks)
        taking = [t for op in steps for t in (*op.tensors, *op.outputs)]
        bits = [8 * t.element_size() for t in (value, scores, *taking) if t.is_floating_point()]
        affine = _map(weight, bias, value, 8 if quantised else min(bits))
        if picks and (affine.share is None or (affine.share != 0).sum() != 1):
            break  # more than a place of each row, which the first row's says nothing of
        return Found(place, affine._replace(picks=picks), "")
    return Found(
        None, None, "no tensor with one row for each input is all that the scores depend on"
    )


def made_of(tape: Tape, inputs: list[Tensor], latent: Tensor, scores: Tensor) -> bool:
    """Return whether weights make one output of a pass of another one by an affine map."""
    flow = Flow(tape, inputs, scores)
    places = _places_of(flow, tape.find(latent), list(flow.bottlenecks()))
    if not places or not any(t.ndim > 1 for t in flow.constants(places[0])):
        return False
    try:
        solved(flow, places[0], as_double(flow.value(places[0])))
    except NotAffine:
        return False
    return True


def weight_names(model: nn.Module) -> dict[int, str]:
    """Return the names of a model's parameters and buffers by where they are in memory."""
    named = [*model.named_buffers(), *model.named_parameters()]
    return {memory_of(t): name for name, t in named if t.numel()}


def logits_of(tape: Tape, inputs: list[Tensor], scores: Tensor) -> Flow | None:
    """Return the flow to the logits: what log-softmax made the scores of, or the scores."""
    flow = Flow(tape, inputs, scores)
    if flow.end is None or not flow.needed:
        return None
    op = flow.ops[flow.end[0]]
    while op.name in _SAME_VALUE and op.tensors and op.tensors[0].shape == scores.shape:
        before = Flow(tape, inputs, op.tensors[0])
        if before.end is None or before.end[0] < 0:
            return flow
        op = before.ops[before.end[0]]
    if op.name == "softmax":
        raise_probabilities()
    if op.name == "log_softmax":
        deeper = Flow(tape, inputs, op.tensors[0])
        return deeper if deeper.needed else flow
    return flow


def solved(flow: Flow, place: Place, value: Tensor, *, alike: bool = True) -> tuple[Tensor, Tensor]:
    """Return (C, K) weights and (C,) biases of the scores as a function of a tensor of K numbers.

    Scores that are affine but for a number that all classes share, which their softmax does not
    see, have those of one class taken out. Rows that are not `alike` read different
    parts of the tensor; the map is then that of the first.

    Raises
    ------
    NotAffine
        If they are something else, or cannot be computed again.
    """
    noise = torch.Generator().manual_seed(0)
    spread = value.std() if value.numel() > 1 else value.abs().amax()
    spread = spread if spread > 0 else torch.ones((), dtype=torch.float64)
    drawn = torch.randn(value.shape, generator=noise, dtype=torch.float64, device="cpu")
    other = value + spread * drawn
    try:
        with torch.no_grad():
            here, there, beyond = (
                flow.replay(place, v) for v in (value, other, 3 * other - 2 * value)
            )
    except Exception as error:  # any operation of any library
        reason = str(error).strip().split("\n")[0]
        raise NotAffine(f"what makes the scores cannot be computed again ({reason})") from error
    # Scores less those of one class, and not their mean: that of masked classes is enormous.
    first = int(here.mean(0).argmax())
    for against in (None, first):
        parts = [_finite(s) if against is None else _finite(s - s[:, first, None])
                 for s in (here, there, beyond)]  # fmt: skip
        off = (parts[2] - 3 * parts[1] + 2 * parts[0]).abs().amax(0)
        if (off <= _EXACT * (1 + torch.cat(parts).abs().amax(0))).all():  # false for NaN
            break
    else:
        raise NotAffine(f"no affine map of a latent makes the scores, but {_named(flow, place)}")
    weight = _slopes(flow, place, value, against, alike)
    offset = parts[0] - value.reshape(len(value), -1) @ weight.T
    return weight, offset.mean(0) if alike else offset[0]


# ---------------------------------------------------------------- parts


def _slopes(flow: Flow, place: Place, value: Tensor, against: int | None, alike: bool) -> Tensor:
    """Return (C, K) derivatives of the scores, of as many classes at a time as rows are alike."""
    with torch.enable_grad():
        leaf = value.clone().requires_grad_()
        scores = flow.replay(place, leaf)
        scores = scores if against is None else scores - scores[:, against, None]
    classes, rows = scores.shape[1], len(scores) if alike else 1
    if not scores.requires_grad or (alike and value[0].numel() < classes):
        weight = _differences(flow, place, value, classes)
        return weight if against is None else weight - weight[against]
    weight = torch.zeros(classes, value[0].numel(), dtype=torch.float64, device="cpu")
    for first in range(0, classes, rows):
        ks = torch.arange(first, min(first + rows, classes), device="cpu")
        with torch.enable_grad():
            total = scores[torch.arange(len(ks), device="cpu"), ks].sum()
        (slope,) = torch.autograd.grad(total, leaf, retain_graph=True, allow_unused=True)
        if slope is not None:
            weight[ks] = slope[: len(ks)].reshape(len(ks), -1)
    return weight


def _differences(flow: Flow, place: Place, value: Tensor, classes: int) -> Tensor:
    """Return the slopes of an affine function without derivatives, by unit steps."""
    rows, k = len(value), value[0].numel()
    with torch.no_grad():
        here = flow.replay(place, value)
        weight = torch.zeros(classes, k, dtype=torch.float64, device="cpu")
        for first in range(0, k, rows):
            moved = value.clone().reshape(rows, -1)
            steps = torch.arange(min(rows, k - first), device="cpu")
            moved[steps, first + steps] += 1
            there = flow.replay(place, moved.reshape(value.shape))
            weight[:, first + steps] = (_finite(there) - _finite(here))[steps].T
    return weight


def _map(weight: Tensor, bias: Tensor, value: Tensor, bits: int) -> Affine:
    """Return the map from (B, D) latents for that from a tensor of any shape.

    Where every place of the tensor, a pixel or a token, counts by the same weights times a share
    of its own, the latent is the sum of the places by their shares: a 1x1 convolution before
    the mean is a layer after it. Elsewhere what the map does not read is left out.
    """
    shape, classes = value.shape[1:], len(weight)
    if len(shape) < 2:
        return Affine(weight, bias, None, None, None, bits)
    for axis in (1, value.ndim - 1):
        parts = weight.reshape(classes, *shape).movedim(axis, 1).flatten(2)
        total = parts.sum(2)
        size = (total**2).sum()
        if size == 0 or parts.shape[1] == 1:
            continue
        share = torch.einsum("cdp,cd->p", parts, total) / size
        if (parts - total[..., None] * share).abs().amax() <= _EXACT * total.abs().amax():
            return Affine(total, bias, axis, share, None, bits)
        seen = value.movedim(axis, 1).flatten(2)
        if (seen == seen[..., :1]).all():  # one vector, laid out once for each place
            first = torch.zeros_like(share)
            first[0] = 1
            return Affine(total, bias, axis, first, None, bits)
    columns = weight.abs().amax(0).nonzero()[:, 0]
    return Affine(weight[:, columns], bias, None, None, columns, bits)


def _only_picks(weight: Tensor) -> bool:
    """Return whether a map only scales, orders and leaves out: its input is scores already."""
    if weight.shape[0] == weight.shape[1] and len(weight) > 1:
        off = weight[~torch.eye(len(weight), dtype=torch.bool, device="cpu")]
        if off.max() - off.min() <= _EXACT * weight.abs().amax():
            return True
    some = weight.abs() > _EXACT * weight.abs().amax()
    return bool((some.sum(0) <= 1).all() and (some.sum(1) <= 1).all())


def _same(own: Tensor, found: Tensor) -> bool:
    atol = _EXACT * float(found.abs().amax())
    return torch.allclose(as_double(own), found, rtol=_EXACT, atol=atol)


def _finite(scores: Tensor) -> Tensor:
    """Return scores of which minus infinity, or what stands for it, is a large negative number."""
    return torch.where(scores < _MASKED, _MASKED, scores)


def _unscaled(flow: Flow, place: Place, places: list[Place]) -> Place:
    """Return where a tensor was before it was multiplied by a number, which the map can as well.

    So the latent of a cosine classifier is of length one, wherever its scale is written.
    """
    while place[0] >= 0 and flow.ops[place[0]].name in _SCALING:
        # The norm of a single row is one number too, but no constant.
        sources = [t for t in flow.ops[place[0]].tensors if t.numel() > 1 or flow.moves(t)]
        before = [p for p in places if p < place and any(flow.value(p) is t for t in sources)]
        if len(sources) != 1 or not before or flow.value(before[0]).shape != sources[0].shape:
            break
        place = before[0]
    return place


def _named(flow: Flow, place: Place) -> str:
    """Return what is done between a place and the scores, but for what only moves numbers."""
    found = [flow.ops[k].name for k in flow.after(place)]
    return ", ".join(name for name in found if name not in _MOVING)[:120] or "nothing"


def _places_of(flow: Flow, tensor: Tensor, places: list[Place]) -> list[Place]:
    """Return the one of the places where a tensor, or another view of all of it, stands."""
    same = {memory_of(tensor)}
    return [p for p in places if memory_of(flow.value(p)) in same
            and flow.value(p).numel() == tensor.numel()][:1]  # fmt: skip
