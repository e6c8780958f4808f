"""What a user with a GPU does, on a device that is not the CPU: the numbers are the CPU's.

`test_second_device.py` runs this file in a process of its own, because `second_device` takes
PyTorch's spare device for good: ``pytest tests/second_device_checks.py`` does the same by hand.
"""

from __future__ import annotations

import copy
import dataclasses
from functools import cache

import numpy as np
import pytest
import second_device
import torch
from second_device import SECOND, SecondTensor
from test_foreign_models import HEADS as FORMS
from test_foreign_models import Model
from torch import nn
from torch.distributions import Independent, Laplace
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import vcviz
from vcviz.latents.class_activation import info_cam
from vcviz.latents.fields import plane_log_ratio
from vcviz.latents.logit_laws import logit_law
from vcviz.latents.planes import latent_log_probs, plane_log_probs
from vcviz.latents.retain import masked_log_probs, retain_set
from vcviz.training import jobs
from vcviz.training.segmentation import segment, train_segmenter

TRAIN, TEST = (
    s.take(np.arange(n)) for s, n in zip(vcviz.load_data("digits"), (96, 80), strict=True)
)
SMALL = {
    "splits": (TRAIN, TEST),
    "epochs": 2,
    "batch_size": 32,
    "latent_dim": 3,
    "encoder_options": {"hidden": [16, 8]},
    "progress": False,
}
# Runs of a named dataset find their rows again, which explorers want.
FULL = SMALL | {"splits": None, "dataset": "digits", "n_train": 96, "latent_dim": 2}
HEADS = tuple(vcviz.HEADS)
# Fused optimisers, which the CPU has and the device has not, round elsewhere.
NEAR = {"rtol": 2e-3, "atol": 1e-3}


class DrawsWatched(TorchDispatchMode):
    """While entered, a draw on the CPU with a generator of the device fails too."""

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        ours = [v for v in tree_leaves((args, kwargs)) if second_device.is_second(v)]
        if ours and all(isinstance(v, torch._C.Generator) for v in ours):
            raise RuntimeError(f"{op} got a generator of another device")
        return op(*args, **kwargs)


@pytest.fixture(autouse=True)
def _on_the_device():
    """What ends without an operation on the device has tested the CPU."""
    second_device.COUNTS.clear()
    with DrawsWatched():
        yield
    assert second_device.COUNTS


