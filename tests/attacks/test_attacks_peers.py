"""Foolbox, torchattacks and ART take the models as they are, and find what our attacks find."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vcviz.attacks import attack
from vcviz.models.classifier import Classifier
from vcviz.models.encoders import build_encoder
from vcviz.models.heads import build_head
from vcviz.records import Split

N, SIDE, C = 48, 6, 4

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def split() -> Split:
    """Bars in one of four places, in noise."""
    rng = np.random.default_rng(0)
    y = np.arange(N) % C
    x = rng.uniform(0, 0.6, (N, 1, SIDE, SIDE))
    x[np.arange(N), 0, y] += 0.35
    return Split(x.astype(np.float32), y)


def trained(split: Split, head: str = "softmax") -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build_encoder("mlp", kind="image", input_shape=(1, SIDE, SIDE), latent_dim=3)
        model = Classifier(encoder, build_head(head, latent_dim=3, n_classes=C))
        x, y = torch.tensor(split.x), torch.tensor(split.y)
        optimiser = torch.optim.Adam(model.parameters(), 0.02)
        for _ in range(80):
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def model(split) -> Classifier:
    return trained(split)


def accuracy(model: nn.Module, x: torch.Tensor, split: Split) -> float:
    with torch.no_grad():
        return float((model(x).argmax(1).numpy() == split.y).mean())


def by_foolbox(model: nn.Module, split: Split, epsilon: float) -> float:
    foolbox = pytest.importorskip("foolbox")
    peer = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    x, y = torch.tensor(split.x), torch.tensor(split.y)
    run = foolbox.attacks.LinfPGD(steps=20, rel_stepsize=0.25, random_start=False)
    return float(1 - run(peer, x, y, epsilons=epsilon)[2].float().mean())


def by_torchattacks(model: nn.Module, split: Split, epsilon: float) -> float:
    torchattacks = pytest.importorskip("torchattacks")
    run = torchattacks.PGD(model, eps=epsilon, alpha=epsilon / 4, steps=20, random_start=False)
    return accuracy(model, run(torch.tensor(split.x), torch.tensor(split.y)), split)


def by_art(model: nn.Module, split: Split, epsilon: float) -> float:
    evasion = pytest.importorskip("art.attacks.evasion")
    from art.estimators.classification import PyTorchClassifier

    peer = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, SIDE, SIDE), C, clip_values=(0, 1), device_type="cpu"
    )
    run = evasion.ProjectedGradientDescentPyTorch(
        peer, eps=epsilon, eps_step=max(epsilon, 1e-9) / 4, max_iter=20, verbose=False
    )
    x = split.x if epsilon == 0 else run.generate(split.x, split.y)
    return float((peer.predict(x).argmax(1) == split.y).mean())


PEERS = pytest.mark.parametrize("peer", [by_foolbox, by_torchattacks, by_art])


@PEERS
@pytest.mark.parametrize("head", ["softmax", "gaussian_mixture", "variational"])
def test_peers_take_a_model_as_it_is(peer, head, split):
    model = trained(split, head)
    clean = accuracy(model, torch.tensor(split.x), split)
    assert clean > 0.9
    assert peer(model, split, 0.0) == pytest.approx(clean)
    small, large = peer(model, split, 0.05), peer(model, split, 0.25)
    assert large < small <= clean
    ours = attack(model, split, epsilon=0.25, steps=20)
    assert ours.accuracy[-1] == pytest.approx(large, abs=2.5 / N)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_apgd_breaks_as_many_as_torchattacks_does(model, split, norm, loss):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = torch.tensor(split.x), torch.tensor(split.y)
    for epsilon in (0.08, 0.12) if norm == "linf" else (0.3, 0.5):
        peer = torchattacks.APGD(
            model, norm={"linf": "Linf", "l2": "L2"}[norm], eps=epsilon, steps=30, loss=loss
        )
        theirs = accuracy(model, peer(x, y), split)
        ours = attack(model, split, method="apgd", norm=norm, loss=loss, epsilon=epsilon, steps=30)
        assert ours.accuracy[-1] <= theirs + 1.5 / N
        assert 0 < theirs < 1


def test_mi_fgsm_takes_the_steps_of_torchattacks(model, split):
    torchattacks = pytest.importorskip("torchattacks")
    peer = torchattacks.MIFGSM(model, eps=0.12, alpha=0.012, steps=10, decay=1.0)
    theirs = peer(torch.tensor(split.x), torch.tensor(split.y)).numpy()
    ours = attack(model, split, method="mi_fgsm", epsilon=0.12, steps=10).x_adv
    # A sign may differ where the momentum is zero but for rounding.
    assert (np.abs(ours - theirs) < 1e-5).mean() > 0.999
    assert np.abs(ours - split.x).max() == pytest.approx(0.12, abs=1e-6)


def test_apgd_breaks_as_many_as_art_does(model, split):
    evasion = pytest.importorskip("art.attacks.evasion")
    from art.estimators.classification import PyTorchClassifier

    peer = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, SIDE, SIDE), C, clip_values=(0, 1), device_type="cpu"
    )
    run = evasion.AutoProjectedGradientDescent(
        peer, eps=0.12, eps_step=0.24, max_iter=30, nb_random_init=1, verbose=False
    )
    theirs = (peer.predict(run.generate(split.x, split.y)).argmax(1) == split.y).mean()
    ours = attack(model, split, method="apgd", epsilon=0.12, steps=30)
    assert ours.accuracy[-1] <= theirs + 1.5 / N
