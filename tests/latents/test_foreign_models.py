"""Models as people have them: form of head x form of output x type x wrapper, all read alike."""

from __future__ import annotations

import random
import threading
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.optim.swa_utils import AveragedModel

import vcviz
from vcviz.base.errors import InputError
from vcviz.geometry import implied_prior
from vcviz.latents import extract_latents, last_linear

N, FEATURES, D, C = 40, 5, 6, 4


class Model(nn.Module):
    """A body to D latents, parts of all sorts, and a way to make scores of them."""

    def __init__(self, scores, wrap=lambda a: a) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(FEATURES, D), nn.BatchNorm1d(D), nn.Dropout(), nn.Tanh()
        )
        self.fc, self.second = nn.Linear(D, C), nn.Linear(D, C)
        self.one = nn.Linear(D, 1)
        self.weight = nn.Parameter(torch.randn(C, D))
        self.down, self.up = nn.Linear(D, 2, bias=False), nn.Linear(2, C, bias=False)
        self.normed, self.after = weight_norm(nn.Linear(D, C)), nn.BatchNorm1d(C)
        self.conv, self.temperature = nn.Conv1d(D, C, 1), nn.Parameter(torch.tensor(0.4))
        self.register_buffer("order", torch.tensor([2, 0, 3, 1]))
        self.centres = nn.Parameter(torch.randn(D, D))
        self.scores, self.wrap = scores, wrap

    def forward(self, x):
        return self.wrap(self.scores(self, self.body(x)))


def same(h: Tensor) -> Tensor:
    return h


def normal(h: Tensor) -> Tensor:
    return F.normalize(h, dim=1)


def _twice(m: Model, h: Tensor) -> Tensor:
    m.fc(-h)
    return m.fc(h)


def _twice_and_back(m: Model, h: Tensor) -> Tensor:
    scores = m.fc(h)
    m.fc(torch.relu(h))
    return scores


def _written(m: Model, h: Tensor) -> Tensor:
    scores = torch.zeros(len(h), C + 1, dtype=h.dtype, device=h.device)
    scores[:, :C] = m.fc(h)
    return scores[:, :C].add_(m.weight[:, 0]).mul_(2)


def _distance(m: Model, h: Tensor) -> Tensor:
    return -((h[:, None] - m.weight) ** 2).sum(2) / 2