def assert_same(run, other):
    assert (run.record["device"]["type"], other.record["device"]["type"]) == ("elsewhere", "cpu")
    for mine, theirs in zip(run.history, other.history, strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine:
            np.testing.assert_allclose(mine[name], theirs[name], **NEAR, err_msg=name)
    np.testing.assert_allclose(run.latents().z, other.latents().z, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(
        run.latents().log_probs, other.latents().log_probs, rtol=1e-2, atol=1e-2
    )


def trained(folder, *, drawn_wide=False, **settings):
    """Return a run trained on the device after holding it against the CPU's.

    `drawn_wide` laws are drawn from in the widest type: without float64 their draws are others.
    """
    options = SMALL | settings
    run = vcviz.train(**options, device="elsewhere", out=folder / "elsewhere")
    if second_device.NARROW and drawn_wide:
        assert all(np.isfinite(value) for row in run.history for value in row.values())
    else:
        assert_same(run, vcviz.train(**options, device="cpu", out=folder / "cpu"))
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Head -> a run trained on the device."""
    folder = tmp_path_factory.mktemp("runs")
    return cache(lambda head: vcviz.train(**FULL, head=head, device="elsewhere", out=folder / head))


def pair(model):
    """Return a model on the CPU, and its copy on the device."""
    return model, copy.deepcopy(model).to(SECOND)


# ---------------------------------------------------------------- the device itself


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, g: x + torch.ones(3),
        lambda x, g: F.linear(x, torch.ones(2, 3)),
        lambda x, g: torch.stack([x.sum(), torch.tensor(1.0)]),
        lambda x, g: torch.where(x > 0, x, torch.zeros(3)),
        lambda x, g: x.index_add(0, torch.tensor([0, 1]), x),
        lambda x, g: torch.rand(2, device=SECOND, generator=g["cpu"]),
        lambda x, g: torch.randperm(4, device=SECOND, generator=g["cpu"]),
        lambda x, g: torch.empty(2).normal_(generator=g["elsewhere"]),
        lambda x, g: torch.rand(2, generator=g["elsewhere"]),
        lambda x, g: torch.zeros(3)[torch.tensor([1, 2], device=SECOND)],
        lambda x, g: x.numpy(),
        lambda x, g: np.asarray(x),
    ],
)
def test_the_device_refuses_what_a_gpu_refuses(wrong):
    x = torch.ones(2, 3, device=SECOND)
    generators = {name: torch.Generator(name) for name in ("cpu", "elsewhere")}
    with pytest.raises((RuntimeError, TypeError), match=r"device|generator"):
        wrong(x, generators)


def test_the_device_takes_what_a_gpu_takes():
    x = torch.ones(2, 3, device=SECOND, requires_grad=True)
    y = (x * torch.tensor(2.0))[torch.tensor([1])].sum()
    y.backward()
    assert isinstance(x.grad, SecondTensor)
    assert x.grad.cpu().tolist() == [[0, 0, 0], [2, 2, 2]]
    draws = (torch.rand(3, generator=torch.Generator(d).manual_seed(1), device=d).cpu()
             for d in (SECOND, "cpu"))  # fmt: skip
    assert torch.equal(*draws)


# ---------------------------------------------------------------- training


# Each head meets both precisions and trains with a point and stochastically, in the two
# combinations that its neighbour has not: each pair of the three is tried. The slow test tries all.
PRECISIONS = ("float32", "bfloat16")
WAYS = [
    (head, stochastic, precision)
    for i, head in enumerate(HEADS)
    for stochastic in (False, True)
    for precision in (PRECISIONS if second_device.NARROW else [PRECISIONS[(i + stochastic) % 2]])
]


@pytest.mark.parametrize(("head", "stochastic", "precision"), WAYS)
def test_training(tmp_path, head, stochastic, precision):
    more = {"rate_weight": 0.03, "draws": 2} if stochastic else {"rate_weight": 0.0}
    trained(tmp_path, head=head, stochastic=stochastic, precision=precision, **more)
    if precision == "bfloat16":
        assert second_device.COUNTS["aten::addmm"]


@pytest.mark.parametrize(
    "settings",
    [
        {"encoder": "cnn", "augment": "crop-flip", "encoder_options": {}, "validation": 0.2},
        {"encoder": "resnet20", "encoder_options": {}, "optimizer": "sgd",
         "weight_decay": 1e-3, "epochs": 1},
        {"encoder": "gap", "encoder_options": {}, "epochs": 1},
        {"splits": None, "dataset": "mixture", "n_train": 120},
        {"encoder_options": {"hidden": [8], "dropout": 0.1}, "optimizer": "adamw"},
    ],
    ids=["cnn", "resnet", "gap", "table", "dropout"],
)  # fmt: skip
def test_encoders_and_data(tmp_path, settings):
    trained(tmp_path, **settings)


def test_text(tmp_path, text_split):
    text = dataclasses.replace(text_split, preprocessing={"n_tokens": 50})
    trained(tmp_path, splits=(text, text), encoder_options={}, batch_size=5)


@pytest.mark.parametrize(
    "options",
    [
        {"law": "student_t", "covariance": "full", "learn_scale": True},
        {"law": "laplace"},
        {"law": "von_mises_fisher"},
        {"law": Independent(Laplace(3 * torch.eye(10, 3), torch.ones(10, 3)), 1)},
        {"critic": "per_class"},
        {"critic": "per_class", "critic_layers": 2, "critic_width": 8},
        {"rectified": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())).split("(")[0],
)
def test_laws_and_critics(tmp_path, options):
    rate = 0.0 if options.get("rectified") else None
    more = {} if rate is None else {"rate_weight": rate}
    wide = options.get("law") not in (None, "student_t", "laplace")
    run = trained(tmp_path, drawn_wide=wide, head="variational", head_options=options, **more)
    z = run.latents().z[:9]
    laws = [vcviz.prior_of(run.model(d)) for d in ("cpu", "elsewhere")]
    np.testing.assert_allclose(laws[1].log_prob(z), laws[0].log_prob(z), rtol=1e-4)
    drawn = [law.sample(np.arange(5), np.random.default_rng(0))[0] for law in laws]
    if not (wide and second_device.NARROW):
        np.testing.assert_allclose(*drawn, rtol=1e-4)


@pytest.mark.parametrize("head", ["softmax", "variational"])
def test_an_interrupted_run_goes_on(tmp_path, monkeypatch, head):
    options = SMALL | {"head": head, "epochs": 3, "device": "elsewhere"}
    whole = vcviz.train(**options, out=tmp_path / "whole")
    epoch = jobs.Trainer._epoch

    def cut(self, number):
        if number == 3:
            raise KeyboardInterrupt
        return epoch(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(jobs.Trainer, "_epoch", cut)
        with pytest.raises(KeyboardInterrupt):
            vcviz.train(**options, out=tmp_path / "cut", checkpoint_every=0)
    run = vcviz.train(**options, out=tmp_path / "cut")
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    np.testing.assert_array_equal(run.latents().z, whole.latents().z)


def test_several_seeds(tmp_path):
    here, there = (
        vcviz.train(**SMALL, seeds=[0, 1], device=device, out=tmp_path / device)
        for device in ("cpu", "elsewhere")
    )
    for run, other in zip(there, here, strict=True):
        assert_same(run, other)


# ---------------------------------------------------------------- reading


class Attention(nn.Module):
    """A transformer of rows of pixels, as somebody would write one."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 12)
        self.place = nn.Parameter(0.1 * torch.randn(1, 8, 12))
        self.block = nn.TransformerEncoderLayer(12, 2, 16, batch_first=True)
        self.norm, self.fc = nn.LayerNorm(12), nn.Linear(12, 3)

    def forward(self, x):
        h = self.block(self.embed(x[:, 0]) + self.place[:, : x.shape[2]])
        return {"logits": self.fc(self.norm(h.mean(1)))}


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.2), nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 3),
    )  # fmt: skip


