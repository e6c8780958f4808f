"""Explorers of anybody's classifier and of bare arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import vcviz
from vcviz.errors import InputError
from vcviz.records import Split

N, C, D, F = 30, 3, 4, 5


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.standard_normal((N, F)).astype(np.float32), np.arange(N) % C


def net(inputs=F, flatten=False):
    torch.manual_seed(0)
    first = [nn.Flatten()] if flatten else []
    return nn.Sequential(*first, nn.Linear(inputs, D), nn.Tanh(), nn.Linear(D, C))


def test_a_plain_module_in_three_lines(table):
    model = net()
    ui = vcviz.explore(model, table)
    assert list(ui.explorers) == ["Latents", "Calibration", "Attack"]
    lat, law = ui.subject.latents(), ui.subject.prior()
    np.testing.assert_allclose(law.log_posterior(lat.z), lat.log_probs, atol=1e-4)
    assert ui.subject.anticipates == "implied"
    assert ui.adversarial.path.x.shape == (N, F)
    for explorer in ui.explorers.values():
        assert explorer.figure().data


def test_ours_state_their_own_law(tmp_path):
    run = vcviz.train("digits", head="gaussian_mixture", n_train=100, epochs=1, out=tmp_path,
                      progress=False)  # fmt: skip
    test = run.split("test").take(np.arange(40))
    ui = vcviz.explore(run.model(), test, attack_rows=7)
    assert ui.subject.anticipates == "stated"
    np.testing.assert_allclose(ui.subject.prior().mean, run.prior().mean, rtol=1e-6)
    assert len(ui.adversarial.path) == 7


def test_a_loader_of_images_is_attacked_in_its_range():
    images = torch.rand(N, 1, 6, 6)
    loader = DataLoader(TensorDataset(images, torch.arange(N) % C), batch_size=8)
    ui = vcviz.explore(net(36, flatten=True), loader, attack_rows=20, class_names="abc")
    path = ui.adversarial.path
    np.testing.assert_array_equal(path.x, images[:20].numpy())
    assert path.class_names == ("a", "b", "c")
    assert path.x_adv.min() >= 0
    assert path.x_adv.max() <= 1

    shifted = DataLoader(TensorDataset(images * 4 - 2, torch.arange(N) % C), batch_size=8)
    assert vcviz.explore(net(36, flatten=True), shifted).adversarial is None


def test_text_is_explored_without_an_attack():
    torch.manual_seed(0)
    model = nn.Sequential(nn.EmbeddingBag(20, D), nn.Linear(D, C))
    split = Split(
        np.random.default_rng(0).integers(1, 20, (N, 7)).astype(np.int32), np.arange(N) % C
    )
    ui = vcviz.explore(model, split)
    assert list(ui.explorers) == ["Latents", "Calibration"]
    assert ui.subject.anticipates == "implied"


def test_a_model_without_a_linear_end_has_no_law(table):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(F, D), nn.Unflatten(1, (D, 1)), nn.Conv1d(D, C, 1), nn.Flatten()
    )
    ui = vcviz.explore(model, table, layer="1")
    assert ui.subject.anticipates is None
    assert ui.subject.prior() is None
    assert ui.latents.figure().data


def test_arrays_of_any_framework(table):
    rng = np.random.default_rng(1)
    z, weight, bias = rng.standard_normal((N, D)), rng.standard_normal((C, D)), rng.random(C)
    logits = z @ weight.T + bias
    bare = vcviz.explore(latents=z, log_probs=log_softmax(logits, 1), y=table[1])
    assert list(bare.explorers) == ["Latents", "Calibration"]
    assert bare.subject.prior() is None
    with_law = vcviz.explore(latents=z, log_probs=logits, y=table[1], weight=weight, bias=bias)
    lat = with_law.subject.latents()
    np.testing.assert_allclose(lat.log_probs, bare.subject.latents().log_probs, atol=1e-6)
    np.testing.assert_allclose(with_law.subject.prior().log_posterior(z), lat.log_probs, atol=1e-5)


def test_latents_on_a_line_have_no_plane(table):
    ui = vcviz.explore(latents=np.zeros((N, 1)), log_probs=np.zeros((N, C)), y=table[1])
    assert ui.latents is None
    assert list(ui.explorers) == ["Calibration"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a model and data, or latents="),
        ({"model": net()}, "a model and data, or latents="),
        ({"latents": np.zeros((3, 2)), "y": [0, 1, 2]}, "a model and data, or latents="),
        ({"latents": np.zeros((3, 2)), "y": [0, 1, 2], "log_probs": np.full((3, 3), 1 / 3)},
         "look like probabilities: pass their log"),
        ({"model": net(), "data": iter([1])}, "an iterator, which can be read once"),
        ({"model": net(), "data": 3}, "not iterable|data must be"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(given, message):
    with pytest.raises((InputError, TypeError), match=message):
        vcviz.explore(**given)


def test_tabs_when_alive_and_figures_when_headless(table, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    ui = vcviz.explore(net(), table, attack_rows=3)
    ui._ipython_display_()
    assert shown[0].titles == ("Latents", "Calibration", "Attack")
    monkeypatch.setenv("VCVIZ_HEADLESS", "1")
    ui._ipython_display_()
    assert [type(item).__name__ for item in shown[1:]] == ["Figure"] * 3