#: name -> (h -> scores, h -> the latent)
HEADS = {
    "nn.Linear": (lambda m, h: m.fc(h), same),
    "F.linear": (lambda m, h: F.linear(h, m.weight), same),
    "h @ W.T": (lambda m, h: h @ m.weight.T + 1, same),
    "einsum": (lambda m, h: torch.einsum("bd,cd->bc", h, m.weight), same),
    "sum of products": (lambda m, h: (h[:, None] * m.weight).sum(2), same),
    "adapter beside": (lambda m, h: m.fc(h) + 0.5 * m.up(m.down(h)), same),
    "adapter behind dropout": (
        lambda m, h: m.fc(h) + m.up(F.dropout(m.down(h), 0.1, m.training)), same),
    "low rank": (lambda m, h: m.up(m.down(h)), lambda h: None),
    "two heads": (lambda m, h: (m.fc(h) + m.second(h)) / 2, same),
    "head that is not the last": (lambda m, h: (m.fc(h), m.second(h))[0], same),
    "called twice": (_twice, same),
    "called again after": (_twice_and_back, same),
    "weight norm": (lambda m, h: m.normed(h), same),
    "normalised weights": (lambda m, h: h @ F.normalize(m.weight).T, same),
    "cosine": (lambda m, h: 8 * F.normalize(h, dim=1) @ F.normalize(m.weight).T, normal),
    "cosine, scaled weights": (
        lambda m, h: F.normalize(h, dim=1) / 3 * 2 @ (8 * F.normalize(m.weight)).T, normal),
    "cosine_similarity": (
        lambda m, h: F.cosine_similarity(h[:, None], m.weight[None], dim=2) / 0.07, normal),
    "temperature": (lambda m, h: m.fc(h) / 2.5, same),
    "learned temperature": (lambda m, h: m.fc(h) * m.temperature.exp(), same),
    "batch norm of the scores": (lambda m, h: m.after(m.fc(h)), same),
    "prior added": (lambda m, h: m.fc(h) + m.weight[:, 1].log_softmax(0), same),
    "classes masked": (
        lambda m, h: m.fc(h) + torch.tensor([0, 0, -torch.inf, 0]).to(h), same),
    "classes masked by a number": (
        lambda m, h: (m.fc(h).double() + torch.tensor([0, 0, -1e9, 0])).log_softmax(1), same),
    "classes masked by the least number": (
        lambda m, h: m.fc(h) + torch.tensor([0, 0, torch.finfo(h.dtype).min, 0]).to(h), same),
    "radial": (lambda m, h: m.fc((-(torch.cdist(h, m.centres) ** 2)).exp()),
               lambda h: None),  # of more than 25 rows torch computes distances otherwise
    "classes in another order": (lambda m, h: m.fc(h)[:, m.order], same),
    "scores less their mean": (lambda m, h: (a := m.fc(h)) - a.mean(1, keepdim=True), same),
    "log-softmax": (lambda m, h: m.fc(h).log_softmax(1), same),
    "less their logsumexp": (lambda m, h: (a := m.fc(h)) - a.logsumexp(1, keepdim=True), same),
    "log of softmax": (lambda m, h: m.fc(h).softmax(1).log(), same),
    "convolution": (lambda m, h: m.conv(h[..., None]).flatten(1), same),
    "convolution before the mean": (
        lambda m, h: m.conv(torch.stack([h, 3 * h.cos()], 2)).mean(2),
        lambda h: (h + 3 * h.cos()) / 2),
    "mean of token scores": (
        lambda m, h: m.fc(torch.stack([h, h.sin(), h**2], 1)).mean(1),
        lambda h: (h + h.sin() + h**2) / 3),
    "in place": (lambda m, h: m.fc(h.relu_()).mul_(2).add_(m.weight[:, 0]), lambda h: h.relu()),
    "written into zeros": (_written, same),
    "squared distances": (_distance, same),
    "one score and its negative": (lambda m, h: torch.cat([-m.one(h), m.one(h)], 1), same),
    "two scores of one": (
        lambda m, h: torch.cat([torch.zeros_like(a := m.one(h)), a], 1), same),
}  # fmt: skip

#: what is no affine map of anything, and a word that the message must have
CURVED = {
    "soft-capped": (lambda m, h: 3 * torch.tanh(m.fc(h) / 3), "tanh"),
    "soft-capped, masked": (
        lambda m, h: 3 * torch.tanh(m.fc(h) / 3) + torch.tensor([0, 0, -1e9, 0]), "tanh"),
    "clamped": (lambda m, h: m.fc(h).clamp(-0.5, 0.5), "clamp"),
    "relu": (lambda m, h: m.fc(h).relu(), "relu"),
    "maxout": (lambda m, h: torch.maximum(m.fc(h), m.second(h)), "maximum"),
    "gated": (lambda m, h: m.fc(h) * m.second(h).sigmoid(), "sigmoid"),
    "distance, not squared": (lambda m, h: -torch.cdist(h, m.weight), "cdist"),
    "mixture of two heads": (
        lambda m, h: (m.fc(h).softmax(1) / 2 + m.second(h).softmax(1) / 2).log(), "softmax"),
}  # fmt: skip


@dataclass
class Answer:
    logits: Tensor
    hidden: Tensor | None = None


Named = namedtuple("Named", ["logits", "loss"])