FOREIGN = {"cnn": convolutional, "transformer": Attention}


@pytest.mark.parametrize("moved", [False, True], ids=["its own device", "device="])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_model(image_split, kind, moved):
    model, there = pair(FOREIGN[kind]().eval())
    lat = vcviz.extract_latents(model, image_split, progress=False)
    if moved:
        other = vcviz.extract_latents(model, image_split, device="elsewhere", progress=False)
        assert {p.device.type for p in model.parameters()} == {"cpu"}
    else:
        other = vcviz.extract_latents(there, image_split, progress=False)
        assert {p.device.type for p in there.parameters()} == {"elsewhere"}
        layer = vcviz.last_linear(there)
        assert vcviz.implied_prior(layer.weight, layer.bias, other).mean.shape == (
            3,
            lat.z.shape[1],
        )
        planes = (plane_log_probs(m, lat, size=9).log_probs for m in (there, model))
        np.testing.assert_allclose(*planes, atol=1e-5)
    np.testing.assert_allclose(other.z, lat.z, atol=1e-5)
    np.testing.assert_allclose(other.log_probs, lat.log_probs, atol=1e-5)


# A CPU's numbers in the forward of the model; memory that two tensors share, which wrappers hide.
NOT_HERE = ("classes masked by a number", "written into zeros")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", [form for form in FORMS if form not in NOT_HERE])
def test_the_affine_map_of_any_form(form):
    rows, found = torch.randn(20, 5), []
    for model in pair(Model(FORMS[form][0]).eval()):
        try:
            layer = vcviz.last_linear(model, rows)
        except vcviz.InputError as error:
            found.append(str(error))
        else:
            found.append({k: v.detach().cpu() for k, v in layer.state_dict().items()})
    if isinstance(found[0], dict):
        torch.testing.assert_close(found[1], found[0])
    else:
        assert found[1] == found[0]


def test_batches_of_the_device_and_a_default_device(image_split):
    model, there = pair(convolutional().eval())
    lat = vcviz.extract_latents(model, image_split, progress=False)
    x, y = torch.tensor(image_split.x).float() / 255, torch.tensor(image_split.y)
    batches = [(x[:7].to(SECOND), y[:7].to(SECOND)), (x[7:].to(SECOND), y[7:].to(SECOND))]
    np.testing.assert_allclose(vcviz.extract_latents(there, batches).z, lat.z, atol=1e-5)
    with torch.device(SECOND):
        found = vcviz.extract_latents(there, image_split, progress=False)
    np.testing.assert_allclose(found.z, lat.z, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_our_model(runs, head):
    run = runs(head)
    here, there = run.model(), run.model("elsewhere")
    assert next(there.parameters()).device == SECOND
    test = run.split().take(np.arange(40))
    read = [vcviz.extract_latents(m, test, seed=3, progress=False) for m in (here, there)]
    np.testing.assert_allclose(read[1].z, read[0].z, atol=1e-5)
    np.testing.assert_allclose(read[1].log_probs, read[0].log_probs, atol=1e-4)
    lat = read[0]
    for of in (
        lambda m: plane_log_probs(m, lat, size=9).log_probs,
        lambda m: latent_log_probs(m, lat.z, seed=2),
        lambda m: getattr(vcviz.prior_of(m), "mean", np.zeros(1)),
    ):
        np.testing.assert_allclose(of(there), of(here), atol=1e-4)
    if head == "variational":
        fields = (plane_log_ratio(m, lat, size=9).values for m in (there, here))
        np.testing.assert_allclose(*fields, atol=1e-4)
    if head == "dropmax":
        rho = (retain_set(m, lat).rho for m in (there, here))
        np.testing.assert_allclose(*rho, atol=1e-5)
        masks = np.arange(10) < 8
        masked = (masked_log_probs(m, lat.z, np.tile(masks, (40, 1))) for m in (there, here))
        np.testing.assert_allclose(*masked, atol=1e-5)
    if head == "heteroscedastic":
        laws = [logit_law(m, test) for m in (there, here)]
        np.testing.assert_allclose(laws[0].scale, laws[1].scale, atol=1e-5)


def test_maps_and_pixels(image_split):
    model, there = pair(convolutional().eval())
    maps = [info_cam(m, image_split, label=1).cam for m in (model, there)]
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-4)
    shapes, _ = vcviz.data.load_shapes(n_train=8, n_test=2)
    for head in ("softmax", "heteroscedastic"):
        here, there = pair(train_segmenter(shapes, head=head, epochs=1, width=4))
        found = [segment(m, shapes).log_probs for m in (here, there)]
        np.testing.assert_allclose(found[1], found[0], atol=1e-4)


