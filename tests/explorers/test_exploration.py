"""Explorers of anybody's classifier and of bare arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import vcviz
from vcviz.base.errors import InputError
from vcviz.latents.planes import latent_log_probs
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
    named = ui.subject.attack([5, 2], steps=1, progress=False)
    np.testing.assert_array_equal(named.index, [5, 2])
    np.testing.assert_array_equal(named.x, table[0][[5, 2]])
    assert len(vcviz.AdversarialExplorer(ui.subject, rows=[5, 2]).path) == 2
    with pytest.raises(InputError, match=rf"rows must be whole numbers in \[0, {N}\)"):
        ui.subject.attack([N])


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


def test_text_is_explored_without_an_attack(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.EmbeddingBag(20, D), nn.Linear(D, C))
    split = Split(
        np.random.default_rng(0).integers(1, 20, (N, 7)).astype(np.int32), np.arange(N) % C
    )
    ui = vcviz.explore(model, split)
    assert list(ui.explorers) == ["Latents", "Calibration"]
    assert ui.subject.anticipates == "implied"
    shown = []
    monkeypatch.delenv("VCVIZ_HEADLESS", raising=False)
    monkeypatch.setattr("IPython.display.display", shown.append)
    ui._ipython_display_()
    assert shown[0].titles == ("Latents", "Calibration", "Attack")
    assert "text has no gradients" in shown[0].children[2].value


def test_a_model_whose_scores_are_no_affine_map_has_no_law(table):
    class Capped(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.body, self.fc = nn.Linear(F, D), nn.Linear(D, C)

        def forward(self, x):
            return 2 * torch.tanh(self.fc(self.body(x).tanh()) / 2)

    model = Capped()
    with pytest.warns(UserWarning, match=r"no affine map .* tanh, mul with fc\..*no law is drawn"):
        ui = vcviz.explore(model, table)
    assert ui.subject.anticipates is None
    assert ui.subject.prior() is None
    assert ui.latents.figure().data
    with torch.no_grad():
        z = model.body(torch.tensor(table[0])).tanh()
    np.testing.assert_allclose(ui.subject.latents().z, z, atol=1e-6)
    # What p(y|z) is anywhere but at these rows, nobody knows.
    assert not {"backdrop", "score", "boundaries"} & set(ui.latents.controls)
    with pytest.raises(InputError, match="takes latents of 5 dimensions, got 4"):
        latent_log_probs(nn.Sequential(nn.Linear(5, C)), ui.subject.latents().z)


def test_weights_of_the_users_own_are_held_against_the_scores(table):
    class Shifted(nn.Module):
        """Two encoders, so that no tensor of the pass is all that the scores depend on."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.one, self.other = nn.Linear(F, D), nn.Linear(F, 1)
            self.fc = nn.Linear(D, C)

        def forward(self, x):
            return self.fc(self.one(x).tanh()) + 0 * self.other(x).tanh()

    model = Shifted()
    with pytest.warns(UserWarning, match="no law is drawn: where the weights are known pass"):
        ui = vcviz.explore(model, table, attack_rows=2)
    assert list(ui.explorers) == ["Calibration", "Attack"]
    assert "There are no latents to draw: no affine map" in ui.missing["Latents"]
    own = {"weight": model.fc.weight, "bias": model.fc.bias, "layer": "fc"}
    ui = vcviz.explore(model, table, attack_rows=2, **own)
    lat, law = ui.subject.latents(), ui.subject.prior()
    np.testing.assert_allclose(law.log_posterior(lat.z), lat.log_probs, atol=1e-4)
    assert list(ui.explorers) == ["Latents", "Calibration", "Attack"]
    with pytest.warns(UserWarning, match="not what the classifier says.*no law is drawn"):
        ui = vcviz.explore(model, table, attack_rows=0, **own | {"weight": 2 * model.fc.weight})
    assert ui.subject.prior() is None


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
        ({"model": net(), "data": [], "bias": np.zeros(C)}, "bias= goes with weight="),
        ({"model": net(), "data": [], "y": np.zeros(C)}, "a model and data, or latents="),
        ({"latents": np.zeros((3, 2)), "y": [0, 1, 2], "log_probs": np.zeros((3, 3)),
          "data": []}, "a model and data, or latents="),
        ({"latents": np.zeros((3, 2)), "y": [0, 1, 2], "log_probs": np.zeros((3, 3)),
          "layer": "body"}, "layer= is of a model"),
        ({"latents": np.zeros((3, 2)), "y": [0, 1, 2], "log_probs": np.zeros((3, 3)),
          "bias": np.zeros(3)}, "bias= goes with weight="),
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
    assert [type(item).__name__ for item in shown[1:]] == ["Figure", "HTML"] * 3


class Output(dict):
    """What a Hugging Face model gives: a dict whose items are attributes too."""

    __getattr__ = dict.__getitem__


class Looks(nn.Module):
    """A classifier in Hugging Face's manner: inputs by keyword, an object with logits."""

    def __init__(self, key, body, width):
        super().__init__()
        torch.manual_seed(0)
        self.key, self.body, self.classifier = key, body, nn.Linear(width, C)

    def forward(self, **inputs):
        hidden = self.body(inputs[self.key])
        return Output(logits=self.classifier(hidden), hidden_states=(hidden,))


def check_implied(model, data, *, attacked=None):
    """Explore a classifier in one line and hold its law to what the model itself predicts."""
    ui = vcviz.explore(model, data, attack_rows=2)
    lat, law = ui.subject.latents(), ui.subject.prior()
    np.testing.assert_allclose(law.log_posterior(lat.z), lat.log_probs, atol=1e-4)
    assert ("Attack" in ui.explorers) == bool(attacked)
    for explorer in ui.explorers.values():
        assert explorer.figure().data
    return ui


