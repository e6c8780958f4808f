"""What a session is set to neither changes what a run is, nor is changed by it."""

from __future__ import annotations

import random
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

import vcviz


@contextmanager
def float64():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def elsewhere():
    torch.set_default_device("meta")  # stands for any device but the CPU
    try:
        yield
    finally:
        torch.set_default_device(None)


SESSIONS = {
    "float64": float64,
    "another device": elsewhere,
    "another device, as a block": lambda: torch.device("meta"),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
}


def state():
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
    )


def trained(head, out, **more):
    settings = {"dataset": "mixture", "epochs": 1, "n_train": 100, "progress": False}
    return vcviz.train(head=head, out=out, **settings | more)


@pytest.mark.parametrize(
    ("session", "head"),
    [("float64", head) for head in vcviz.HEADS]
    + [(session, "variational") for session in SESSIONS if session != "float64"],
)
def test_a_run_is_the_same_in_every_session(session, head, tmp_path):
    want = trained(head, tmp_path / "plain")
    with SESSIONS[session]():
        before = state()
        run = trained(head, tmp_path / "other")
        lat = run.latents()
        again = vcviz.extract_latents(run.model(), run.split("test"), seed=0)
        path = run.attack(4, steps=2, progress=False)
        assert run.prior() is None or run.prior().mean.shape[1] == lat.latent_dim
        assert state() == before
    np.testing.assert_array_equal(lat.z, want.latents().z)
    np.testing.assert_allclose(again.z, lat.z, atol=1e-5)
    assert (path.distance[-1] > 0).any()
    assert {p.dtype for p in run.model().parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_an_encoder_of_another_type_is_trained_in_float32(kind, tmp_path):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).to(kind)
    run = trained("softmax", tmp_path, dataset="digits", latent_dim=3, encoder=encoder)
    assert run.latents().z.shape[1] == 3


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x):
        return self.net(x.detach())


@pytest.mark.parametrize("form", ["detached", "no_grad", "rounded"])
def test_without_a_gradient_there_is_no_attack_and_the_rest_stands(form, monkeypatch):
    model = Frozen()
    if form == "no_grad":
        monkeypatch.setattr(Frozen, "forward", torch.no_grad()(Frozen.forward))
    elif form == "rounded":
        monkeypatch.setattr(Frozen, "forward", lambda self, x: self.net((x * 4).round() / 4))
    x, y = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    ui = vcviz.explore(model, (x, y))
    if form == "rounded":  # its gradient is zero, not missing
        assert "Attack" in ui.explorers
        return
    assert list(ui.explorers) == ["Latents", "Calibration"]
    assert "no gradient to attack with" in ui.missing["Attack"]
    assert ui.subject.prior() is not None
    shown = []
    monkeypatch.delenv("VCVIZ_HEADLESS", raising=False)
    monkeypatch.setattr("IPython.display.display", shown.append)
    ui._ipython_display_()
    assert shown[0].titles == ("Latents", "Calibration", "Attack")
    assert "no gradient to attack with" in shown[0].children[2].value
