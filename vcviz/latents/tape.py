"""What a forward pass computed, op by op, and how it would go on from another value of one tensor.

Below autograd every way of writing a layer comes down to the same few operations, TorchScript,
exported and compiled modules included, so that is where a pass is watched. A mode belongs to its
thread: two threads that read one model do not see each other's tensors, as they would with hooks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

#: position and output of an operation; the inputs of the pass stand at position -1
Place = tuple[int, int]


#: gives the same tensor in another shell, and is called the more often the more shells are kept
_SHELLS = {torch.ops.aten.detach.default, torch.ops.aten.alias.default}


#: torch keeps in globals whether a mode is on, which two threads would leave in disorder
_ONE_AT_A_TIME = threading.RLock()


class Watch(TorchDispatchMode):
    """A mode of which one is on at a time, in whatever thread."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler to make sure, which takes seconds

    def __enter__(self) -> Any:
        """Wait for other threads, then watch."""
        _ONE_AT_A_TIME.acquire()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        """Let others watch."""
        try:
            super().__exit__(*error)
        finally:
            _ONE_AT_A_TIME.release()


class Op(NamedTuple):
    """One operation: what was called with what, and the tensors that it gave."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Tensor]

    @property
    def name(self) -> str:
        """Its name without the namespace, as "addmm"."""
        return str(self.func).split(".")[1].strip("_")

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among its arguments."""
        return _tensors((self.args, self.kwargs))

    @property
    def written(self) -> list[Tensor]:
        """Those of its arguments that it writes into."""
        schema = self.func._schema.arguments
        found = []
        for k, argument in enumerate(schema):
            if argument.alias_info is not None and argument.alias_info.is_write:
                value = self.args[k] if k < len(self.args) else self.kwargs.get(argument.name)
                found += _tensors(value)
        return found


