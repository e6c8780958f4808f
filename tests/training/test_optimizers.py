"""Optimisers that leave torch's compiler and profiler alone: torch's own steps, bit for bit."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch

from vcviz.training.optimizers import eager

KINDS = {
    "fused Adam": (torch.optim.Adam, {"fused": True, "betas": (0.5, 0.9)}),
    "Adam": (torch.optim.Adam, {}),
    "AdamW": (torch.optim.AdamW, {"weight_decay": 0.1, "fused": True}),
    "SGD": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}


@pytest.mark.parametrize("name", KINDS)
def test_steps_and_state_are_torchs(name, generator):
    kind, options = KINDS[name]
    theirs = [torch.nn.Parameter(torch.randn(3, n, generator=generator)) for n in (1, 4)]
    ours = copy.deepcopy(theirs)
    one, other = kind(theirs, lr=0.1, **options), eager(kind)(ours, lr=0.1, **options)
    for step in range(4):
        for parameters, optimizer in ((theirs, one), (ours, other)):
            optimizer.zero_grad()
            torch.stack([p.pow(3).sum() for p in parameters]).sum().backward()
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)
            optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(theirs, ours, strict=True))
    assert str(one.state_dict()) == str(other.state_dict())
    again = eager(kind)(copy.deepcopy(ours), lr=0.1, **options)
    again.load_state_dict(one.state_dict())
    assert str(again.state_dict()) == str(one.state_dict())
    assert isinstance(other, kind)
    assert type(other).__name__ == kind.__name__


def test_the_class_itself_is_left_alone():
    step = torch.optim.SGD.step
    eager(torch.optim.SGD)
    assert torch.optim.SGD.step is step


def test_no_profiler_is_told_of_a_step():
    parameter = torch.nn.Parameter(torch.ones(2))
    marks = {}
    for kind in (torch.optim.Adam, eager(torch.optim.Adam)):
        optimizer = kind([parameter], fused=True)
        with torch.profiler.profile() as profile:
            optimizer.zero_grad()
            assert parameter.grad is None
            parameter.sum().backward()
            optimizer.step()
        marks[kind] = {e.key for e in profile.key_averages() if e.key.startswith("Optimizer.")}
    theirs, ours = marks.values()
    assert theirs
    assert not ours


def test_training_loads_no_compiler(tmp_path):
    code = (
        "import sys, vcviz\n"
        "for head in ('softmax', 'variational'):\n"
        "    vcviz.train(head=head, epochs=1, n_train=60, out=sys.argv[1], progress=False)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
