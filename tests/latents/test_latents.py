"""Latents of our models and of anybody's: found, complete, and the model left as it was."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

from vcviz.base.errors import InputError, MissingError
from vcviz.geometry import implied_prior
from vcviz.latents import extract_latents, last_linear, prior_of
from vcviz.latents import rows as rows_module
from vcviz.latents.adapter import reading
from vcviz.models.classifier import Classifier
from vcviz.models.encoders import build_encoder
from vcviz.models.heads import build_head
from vcviz.models.heads.softmax import SoftmaxHead
from vcviz.records import Split

N, FEATURES, D, C = 7, 5, 4, 3


class Net(nn.Module):
    """Five columns to three logits, with dropout, batch norm and an unused later layer."""

    def __init__(self, wrap=lambda logits: logits) -> None:
        super().__init__()
        self.fc = nn.Linear(D, C)
        self.body = nn.Sequential(
            nn.Linear(FEATURES, D), nn.BatchNorm1d(D), nn.Dropout(0.5), nn.ReLU()
        )
        self.wrap = wrap

    def features(self, x: Tensor) -> Tensor:
        return self.body(x)

    def forward(self, x: Tensor):
        return self.wrap(self.fc(self.features(x)))


class NoisyHead(SoftmaxHead):
    """Logits with Gaussian noise."""

    def log_probs(self, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(len(z), C, generator=generator)
        return F.log_softmax(self.linear(z) + noise, 1)


def noisy_model() -> Classifier:
    return Classifier(nn.Linear(FEATURES, D), NoisyHead(latent_dim=D, n_classes=C))


def seeded(make, *args, **kwargs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(*args, **kwargs)


@pytest.fixture
def net() -> Net:
    return seeded(Net)


@pytest.fixture
def rows(rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((N, FEATURES)).astype(np.float32), np.arange(N) % C


@torch.no_grad()
def expected(net: Net, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    training = net.training
    net.eval()
    z = net.features(torch.tensor(x))
    log_probs = F.log_softmax(net.fc(z), 1)
    net.train(training)
    return z.numpy(), log_probs.numpy()


# ---------------------------------------------------------------- what comes back


def test_latents_are_the_input_of_the_last_linear_layer_called(net, rows):
    lat = extract_latents(net, rows, batch_size=3)
    z, log_probs = expected(net, rows[0])
    np.testing.assert_allclose(lat.z, z, atol=1e-6)
    np.testing.assert_allclose(lat.log_probs, log_probs, atol=1e-6)
    np.testing.assert_array_equal(lat.y, rows[1])
    np.testing.assert_array_equal(lat.index, np.arange(N))


def test_the_layers_own_weights_turn_latents_into_the_output(net, rows):
    lat, layer = extract_latents(net, rows), last_linear(net, torch.tensor(rows[0]))
    logits = torch.tensor(lat.z) @ layer.weight.T + layer.bias
    np.testing.assert_allclose(lat.log_probs, logits.log_softmax(1).detach(), atol=1e-6)


def test_one_line_gives_the_law_that_any_model_implies(net, rows):
    lat, layer = extract_latents(net, rows), last_linear(net, torch.tensor(rows[0]))
    prior = implied_prior(layer.weight, layer.bias, lat)
    np.testing.assert_allclose(prior.log_posterior(lat.z), lat.log_probs, atol=1e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a: F.log_softmax(a, 1),
        lambda a: SimpleNamespace(loss=None, logits=a),
        lambda a: {"features": a + 1, "logits": a},
        lambda a: {"scores": a},
        lambda a: (a, a + 1),
        lambda a: a.double(),
    ],
    ids=["log_probs", "object", "dict", "dict_first", "tuple", "float64"],
)
def test_every_common_form_of_output_gives_the_same_latents(net, rows, wrap):
    bare = extract_latents(net, rows)
    net.wrap = wrap
    lat = extract_latents(net, rows)
    np.testing.assert_array_equal(lat.z, bare.z)
    np.testing.assert_allclose(lat.log_probs, bare.log_probs, atol=1e-6)


@pytest.mark.parametrize("form", ["tensors", "split", "loader", "dataset", "batches", "stream"])
def test_every_form_of_data_gives_the_same_latents(net, rows, form):
    x, y = rows
    pair = TensorDataset(torch.tensor(x), torch.tensor(y))
    loader = DataLoader(pair, batch_size=2)
    data = {
        "tensors": (torch.tensor(x), torch.tensor(y)),
        "split": Split(x, y, ("a", "b", "c"), name="rows"),
        "loader": loader,
        "dataset": pair,
        "batches": [(x[:0], y[:0]), (x[:4], y[:4]), [x[4:], y[4:]]],
        "stream": iter(loader),
    }[form]
    lat = extract_latents(net, data, batch_size=3)
    np.testing.assert_allclose(lat.z, expected(net, x)[0], atol=1e-6)
    np.testing.assert_array_equal(lat.y, y)
    if form == "split":
        assert (lat.class_names, lat.name) == (("a", "b", "c"), "rows")


def test_hugging_face_batches_reach_the_model_by_keyword(rows):
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(50, D)
            self.score = nn.Linear(D, C)

        def forward(self, input_ids=None, attention_mask=None):
            kept = self.embedding(input_ids) * attention_mask[..., None]
            return SimpleNamespace(logits=self.score(input=kept.sum(1)))

    model = seeded(Text)
    ids = torch.arange(12, dtype=torch.int32).reshape(3, 4)
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    batch = {"labels": torch.tensor([2, 0, 1]), "attention_mask": mask, "input_ids": ids}
    lat = extract_latents(model, [batch])
    table = model.embedding.weight.detach()
    want = torch.stack([table[ids[i][mask[i] > 0]].sum(0) for i in range(3)])
    np.testing.assert_allclose(lat.z, want, atol=1e-6)
    np.testing.assert_array_equal(lat.y, [2, 0, 1])


def test_uint8_images_become_floats_for_models_that_are_not_ours(image_split):
    model = seeded(nn.Sequential, nn.Flatten(), nn.Linear(64, C))
    lat = extract_latents(model, image_split)
    np.testing.assert_allclose(lat.z, image_split.x.reshape(12, 64) / 255, atol=1e-7)


def test_token_ids_become_int64(text_split):
    seen = []

    class Ids(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(1, C)

        def forward(self, x):
            seen.append(x.dtype)
            return self.fc(x.float().mean(1, keepdim=True))

    extract_latents(Ids(), text_split)
    assert set(seen) == {torch.int64}


def test_a_half_precision_model_gives_float32_records(net, rows):
    lat = extract_latents(net.bfloat16(), rows)
    assert lat.z.dtype == lat.log_probs.dtype == np.float32
    np.testing.assert_allclose(np.exp(lat.log_probs).sum(1), 1, atol=1e-5)


# ---------------------------------------------------------------- our own models


@pytest.mark.parametrize("head", ["softmax", "gaussian_mixture", "variational"])
def test_a_classifier_gives_what_encode_and_its_head_give(image_split, head):
    encoder = seeded(build_encoder, "mlp", kind="image", input_shape=(1, 8, 8), latent_dim=D)
    model = Classifier(encoder, seeded(build_head, head, latent_dim=D, n_classes=C)).train()
    lat = extract_latents(model, image_split, batch_size=5)
    with torch.no_grad():
        z = model.eval().encode(torch.tensor(image_split.x))
        np.testing.assert_allclose(lat.z, z, atol=1e-6)
        np.testing.assert_allclose(lat.log_probs, model.head.log_probs(z), atol=1e-5)
    prior = prior_of(model)
    if head == "softmax":
        assert prior is None
        assert last_linear(model) is model.head.linear
    else:
        np.testing.assert_allclose(prior.log_posterior(lat.z), lat.log_probs, atol=1e-4)
        with pytest.raises(InputError, match="has none that makes the logits"):
            last_linear(model)


def test_another_layer_of_a_classifier_can_be_named(image_split, tiny_model):
    lat = extract_latents(tiny_model, image_split, layer="head.linear")
    np.testing.assert_allclose(lat.z, extract_latents(tiny_model, image_split).z, atol=1e-6)


def test_a_stochastic_head_repeats_itself_by_its_seed(rows):
    model = seeded(noisy_model)
    one, same, other = (extract_latents(model, rows, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.log_probs, same.log_probs)
    assert np.abs(one.log_probs - other.log_probs).max() > 0.01
    np.testing.assert_array_equal(one.z, other.z)


def test_prior_of_a_module_without_a_head_is_none(net):
    assert prior_of(net) is None
    net.head = nn.Linear(D, C)
    assert prior_of(net) is None


def test_a_module_of_ones_own_may_have_a_head_of_ours(net):
    net.head = build_head("gaussian_mixture", latent_dim=D, n_classes=C)
    np.testing.assert_array_equal(prior_of(net).mean, net.head.prior().mean)


# ---------------------------------------------------------------- layers


def test_a_named_layer_gives_its_input_even_when_it_works_in_place(rows):
    body = nn.Linear(FEATURES, D)
    model = nn.Sequential(body, nn.ReLU(inplace=True), nn.Linear(D, C))
    lat = extract_latents(model, rows, layer="1")
    np.testing.assert_allclose(lat.z, body(torch.tensor(rows[0])).detach(), atol=1e-6)
    assert lat.z.min() < 0


def test_a_convolution_as_classifier_is_found_and_can_be_named(image_split):
    model = nn.Sequential(
        nn.Conv2d(1, D, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(D, C, 1), nn.Flatten()
    )
    lat = extract_latents(model, image_split)
    assert lat.z.shape == (12, D)
    for layer in ("1", "2"):  # the mean of what the pooling takes is what the convolution takes
        named = extract_latents(model, image_split, layer=layer)
        np.testing.assert_allclose(named.z, lat.z, atol=1e-6)
    largest = nn.Sequential(model[0], nn.AdaptiveMaxPool2d(1), *model[2:])
    with pytest.raises(InputError, match=r"takes \(12, 4, 6, 6\); a latent is one vector"):
        extract_latents(largest, image_split, layer="1")


def test_an_unknown_layer_is_refused_with_the_nearest_name(net, rows):
    with pytest.raises(InputError, match=r"unknown layer 'body\.9'; did you mean 'body\.\d'"):
        extract_latents(net, rows, layer="body.9")


def test_a_layer_that_is_never_called_is_refused(net, rows):
    net.spare = nn.Linear(D, C)
    assert last_linear(net) is net.spare
    assert last_linear(net, torch.tensor(rows[0])) is net.fc
    assert last_linear(net, layer="fc") is net.fc
    with pytest.raises(InputError, match="'spare' was not called"):
        extract_latents(net, rows, layer="spare")


def test_latents_of_a_sequence_are_those_of_the_place_that_counts(rows):
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = nn.Linear(2, C)

        def forward(self, x):
            return self.score(torch.stack([x, x**2], 2))[:, -1]

    last = rows[0][:, -1]
    lat = extract_latents(Sequence(), rows)
    np.testing.assert_allclose(lat.z, np.stack([last, last**2], 1), rtol=1e-6)


def test_a_layer_called_on_other_rows_is_refused(net, rows):
    class TwoViews(Net):
        def forward(self, x):
            z = self.features(torch.cat([x, -x]))
            return self.fc(z)[: len(x)]

    with pytest.raises(InputError, match=r"makes the scores, but .*name the module .* layer="):
        extract_latents(TwoViews(), rows)
    with pytest.raises(InputError, match=r"takes \(14, 4\).*each of the 7 rows"):
        extract_latents(TwoViews(), rows, layer="fc")


def test_a_last_linear_layer_that_does_not_make_the_logits_is_told(net, rows):
    class Gated(Net):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Linear(C, 1)

        def forward(self, x):
            logits = self.fc(self.features(x))
            return logits * self.gate(logits).sigmoid()

    with pytest.warns(UserWarning, match=r"no affine .* sigmoid, mul with .*gate\.weight"):
        assert extract_latents(Gated(), rows).latent_dim == D
    with pytest.raises(InputError, match=r"no affine .* sigmoid, mul with .*gate\.weight"):
        last_linear(Gated(), torch.tensor(rows[0]))
    assert extract_latents(Gated(), rows, layer="fc").latent_dim == D


# ---------------------------------------------------------------- the model stays as it was


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules())


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_exactly_as_it_was(net, rows, fails):
    net.train()
    net.body[1].eval()
    net.fc.weight.requires_grad_(False)
    flags = [m.training for m in net.modules()]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    noise = torch.get_rng_state()
    if fails:
        net.wrap = lambda a: a[:, :1]
        with pytest.raises(InputError, match="binary"):
            extract_latents(net, rows)
    else:
        extract_latents(net, rows)
    assert [m.training for m in net.modules()] == flags
    assert hooks(net) == 0
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert [p.requires_grad for p in net.parameters()] == [False, *[True] * 5]
    assert torch.equal(torch.get_rng_state(), noise)


def test_wrapped_models_are_read_through_their_wrapper(net, rows):
    want = extract_latents(net, rows).z
    for wrapper in (nn.DataParallel(net), AveragedModel(net), torch.compile(net, backend="eager")):
        np.testing.assert_array_equal(extract_latents(wrapper, rows).z, want)


def test_a_wrapped_classifier_is_still_ours(image_split):
    encoder = seeded(build_encoder, "mlp", kind="image", input_shape=(1, 8, 8), latent_dim=D)
    model = Classifier(encoder, build_head("gaussian_mixture", latent_dim=D, n_classes=C))
    np.testing.assert_array_equal(prior_of(nn.DataParallel(model)).mean, prior_of(model).mean)
    lat = extract_latents(nn.DataParallel(model), image_split)
    np.testing.assert_array_equal(lat.z, extract_latents(model, image_split).z)


def test_a_plain_wrapper_keeps_its_own_preprocessing(net, rows):
    class Shifted(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(x - 1)

    lat = extract_latents(Shifted(net), rows)
    np.testing.assert_allclose(lat.z, expected(net, rows[0] - 1)[0], atol=1e-6)


def test_reading_keeps_gradients_to_the_input(net, rows):
    x = torch.tensor(rows[0], requires_grad=True)
    with reading(net) as read:
        z, log_probs, energy = read(x)
    assert not z.requires_grad
    assert not energy.requires_grad
    (gradient,) = torch.autograd.grad(log_probs[:, 0].sum(), x)
    assert gradient.abs().sum() > 0


# ---------------------------------------------------------------- many rows


def test_latents_in_a_file_are_the_same_and_memory_mapped(net, rows, tmp_path):
    out = tmp_path / "z.npy"
    lat = extract_latents(net, rows, batch_size=3, out=out)
    np.testing.assert_array_equal(np.load(out), lat.z)
    np.testing.assert_allclose(lat.z, expected(net, rows[0])[0], atol=1e-6)
    assert mapped(lat.z)
    assert [p.name for p in tmp_path.iterdir()] == ["z.npy"]


def test_many_latents_go_to_a_file_that_leaves_nothing_behind(net, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "MEMORY_LIMIT", 4 * D * 5)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lat = extract_latents(net, rows, batch_size=2)
    assert mapped(lat.z)
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_allclose(lat.z, expected(net, rows[0])[0], atol=1e-6)


def mapped(array: np.ndarray) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def test_a_failure_leaves_no_file(net, rows, tmp_path):
    net.wrap = lambda a: a * float("nan")
    with pytest.raises(InputError, match="output are NaN in 7 of 7 rows"):
        extract_latents(net, rows, out=tmp_path / "z.npy")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MissingError, match="folder that exists"):
        extract_latents(net, rows, out=tmp_path / "no" / "z.npy")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda a: a[:, :1].sigmoid(), r"at least 2 classes, got shape \(7, 1\); give a binary"),
        (lambda a: a[:, 0], r"got shape \(7,\); give a binary"),
        (lambda a: a[:, :, None], r"got shape \(7, 3, 1\)$"),
        (lambda a: a.softmax(1), "sum to 1, as probabilities do.*leave out its last softmax"),
        (lambda a: "yes", "must return logits or log-probabilities, got str"),
    ],
)
def test_output_that_is_not_a_classifiers_is_refused(net, rows, wrap, message):
    net.wrap = wrap
    with pytest.raises(InputError, match=message):
        extract_latents(net, rows)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("mnist", "data must be a Split, a pair .* got str"),
        (np.zeros((4, FEATURES)), "got ndarray"),
        ((np.zeros((4, FEATURES)), np.zeros(3)), r"same N, got \(4, 5\) and \(3,\)"),
        ((np.zeros((4, FEATURES)), np.array([0, 1, 2, 3])), r"y must lie in \[0, 3\)"),
        ((np.zeros((4, 6)), np.zeros(4)), r"failed on a batch of shape \(4, 6\), float32"),
        ([], "no batches"),
        ([np.zeros((2, FEATURES))], r"must be \(x, y\) or a dict, got ndarray"),
        ([{"x": np.zeros((2, FEATURES))}], "inputs and labels, got a dict of x"),
    ],
)
def test_data_that_cannot_be_read_is_refused(net, data, message):
    with pytest.raises(InputError, match=message):
        extract_latents(net, data)


def test_the_bar_changes_nothing(net, rows):
    np.testing.assert_array_equal(
        extract_latents(net, rows, progress=False).z, extract_latents(net, rows).z
    )


def test_more_class_names_than_classes_are_refused(net, rows):
    split = Split(*rows, tuple("abcd"))
    with pytest.raises(InputError, match="the data has 4 classes, the model only 3"):
        extract_latents(net, split)


def test_classes_without_a_name_get_their_number(net, rows):
    lat = extract_latents(net, Split(rows[0], rows[1] % 2, ("a", "b")))
    assert lat.class_names == ("a", "b", "2")


def test_latents_that_change_their_size_on_the_way_are_refused(rows):
    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(d, C) for d in (FEATURES, FEATURES + 1))

        def forward(self, x):
            wide = torch.cat([x, x[:, :1]], 1)
            return self.layers[0](x) if len(x) == 4 else self.layers[1](wide)

    with pytest.raises(InputError, match=r"rows of shape \(5,\) and of \(6,\)"):
        extract_latents(Growing(), rows, batch_size=4)


def test_bad_arguments_are_refused(net, rows):
    with pytest.raises(InputError, match="batch_size must be a whole number of at least 1, got 0"):
        extract_latents(net, rows, batch_size=0)
    with pytest.raises(InputError, match="seed must be a whole number of at least 0, got -1"):
        extract_latents(net, rows, seed=-1)
    with pytest.raises(InputError, match=r"must be a torch\.nn\.Module, got str"):
        extract_latents("resnet", rows)
    with pytest.raises(InputError, match="device 'nonsense' cannot be used"):
        extract_latents(net, rows, device="nonsense")
    assert hooks(net) == 0


@pytest.mark.gpu
def test_a_model_comes_back_from_another_device(net, rows):
    lat = extract_latents(net, rows, device="cuda")
    np.testing.assert_allclose(lat.z, expected(net, rows[0])[0], atol=1e-4)
    assert {p.device.type for p in net.parameters()} == {"cpu"}


class TestLayout:
    """Images of models whose layers torch has written go channels last; nobody may see it."""

    @pytest.mark.parametrize("channels", [1, 3])
    def test_changes_nothing_but_rounding(self, channels):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 5)
        ).eval()  # fmt: skip
        x = torch.rand(6, channels, 8, 10)
        strides = []
        model[1].register_forward_pre_hook(lambda _, args: strides.append(args[0].stride()))
        found = extract_latents(model, (x, torch.zeros(6, dtype=torch.int64)), progress=False)
        assert strides[0][1] == 1  # the channels of a pixel are neighbours
        torch.testing.assert_close(torch.tensor(found.z), model[:4](x).detach())
        torch.testing.assert_close(torch.tensor(found.log_probs), model(x).log_softmax(1).detach())
        with reading(model) as read:
            moved = x.clone().requires_grad_()
            (ours,) = torch.autograd.grad(read(moved).log_probs[:, 0].sum(), moved)
            (theirs,) = torch.autograd.grad(model(moved).log_softmax(1)[:, 0].sum(), moved)
        torch.testing.assert_close(ours, theirs)

    def test_code_of_somebodys_own_gets_what_it_was_given(self):
        class Viewing(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4 * 24, 5)

            def forward(self, x):
                return self.last(self.conv(x).view(len(x), -1))

        model, x = Viewing().eval(), torch.rand(6, 3, 6, 8)
        y = torch.zeros(6, dtype=torch.int64)
        found = extract_latents(nn.Sequential(model), (x, y), progress=False)
        torch.testing.assert_close(torch.tensor(found.log_probs), model(x).log_softmax(1).detach())