class Tape(Watch):
    """The operations of the passes that run inside it; they and all their tensors are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[Op] = []
        self._known: dict[int, Tensor] = {}
        self._by_memory: dict[tuple[Any, ...], Tensor] = {}
        self._kept: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Do what is asked and write it down."""
        kwargs = kwargs or {}
        taken = tree_map(self.find, (args, kwargs))
        given = func(*args, **kwargs)
        outputs = _tensors(given)
        if func in _SHELLS:
            (same,) = taken[0]
            self._kept += outputs
            self._known[id(outputs[0])] = same
            return given
        for tensor in outputs:
            self.know(tensor)
        self.ops.append(Op(func, taken[0], taken[1], outputs))
        return given

    def know(self, tensor: Tensor) -> None:
        """Keep a tensor, so that it is recognised when it is read."""
        self._known[id(tensor)] = tensor
        if (memory := _memory(tensor)) is not None:
            self._by_memory[memory] = tensor

    def find(self, value: Any) -> Any:
        """Return the tensor of the tape that a value is; autograd may have put it in a shell."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._known:
            memory = _memory(value)
            same = None if memory is None else self._by_memory.get(memory)
            if same is None:
                self.know(value)
            else:
                self._kept.append(value)
                self._known[id(value)] = same
        return self._known[id(value)]


class Flow:
    """Which tensors of a tape depend on which, from the inputs of the pass to its scores.

    Parameters
    ----------
    tape : of one pass
    inputs : tensors that the pass was given
    target : the scores that it gave
    picks : whether whole numbers and truths that depend on the inputs only pick among other
        numbers, as the place of the last word does, and are no path from the inputs
    """

    def __init__(
        self, tape: Tape, inputs: Sequence[Tensor], target: Tensor, *, picks: bool = False
    ) -> None:
        self.ops = tape.ops
        self.inputs = [tape.find(x) for x in inputs]
        self.target = tape.find(target)
        #: tensor -> where its present value was made; those that nothing made are constants
        self._made: dict[int, Place] = {id(x): (-1, j) for j, x in enumerate(self.inputs)}
        self._reads: dict[int, set[Place]] = {}
        self._constants: dict[int, Tensor] = {}
        writes: dict[int, list[Place]] = {}
        for k, op in enumerate(self.ops):
            sources = [(t.is_floating_point(), self._sources(t, writes)) for t in op.tensors]
            numbers = set().union(*(found for floating, found in sources if floating))
            every = set().union(*(found for _, found in sources))
            # What is looked up in a table, as words are, is all that comes of it.
            self._reads[k] = numbers if picks and numbers else every
            for tensor in op.written:
                self._made[id(tensor)] = (k, -1)
                writes.setdefault(memory_of(tensor), []).append((k, -1))
            for j, tensor in enumerate(op.outputs):
                self._made[id(tensor)] = (k, j)
        self.end = max(self._sources(self.target, writes), default=None)
        self._moving = self._dependent({(-1, j) for j in range(len(self.inputs))})
        self.needed = self._ancestors()

    def bottlenecks(self) -> Iterator[Place]:
        """Yield the places through which every path to the scores leads, from the scores back."""
        used = {u for k, _ in self.needed for u in self._reads[k] if u[0] < 0}
        places = sorted(self.needed | used)
        order = {place: i for i, place in enumerate(places)}
        # In this order a reading that jumps over a place is a path around it.
        around = [0] * (len(places) + 1)
        for place in places:
            sources = self._reads[place[0]] if place[0] >= 0 else ()
            begin = [order[u] for u in sources if u in order] if place[0] >= 0 else [-1]
            for i in begin:
                around[i + 1] += 1
                around[order[place]] -= 1
        open_, found = 0, []
        for i, place in enumerate(places):
            open_ += around[i]
            if open_ == 0:
                found.append(place)
        yield from reversed(found)

    def value(self, place: Place) -> Tensor:
        """Return the tensor at a place, as it was when the pass was over."""
        k, j = place
        if k < 0:
            return self.inputs[j]
        return self.ops[k].written[0] if j < 0 else self.ops[k].outputs[j]

    def moves(self, tensor: Tensor) -> bool:
        """Return whether a tensor depends on the inputs."""
        return self._made.get(id(tensor)) in self._moving

    def after(self, place: Place) -> list[int]:
        """Return the positions of the operations between a place and the scores."""
        between = self._dependent({place})
        return sorted({k for k, _ in self.needed & between if (k, -1) > place and k != place[0]})

    def constants(self, place: Place) -> list[Tensor]:
        """Return the tensors of more than one real number that come in after a place."""
        found = {}
        steps = self.after(place)
        filled = {memory_of(t) for k in steps for t in self.ops[k].written}
        for k in steps:
            for tensor in self.ops[k].tensors:
                fixed = self._made.get(id(tensor)) not in self._moving
                fixed = fixed and memory_of(tensor) not in filled
                if fixed and tensor.is_floating_point() and tensor.numel() > 1:
                    found[id(tensor)] = tensor
        return list(found.values())

    def replay(self, place: Place, value: Tensor) -> Tensor:
        """Return what the scores would be if the tensor at `place` were `value`.

        Everything is computed anew on the CPU in float64, whatever type the pass had.
        """
        own = self.value(place)
        values = {id(own): value.clone()}
        steps = self.after(place)
        fresh = {memory_of(t) for k in steps for t in self.ops[k].written}
        fresh.discard(memory_of(own))
        # What is written into must be made anew each time, or one replay would see the last one's.
        steps = sorted(
            {*steps}
            | {k for k, op in enumerate(self.ops) if any(memory_of(t) in fresh for t in op.outputs)}
        )

        def substitute(argument: Any) -> Any:
            if isinstance(argument, Tensor):
                if id(argument) not in values:
                    values[id(argument)] = self._constant(argument, memory_of(argument) in fresh)
                return values[id(argument)]
            if isinstance(argument, torch.dtype):
                return torch.float64 if argument.is_floating_point else argument
            return torch.device("cpu") if isinstance(argument, torch.device) else argument

        for k in steps:
            op = self.ops[k]
            args, kwargs = tree_map(substitute, (op.args, op.kwargs))
            given = _again(op, args, kwargs)
            for tensor, new in zip(op.outputs, _tensors(given), strict=True):
                values[id(tensor)] = new
        return values[id(self.target)]

    # ---------------------------------------------------------- parts

    def _constant(self, tensor: Tensor, written: bool) -> Tensor:
        """Return a tensor that no replay computes, in float64; a copy if one writes into it."""
        if written:
            return as_double(tensor)
        if id(tensor) not in self._constants:
            self._constants[id(tensor)] = as_double(tensor)
        return self._constants[id(tensor)]

    def _sources(self, tensor: Tensor, writes: dict[int, list[Place]]) -> set[Place]:
        """Return the places whose values a reading of a tensor sees."""
        made = self._made.get(id(tensor))
        found = set() if made is None else {made}
        since = (-2, 0) if made is None else made
        return found | {w for w in writes.get(memory_of(tensor), ()) if w > since}

    def _dependent(self, start: set[Place]) -> set[Place]:
        """Return the places that depend on some others, those included."""
        found = set(start)
        for k, op in enumerate(self.ops):
            if self._reads[k] & found:
                found |= {(k, j) for j in range(len(op.outputs))}
                if op.written:
                    found.add((k, -1))
        return found

    def _ancestors(self) -> set[Place]:
        """Return the places that lie between the inputs and the scores."""
        if self.end is None or self.end not in self._moving:
            return set()
        found, open_ = set(), [self.end]
        while open_:
            place = open_.pop()
            if place in found or place not in self._moving:
                continue
            found.add(place)
            if place[0] >= 0:
                open_ += self._reads[place[0]]
        return {place for place in found if place[0] >= 0}


class Spot(Watch):
    """Keeps one tensor of the passes that run inside it: that at a place of a tape."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.found: Tensor | None = None
        self._count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Do what is asked, and copy the tensor: the model may go on working in place."""
        given = func(*args, **(kwargs or {}))
        if func in _SHELLS:
            return given
        k, j = self.place
        if self._count == k:
            outputs = _tensors(given) if j >= 0 else Op(func, args, kwargs or {}, []).written
            if len(outputs) > max(j, 0):
                self.found = outputs[max(j, 0)].detach().clone()
        self._count += 1
        return given


def as_double(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor on the CPU, in float64 if it holds floating-point numbers."""
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    plain = tensor.detach().to("cpu", copy=True)
    return plain.double() if plain.is_floating_point() else plain


def _again(op: Op, args: Any, kwargs: Any) -> Any:
    """Do an operation once more, on float64."""
    name = str(op.func)
    if name.startswith(("quantized.linear_dynamic", "quantized.linear_relu_dynamic")):
        weight, bias = args[1].unpack()
        given = torch.nn.functional.linear(
            args[0], as_double(weight), None if bias is None else as_double(bias)
        )
        return given.relu() if "relu" in name else given
    if name.startswith(("aten._softmax", "aten._log_softmax")):
        args = (*args[:2], False)
    return op.func(*args, **kwargs)


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(value)[0] if isinstance(leaf, Tensor)]


def memory_of(tensor: Tensor) -> int:
    """Return what stands for the memory that a tensor is a view of."""
    try:
        return tensor.untyped_storage()._cdata
    except (
        NotImplementedError,
        RuntimeError,
    ):  # sparse, and subclasses without memory of their own
        return id(tensor)


def _memory(tensor: Tensor) -> tuple[Any, ...] | None:
    if tensor.layout != torch.strided or tensor.numel() == 0:
        return None
    try:
        shape = (tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype)
    except (NotImplementedError, RuntimeError):
        return None
    return (memory_of(tensor), *shape)