OUTPUTS = {
    "tensor": lambda a: a,
    "object": lambda a: SimpleNamespace(loss=None, logits=a),
    "dict": lambda a: {"features": a + 1, "logits": a},
    "dict, first": lambda a: {"out": a},
    "tuple": lambda a: (a, a + 1),
    "list": lambda a: [a],
    "named tuple": lambda a: Named(a, None),
    "dataclass": lambda a: Answer(a),
    "maps of one pixel": lambda a: a[..., None, None],
    "nested": lambda a: ({"logits": a}, 1),
}
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Autocast(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.model(x)


class Frozen(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @torch.no_grad()
    def forward(self, x):
        return self.model(x)


WRAPPERS = {
    "bare": lambda m: m,
    "DataParallel": nn.DataParallel,
    "averaged": AveragedModel,
    "compiled": lambda m: torch.compile(m, backend="eager"),
    "part compiled": lambda m: nn.Sequential(torch.compile(m, backend="eager")),
    "traced": lambda m: torch.jit.trace(m.eval(), torch.zeros(2, FEATURES)),
    "exported": lambda m: torch.export.export(
        m.eval(), (torch.zeros(3, FEATURES),), dynamic_shapes=({0: torch.export.Dim("n")},)),
    "autocast": Autocast,
    "without gradients": Frozen,
    "sequential": nn.Sequential,
}  # fmt: skip

FEW_HEADS = ("nn.Linear", "adapter beside", "cosine", "log-softmax", "convolution before the mean")
CASES = [
    *[(head, "tensor", "float32", "bare") for head in HEADS],
    *[(head, output, "float32", "bare") for output in OUTPUTS for head in FEW_HEADS[:2]],
    *[(head, "tensor", dtype, "bare") for dtype in DTYPES for head in FEW_HEADS],
    *[(head, "tensor", "float32", wrapper) for wrapper in WRAPPERS for head in FEW_HEADS],
    ("temperature", "dict", "bfloat16", "DataParallel"),
    ("two heads", "object", "float64", "compiled"),
    ("cosine", "tuple", "float16", "averaged"),
]


def made(scores, wrap=lambda a: a, dtype=torch.float32) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Model(scores, wrap)
        model.body(torch.randn(50, FEATURES))  # statistics of batch norm that are not 0 and 1
        model.after(torch.randn(50, C) + 1)
    return model.to(dtype).eval()


@pytest.fixture
def rows(rng) -> tuple[Tensor, Tensor]:
    x = torch.tensor(rng.standard_normal((N, FEATURES)), dtype=torch.float32)
    return x, torch.arange(N) % C


def state_of(model: nn.Module):
    """Return all of a model and of the session that reading it must leave as it was."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    return {
        "training": [m.training for m in modules],
        "hooks": [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in modules],
        "gradients": [p.grad is None and p.requires_grad for m in modules for p in m.parameters()],
        "weights": [t.double().sum().item() for m in modules[:1] for t in m.state_dict().values()],
        "versions": [p._version for m in modules for p in m.parameters()],
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "random": (torch.get_rng_state().tolist(), random.getstate(),
                   np.random.get_state()[1].tolist()),  # noqa: NPY002
    }  # fmt: skip


# ---------------------------------------------------------------- every form


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit
@pytest.mark.parametrize(
    ("head", "output", "dtype", "wrapper"), CASES, ids=[" | ".join(case) for case in CASES]
)
def test_latents_scores_and_the_map_between_them(head, output, dtype, wrapper, rows):
    scores, latent = HEADS[head]
    x, y = rows
    y = y % 2 if "one" in head.split() or "masked" in head.split() else y
    own = made(scores, OUTPUTS[output], DTYPES[dtype])
    with torch.no_grad():
        h = own.body(x.to(DTYPES[dtype]))
        z, logits = latent(h.clone()), own.scores(own, h.clone())
    model = WRAPPERS[wrapper](own)
    if wrapper not in ("traced", "exported"):
        model.train()
        own.body[1].eval()
    before = state_of(model)
    coarse = 0.1 if dtype in ("bfloat16", "float16") or wrapper == "autocast" else 1e-5

    lat = extract_latents(
        model, (x, y), batch_size=30 if head == "radial" else 7, progress=False)  # fmt: skip
    layer = last_linear(model)
    example = last_linear(model, x)

    assert state_of(model) == before
    if z is not None:
        np.testing.assert_allclose(lat.z, z.float(), atol=coarse)
    np.testing.assert_allclose(lat.log_probs, logits.float().log_softmax(1), atol=coarse)
    for one in (layer, example):
        bias = torch.zeros(1) if one.bias is None else one.bias.detach().float()
        made_of = torch.tensor(lat.z) @ one.weight.detach().float().T + bias
        made_of = made_of.log_softmax(1).clamp(-100).numpy()
        np.testing.assert_allclose(made_of, np.maximum(lat.log_probs, -100), atol=coarse)
    likely = lat.log_probs > -100
    law = implied_prior(layer.weight, layer.bias, lat)  # without a warning
    posterior = law.log_posterior(lat.z)
    np.testing.assert_allclose(posterior[likely], lat.log_probs[likely], atol=2 * coarse)
    if head == "nn.Linear" and wrapper not in ("traced", "exported", "averaged", "autocast"):
        assert layer is own.fc


@pytest.mark.parametrize("head", CURVED)
def test_scores_that_no_affine_map_makes_are_told(head, rows):
    scores, word = CURVED[head]
    model = made(scores)
    with pytest.warns(UserWarning, match=f"no affine map of a latent makes the scores.*{word}"):
        lat = extract_latents(model, rows, progress=False)
    with torch.no_grad():
        np.testing.assert_allclose(lat.z, model.body(rows[0]), atol=1e-5)
        np.testing.assert_allclose(lat.log_probs, model(rows[0]).log_softmax(1), atol=1e-5)
    with pytest.raises(InputError, match=word):
        last_linear(model, rows[0])
    with pytest.warns(UserWarning, match=f"{word}.*no law is drawn"):
        ui = vcviz.explore(model, rows, attack_rows=3)
    assert ui.subject.prior() is None
    assert list(ui.explorers) == ["Latents", "Calibration", "Attack"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cast", [lambda a: a, lambda a: a.float()], ids=["own", "float"])
def test_probabilities_are_refused_in_every_type(dtype, cast, rows):
    model = made(lambda m, h: 3 * m.fc(h), lambda a: cast(a.softmax(1)), DTYPES[dtype])
    with pytest.raises(InputError, match="leave out its last softmax"):
        extract_latents(model, rows, progress=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.ao
@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
def test_the_map_of_an_integer_model_is_that_of_its_weights(rows):
    net = nn.Sequential(nn.Linear(FEATURES, D), nn.ReLU(), nn.Linear(D, C))
    try:
        model = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    except (AttributeError, RuntimeError):
        pytest.skip("this build quantises nothing")
    ui = vcviz.explore(model, rows)
    assert list(ui.explorers) == ["Latents", "Calibration"]
    assert "no gradient to attack with" in ui.missing["Attack"]
    lat, law = ui.subject.latents(), ui.subject.prior()
    np.testing.assert_allclose(law.log_posterior(lat.z), lat.log_probs, atol=0.05)


def test_weights_without_values_are_refused(rows):
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(FEATURES, C))
    for read in (extract_latents, vcviz.explore):
        with pytest.raises(InputError, match="on the meta device, which keeps no values; load"):
            read(model, rows)


def test_a_map_that_changes_from_row_to_row_is_no_map(rows):
    class Moody(Model):
        def forward(self, x):
            h = self.body(x)
            return self.fc(h) if x[0, 0] > 0 else self.second(h)

    model = Moody(None).eval()
    x = torch.cat([rows[0][rows[0][:, 0] > 0][:4], rows[0][rows[0][:, 0] < 0][:4]])
    with pytest.warns(UserWarning, match="changes from batch to batch|does not give the model"):
        extract_latents(model, (x, rows[1][:8]), batch_size=4, progress=False)


def test_weights_that_changed_since_are_looked_for_again(rows):
    model = made(HEADS["F.linear"][0])
    extract_latents(model, rows, progress=False)
    assert torch.equal(last_linear(model).weight, model.weight)
    with torch.no_grad():
        model.weight.add_(1)
    assert last_linear(model) is model.conv or isinstance(last_linear(model), nn.Linear)
    assert torch.equal(last_linear(model, rows[0]).weight, model.weight)


def test_a_flag_or_number_that_changed_since_is_seen(rows):
    class Tasks(Model):
        task, scale = "fc", 1.0

        def forward(self, x):
            return getattr(self, self.task)(self.body(x)) * self.scale

    model = Tasks(None).eval()
    for model.task, model.scale in (("fc", 1.0), ("second", 1.0), ("second", 3.0)):
        lat = extract_latents(model, rows, progress=False)  # without a warning
        weight = getattr(model, model.task).weight * model.scale
        np.testing.assert_allclose(last_linear(model).weight.detach(), weight.detach(), atol=1e-6)
        np.testing.assert_allclose(lat.log_probs, model(rows[0]).log_softmax(1).detach(), atol=1e-5)


def test_a_layer_that_changes_when_it_is_read_stays_as_it_was(rows):
    model = nn.Sequential(nn.Linear(FEATURES, D), nn.Tanh(), spectral_norm(nn.Linear(D, C)))
    before = {name: value.clone() for name, value in model.train().state_dict().items()}
    ui = vcviz.explore(model, rows, attack_rows=3)
    last_linear(model)
    lat = extract_latents(model, rows, progress=False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    np.testing.assert_allclose(ui.subject.prior().log_posterior(lat.z), lat.log_probs, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("head", ["cosine", "written cosine", "temperature", "log-softmax"])
def test_few_rows_are_read_as_many_are(head, n, rows):
    def written(m, h):
        return (m.down(h) / m.down(h).norm(dim=1, keepdim=True)) @ m.up.weight.T * 4

    model = made(written if head == "written cosine" else HEADS[head][0])
    lat = extract_latents(model, (rows[0][:n], rows[1][:n]), progress=False)
    layer = last_linear(model)
    np.testing.assert_allclose(
        layer(torch.tensor(lat.z)).log_softmax(1).detach(), lat.log_probs, atol=1e-5
    )


@pytest.mark.parametrize("wrap", [tuple, lambda a: dict(zip("ab", a, strict=True))])
def test_latents_that_stand_before_their_scores_are_not_read_as_scores(wrap, rows):
    model = made(lambda m, h: (h, m.fc(h)), wrap)
    with pytest.raises(InputError, match=r"gives \(B, 6\) first, of which weights make the \(B, 4"):
        extract_latents(model, rows, progress=False)
    model = made(lambda m, h: (m.fc(h), h), wrap)
    np.testing.assert_allclose(
        extract_latents(model, rows, progress=False).z, model.body(rows[0]).detach(), atol=1e-5
    )


def test_another_size_of_batch_may_go_another_way(rows):
    class Alone(Model):
        def forward(self, x):
            h = self.body(x) if len(x) > 1 else self.body(x.clone() + 0)
            return self.fc(h)

    model = Alone(None).eval()
    lat = extract_latents(model, rows, batch_size=N - 1, progress=False)
    with torch.no_grad():
        np.testing.assert_allclose(lat.z, model.body(rows[0]), atol=1e-6)


class LastWord(nn.Module):
    """Scores every word, then picks those of the last one that is none of the padding."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.table = nn.Embedding(30, D)
            self.mixed = nn.TransformerEncoderLayer(D, 2, 8, batch_first=True)
            self.fc = nn.Linear(D, C)

    def forward(self, input_ids):
        scores = self.fc(self.hidden(input_ids))
        return scores[torch.arange(len(input_ids)), self.last(input_ids)]

    def hidden(self, input_ids):
        return self.mixed(self.table(input_ids))

    def last(self, input_ids):
        return (input_ids > 0).long().cumsum(1).argmax(1)


@pytest.mark.parametrize("layer", [None, "fc"])
def test_each_row_may_pick_a_word_of_its_own(layer):
    model = LastWord().eval()
    ids = torch.randint(1, 30, (N, 7), generator=torch.Generator().manual_seed(0))
    for k, length in enumerate(np.arange(N) % 7 + 1):
        ids[k, length:] = 0
    lat = extract_latents(model, (ids, torch.arange(N) % C), layer=layer, batch_size=9)
    with torch.no_grad():
        want = model.hidden(ids)[torch.arange(N), model.last(ids)]
    np.testing.assert_allclose(lat.z, want, atol=1e-5)
    layer = last_linear(model)
    assert layer is model.fc
    np.testing.assert_allclose(layer(torch.tensor(lat.z)).log_softmax(1).detach(), lat.log_probs,
                               atol=1e-5)  # fmt: skip


# ---------------------------------------------------------------- the state of the session


@pytest.mark.parametrize("session", ["float64", "no_grad", "inference", "meta"])
def test_whatever_the_session_is_set_to(session, rows):
    model = made(HEADS["adapter beside"][0])
    want = extract_latents(model, rows, progress=False)
    arrays = rows[0].numpy(), rows[1].numpy()
    split = vcviz.Split(*arrays)
    try:
        if session == "float64":
            torch.set_default_dtype(torch.float64)
        elif session == "meta":
            torch.set_default_device("meta")
        with {"no_grad": torch.no_grad, "inference": torch.inference_mode}.get(
            session, torch.enable_grad
        )():
            before = state_of(model)
            tensors = torch.utils.data.TensorDataset(*rows)
            loader = torch.utils.data.DataLoader(tensors, batch_size=9)
            for data in (arrays, split, tensors, loader):
                lat = extract_latents(model, data, progress=False)
                np.testing.assert_allclose(lat.z, want.z, atol=1e-6)
            path = vcviz.attack(model, split, steps=2, progress=False)
            np.testing.assert_allclose(path.z[0], want.z, atol=1e-6)
            assert (path.distance[-1] > 0).all()
            ui = vcviz.explore(model, arrays, attack_rows=3)
            assert list(ui.explorers) == ["Latents", "Calibration", "Attack"]
            assert ui.subject.anticipates == "implied"
            after = state_of(model)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert after == before


def test_threads_that_read_one_model_see_their_own_rows(rows):
    model = made(HEADS["adapter beside"][0]).train()
    parts = [
        torch.randn(300, FEATURES, generator=torch.Generator().manual_seed(k)) for k in range(4)
    ]
    before = state_of(model)
    with torch.no_grad():
        model.eval()
        want = [model.body(x) for x in parts]
        model.train()
    found, failed = {}, []

    def read(k: int, layer: str | None) -> None:
        try:
            y = torch.arange(300) % C
            for _ in range(3):
                found[k, layer] = extract_latents(
                    model, (parts[k], y), batch_size=9, layer=layer, progress=False).z  # fmt: skip
        except Exception as error:
            failed.append(error)

    threads = [
        threading.Thread(target=read, args=(k, layer)) for k in range(4) for layer in (None, "fc")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for (k, _), z in found.items():
        np.testing.assert_allclose(z, want[k], atol=1e-5)
    assert state_of(model)["training"] == before["training"]
    assert state_of(model)["hooks"] == before["hooks"]


# ---------------------------------------------------------------- shapes of modules


@st.composite
def networks(draw):
    """A random network of random parts that ends in an affine map, with the body before it."""
    width, out = draw(st.integers(1, 7)), draw(st.integers(2, 6))
    inputs = draw(st.integers(1, 5))
    body: list[nn.Module] = [nn.Linear(inputs, width)]
    curves = [nn.Tanh(), nn.ReLU(), nn.GELU(), nn.SiLU(), nn.LayerNorm(width), nn.Dropout()]
    for _ in range(draw(st.integers(0, 3))):
        body += [draw(st.sampled_from(curves)), nn.Linear(width, width)]
    body.append(draw(st.sampled_from([nn.Tanh(), nn.Sigmoid(), nn.Softplus()])))
    head: list[nn.Module] = [nn.Linear(width, out, bias=draw(st.booleans()))]
    for _ in range(draw(st.integers(0, 2))):
        head.append(draw(st.sampled_from([
            nn.BatchNorm1d(out), nn.Dropout(), nn.Identity(), nn.LogSoftmax(1),
            nn.Linear(out, out), nn.Unflatten(1, (1, out)), nn.Flatten(),
        ])))  # fmt: skip
        if isinstance(head[-1], nn.Unflatten):
            head.append(nn.Flatten())
    return inputs, nn.Sequential(*body), nn.Sequential(*head)


@settings(max_examples=40, deadline=None)
@given(parts=networks(), seed=st.integers(0, 99), n=st.integers(2, 20), size=st.integers(1, 20))
def test_any_network_with_an_affine_end_is_read(parts, seed, n, size):
    inputs, body, head = parts
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, inputs, generator=generator)
    model = nn.Sequential(body, head)
    lat = extract_latents(model, (x, torch.zeros(n).long()), batch_size=size, progress=False)
    layer = last_linear(model)
    model.eval()
    with torch.no_grad():
        np.testing.assert_allclose(lat.log_probs, model(x).log_softmax(1), atol=1e-4)
        scores = layer(torch.tensor(lat.z))
    np.testing.assert_allclose(scores.log_softmax(1), lat.log_probs, atol=1e-4)