def batches(**inputs):
    rows = [{k: v[i] for k, v in inputs.items()} | {"labels": i % C} for i in range(N)]
    return DataLoader(rows, batch_size=8)


def test_models_that_take_dicts_and_give_objects():
    images = batches(pixel_values=torch.rand(N, 3, 6, 6))
    body = nn.Sequential(nn.Conv2d(3, D, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    check_implied(Looks("pixel_values", body, D), images)
    words = batches(input_ids=torch.randint(1, 20, (N, 7)), attention_mask=torch.ones(N, 7).long())

    class Masked(Looks):
        def forward(self, input_ids, attention_mask):
            assert attention_mask.shape == input_ids.shape
            return super().forward(input_ids=input_ids)

    check_implied(Masked("input_ids", nn.EmbeddingBag(20, D), D), words)


def test_the_mean_of_two_layers_is_one_map(table):
    class Two(nn.Module):
        """Predicts by the mean of two layers, as a distilled transformer does."""

        def __init__(self):
            super().__init__()
            self.head, self.second = nn.Linear(F, C), nn.Linear(F, C)

        def forward(self, x):
            return (self.head(x) + self.second(x)) / 2

    torch.manual_seed(0)
    model = Two()
    check_implied(model, table, attacked=True)
    merged = vcviz.last_linear(model)  # of the model that was just read
    want = (model.head.weight + model.second.weight) / 2
    np.testing.assert_allclose(merged.weight, want.detach(), atol=1e-6)


def test_arrays_whose_weights_do_not_make_the_scores_get_no_law(table):
    rng = np.random.default_rng(1)
    z, weight = rng.standard_normal((N, D)), rng.standard_normal((C, D))
    with pytest.warns(UserWarning, match="not what the classifier says.*no law is drawn"):
        ui = vcviz.explore(latents=z, log_probs=z @ weight.T, y=table[1], weight=weight / 2)
    assert ui.subject.prior() is None


# Not among the oracles: it needs a torchvision that was built for the same torch, which a CPU
# build of torch has from no index but PyTorch's own.
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {}),
        ("convnext_atto", {}),
        ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 1}),
        ("deit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 1}),
    ],
)
def test_classifiers_of_timm(name, options):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=C, **options)
    check_implied(model, (torch.rand(N, 3, 32, 32), torch.arange(N) % C), attacked=True)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["ViT", "DeiT", "ConvNext", "ResNet", "Bert", "DistilBert"])
@pytest.mark.filterwarnings("ignore")  # of the library itself
def test_classifiers_of_hugging_face(kind):
    library = pytest.importorskip("transformers")
    sizes = {
        "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 9,
        "num_labels": C,
    }  # fmt: skip
    options = {
        "ViT": sizes | {"image_size": 16, "patch_size": 8},
        "DeiT": sizes | {"image_size": 16, "patch_size": 8},
        "ConvNext": {"num_labels": C, "hidden_sizes": [4, 4, 4, 8], "depths": [1, 1, 1, 1]},
        "ResNet": {"num_labels": C, "embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1],
                   "layer_type": "basic"},
        "Bert": sizes | {"vocab_size": 20},
        "DistilBert": {"vocab_size": 20, "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 9,
                       "num_labels": C},
    }[kind]  # fmt: skip
    words = kind in ("Bert", "DistilBert")
    task = "Sequence" if words else "Image"
    torch.manual_seed(0)
    model = getattr(library, f"{kind}For{task}Classification")(
        getattr(library, f"{kind}Config")(**options)
    )
    pixels = options.get("image_size", 32)
    if words:
        ids = torch.randint(1, 20, (N, 7))
        check_implied(model, batches(input_ids=ids, attention_mask=torch.ones_like(ids)))
    else:
        images = torch.rand(N, 3, pixels, pixels)
        check_implied(model, batches(pixel_values=images), attacked=True)


def test_runs_are_explored_together_and_what_is_chosen_is_shown_in_both(tmp_path):
    run = vcviz.train(dataset="digits", out=tmp_path, epochs=1, n_train=100, progress=False)
    ui = vcviz.explore([run])
    assert list(ui.explorers) == ["Latents", "Calibration", "Attack"]
    assert ui.latents.chosen is ui.calibration.chosen
    ui.latents.controls["choose"].value = "wrong"
    assert len(ui.calibration.selection) > 0
    with pytest.raises(InputError, match="runs have their own data"):
        vcviz.explore(run, run.split("test"))
    for option in ({"name": "mine"}, {"class_names": list("abcdefghij")}, {"bias": np.zeros(10)}):
        with pytest.raises(InputError, match="runs have their own data, layers and names"):
            vcviz.explore(run, **option)


@pytest.mark.parametrize("lost", ["encoder", "splits"])
def test_a_run_whose_encoder_or_data_were_in_memory_is_explored_without_an_attack(lost, tmp_path):
    # Means and scales: the variational head has a stochastic encoder.
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2 * 3))
    own = {
        "encoder": {"dataset": "digits", "n_train": 100, "encoder": net},
        "splits": {"splits": vcviz.load_data("digits", n_train=100)},
    }
    options = {"head": "variational", "latent_dim": 3, "epochs": 1, "progress": False}
    run = vcviz.train(out=tmp_path, **options, **own[lost])
    ui = vcviz.explore(run)
    assert list(ui.explorers) == ["Latents", "Calibration"]
    assert "passed in memory cannot be had again" in ui._no_attack
    assert ui.latents.figure().data
    table = vcviz.summarise([run], progress=False)
    assert "PGD accuracy" not in table
    assert table["accuracy"].iloc[0] == run.metrics["accuracy"]