# ---------------------------------------------------------------- attacks, repairs, explorers

ATTACKS = {
    "fgsm": {"method": "fgsm"},
    "pgd": {"steps": 4, "random_start": True},
    "pgd l2": {"norm": "l2", "epsilon": 1.0, "steps": 4, "random_start": True, "keep_inputs": True},
    "apgd": {"method": "apgd", "steps": 5, "random_start": True},
    "apgd dlr": {"method": "apgd", "loss": "dlr", "norm": "l2", "epsilon": 1.0, "steps": 5},
    "targeted": {"steps": 3, "targeted": "least_likely", "checks": 4},
    "averaged": {"steps": 2, "draws": 2},
}


@pytest.mark.parametrize("how", ATTACKS)
@pytest.mark.parametrize("head", ["softmax", "variational", "heteroscedastic"])
def test_attacks_and_gates(runs, head, how):
    run = runs(head)
    rows = run.split().take(np.arange(16))
    here, there = (
        vcviz.attack(run.model(d), rows, progress=False, **ATTACKS[how])
        for d in ("cpu", "elsewhere")
    )
    np.testing.assert_allclose(there.distance, here.distance, atol=1e-5)
    # A pixel's sign turns where its gradient is 0 to rounding.
    assert np.isclose(there.log_probs, here.log_probs, atol=1e-3).mean() > 0.98
    assert [g.passed for g in vcviz.metrics.attack_gates(there)] == [
        g.passed for g in vcviz.metrics.attack_gates(here)
    ]


def test_robustness_curves_and_foreign_attacks(runs, image_split):
    run = runs("softmax")
    rows = run.split().take(np.arange(24))
    options = {"epsilons": [0.0, 0.05, 0.2], "steps": 3, "progress": False}
    curves = [vcviz.robustness_curve(run.model(d), rows, **options) for d in ("elsewhere", "cpu")]
    np.testing.assert_allclose(curves[0].accuracy, curves[1].accuracy, atol=1 / 24)
    model, there = pair(convolutional().eval())
    paths = [vcviz.attack(m, image_split, steps=3, progress=False) for m in (there, model)]
    np.testing.assert_allclose(paths[0].log_probs, paths[1].log_probs, atol=1e-3)
    path = vcviz.attack(model, image_split, steps=3, device="elsewhere", progress=False)
    np.testing.assert_allclose(path.log_probs, paths[1].log_probs, atol=1e-3)


def test_repairs_and_strangers(runs):
    chosen = [runs("softmax"), runs("gaussian_mixture")]
    strangers = vcviz.data.make_strangers(TEST, "noise")
    here, there = (
        vcviz.studies.separate_strangers(chosen, strangers, device=d, progress=False)
        for d in ("cpu", "elsewhere")
    )
    for mine, theirs in zip(there, here, strict=True):
        np.testing.assert_allclose(mine.auroc, theirs.auroc, atol=2e-3)
    model = chosen[0].model("elsewhere")
    lat = vcviz.extract_latents(model, chosen[0].split(), progress=False)
    repaired = vcviz.recalibrate(lat.log_probs, lat.y)
    stored = chosen[0].latents()
    want = vcviz.recalibrate(stored.log_probs, stored.y)
    assert repaired.temperature == pytest.approx(want.temperature, rel=1e-3)
    revised = (
        vcviz.metrics.reclassify(v, vcviz.metrics.refit_prior(v)).log_probs for v in (lat, stored)
    )
    np.testing.assert_allclose(*revised, atol=1e-3)


def test_explorers(runs):
    chosen = [runs(head) for head in ("softmax", "variational")]
    for explorer in (vcviz.LatentExplorer, vcviz.CalibrationExplorer):
        assert explorer(chosen).figure().data
    model = chosen[0].model("elsewhere")
    explored = vcviz.explore(model, chosen[0].split().take(np.arange(40)), attack_rows=4)
    assert explored.missing == {}
    for explorer in (explored.latents, explored.calibration, explored.adversarial):
        assert explorer.figure().data
