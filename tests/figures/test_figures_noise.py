"""Noise maps, segmentation panels, the explorer and the study draw what the records hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vcviz
from vcviz.base.errors import InputError
from vcviz.data import load_data, load_shapes, true_utilities
from vcviz.explorers import HeteroscedasticExplorer
from vcviz.figures import plot_noise_maps, plot_segmentation
from vcviz.figures.noise_maps import grid_values
from vcviz.latents.logit_laws import logit_law
from vcviz.metrics.calibration import mean_kl
from vcviz.metrics.noisy_scores import (
    argmax_probs,
    flip_probs,
    input_grid,
    noisy_log_probs,
    relative_noise,
)
from vcviz.models.classifier import Classifier
from vcviz.models.encoders.mlp import MLPEncoder
from vcviz.models.heads import build_head
from vcviz.records import LogitLaw, Segmentation
from vcviz.studies.temperatures import temperature_study

SETTINGS = {
    "dataset": "utilities",
    "dataset_options": {"n": 60, "n_classes": 3},
    "encoder": "mlp",
    "encoder_options": {"hidden": []},
    "progress": False,
    "probe_every": 9,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return vcviz.train(
        **SETTINGS,
        head="heteroscedastic",
        head_options={"temperature": 0.1, "draws": 3, "predict_draws": 5},
        epochs=2,
        out=tmp_path_factory.mktemp("runs"),
    )


@pytest.fixture(scope="module")
def explorer(run):
    return HeteroscedasticExplorer(run, samples=4)


# ---------------------------------------------------------------- laws of a model


@pytest.mark.parametrize("covariance", ["diagonal", "low_rank"])
def test_the_law_of_a_model_gives_its_predictions(covariance, table_split):
    torch.manual_seed(0)
    options = {"covariance": covariance, "rank": 2, "temperature": 0.5}
    head = build_head("heteroscedastic", latent_dim=2, n_classes=3, **options)
    model = Classifier(MLPEncoder((5,), 2), head).train()
    law = logit_law(model, table_split)
    assert model.training
    assert (len(law), law.class_names, law.temperature) == (11, ("ant", "bee", "cat"), 0.5)
    assert (law.factor is None) == (covariance == "diagonal")
    z = model.encode(torch.tensor(table_split.x))
    there = head.log_probs(z, draws=50_000).exp().detach()
    np.testing.assert_allclose(np.exp(noisy_log_probs(law, draws=50_000)), there, atol=0.015)
    again = logit_law(model, table_split.x, name="rows")
    np.testing.assert_array_equal(again.mean, law.mean)
    assert (again.name, again.class_names) == ("rows", ("0", "1", "2"))


def test_other_models_have_no_noise(table_split, tiny_model):
    with pytest.raises(InputError, match="a Heteroscedastic head is needed, got SoftmaxHead"):
        logit_law(tiny_model, table_split)
    with pytest.raises(InputError, match="a Heteroscedastic head is needed, got Linear"):
        logit_law(torch.nn.Linear(5, 3), table_split)


def test_flips_are_the_smaller_probability_of_two_classes(rng):
    two = LogitLaw(rng.standard_normal((7, 2)), np.exp(rng.standard_normal((7, 2))))
    np.testing.assert_allclose(flip_probs(two), argmax_probs(two).min(1))
    own = np.exp(rng.standard_normal((7, 1)))
    scaled = LogitLaw(own * two.mean, own * two.scale, temperature=0.2)
    np.testing.assert_allclose(flip_probs(scaled), flip_probs(two))
    still = LogitLaw(np.array([[0.0, 1.0], [2.0, 2.0]]), np.zeros((2, 2)))
    np.testing.assert_array_equal(flip_probs(still), [0, 0.5])


# ---------------------------------------------------------------- maps


def test_maps_show_the_relative_noise_where_it_belongs():
    train, _ = load_data("utilities", n=60)
    x = input_grid(train.x, 5)
    shuffled = np.random.default_rng(0).permutation(x)
    truth = true_utilities(train, shuffled)
    fig = plot_noise_maps({"truth <b>": truth, "half": truth}, shuffled, classes=(2, 0))
    first = fig.data[0]
    expected = relative_noise(truth, 2, 0)
    for value, (x1, x2) in zip(expected, shuffled, strict=True):
        row, column = np.argmin(np.abs(first.y - x2)), np.argmin(np.abs(first.x - x1))
        assert first.z[row][column] == pytest.approx(value, rel=1e-5)
    assert fig.layout.coloraxis.cmax == pytest.approx(expected.max())
    assert "truth &lt;b&gt;" in fig.layout.annotations[0].text
    leading = plot_noise_maps({"truth": truth}, shuffled).data[0]
    values = grid_values(shuffled, relative_noise(truth, *truth.leaders.T))
    np.testing.assert_allclose(leading.z, values, rtol=1e-5)


def test_maps_that_cannot_be_drawn_are_refused():
    train, _ = load_data("utilities", n=60)
    x = input_grid(train.x, 3)
    truth = true_utilities(train, x)
    with pytest.raises(InputError, match="at least one law"):
        plot_noise_maps({}, x)
    with pytest.raises(InputError, match="the law 'a' has 9 inputs, x has 4"):
        plot_noise_maps({"a": truth}, input_grid(x, 2))
    with pytest.raises(InputError, match=r"classes must be two of 0..3, got \(1, 1\)"):
        plot_noise_maps({"a": truth}, x, classes=(1, 1))
    with pytest.raises(InputError, match="columns must be a whole number of at least 1, got 0"):
        plot_noise_maps({"a": truth}, x, columns=0)
    with pytest.raises(InputError, match="every point of a grid of two inputs"):
        plot_noise_maps({"a": truth.take([0, 1, 3])}, x[[0, 1, 3]])
    with pytest.raises(InputError, match="a grid needs inputs"):
        input_grid(np.zeros((4, 3)))


def test_panels_show_a_picture_its_labels_and_each_segmentation(rng):
    _, test = load_shapes(n_train=1, n_test=3, size=16)
    log_probs = np.log(rng.dirichlet(np.ones(3), (3, 16, 16)).transpose(0, 3, 1, 2))
    noise = rng.random((3, 16, 16))
    seen = [Segmentation(log_probs, name="a"), Segmentation(log_probs, noise, noise / 2, "b")]
    fig = plot_segmentation(test, seen, row=2)
    maps = [np.asarray(trace.z) for trace in fig.data]
    assert len(maps) == 3 + 2 + 4
    np.testing.assert_allclose(maps[0], test.x[2, 0])
    np.testing.assert_array_equal(maps[1], test.y[2])
    np.testing.assert_allclose(maps[2], 1 - test.label_probs[2].max(0), atol=1e-6)
    np.testing.assert_array_equal(maps[3], seen[0].predicted[2])
    np.testing.assert_allclose(maps[4], seen[0].nll(test.y)[2], rtol=1e-5)
    np.testing.assert_allclose(maps[7], noise[2] / 2, rtol=1e-5)
    np.testing.assert_allclose(maps[8], noise[2], rtol=1e-5)
    assert f"{seen[1].nll(test.y)[2].mean():.3f}" in fig.layout.annotations[6].text
    with pytest.raises(InputError, match=r"row must be a whole number of at least 0, got 1\.5"):
        plot_segmentation(test, seen, row=1.5)
    with pytest.raises(InputError, match=r"row must lie in \[0, 3\), got 3"):
        plot_segmentation(test, seen, row=3)
    with pytest.raises(InputError, match="at least one"):
        plot_segmentation(test, [])


# ---------------------------------------------------------------- explorer


def named(view, name):
    return next(t for t in view.data if (t.name or "").startswith(name))


def test_the_explorer_shows_what_the_law_says(run, explorer):
    explorer.reset()
    data = run.split("test")
    law = logit_law(run.model(), data)
    for tau in (0.001, 0.1, 10.0):
        for draws in (1, 1000):
            for row in [value for _, value in explorer.controls["sample"].options][::3]:
                explorer.bound.set(temperature=tau, draws=draws, sample=row)
                one = law.take([row])
                probs = np.exp(noisy_log_probs(one, temperature=tau, draws=draws))[0]
                np.testing.assert_allclose(named(explorer.view, "p(y|x)").y, probs, atol=1e-6)
                np.testing.assert_allclose(
                    named(explorer.view, "τ → 0").y, argmax_probs(one)[0], atol=1e-6
                )
                np.testing.assert_allclose(
                    named(explorer.view, "truth").y, data.label_probs[row], atol=1e-6
                )
                dots = sum(len(t.x) for t in explorer.view.data if (t.name or "").endswith("wins"))
                assert dots == min(draws, 300)
                marks = named(explorer.view, "now")
                assert marks.x[0] == pytest.approx(tau)
                chosen = named(explorer.view, "chosen input")
                assert (chosen.x[0], chosen.y[0]) == pytest.approx(tuple(data.x[row]))
    explorer.reset()


def test_the_curve_is_the_distance_from_the_truth(run, explorer):
    explorer.bound.set(temperature=1.0, draws=10)
    data = run.split("test")
    log_probs = noisy_log_probs(logit_law(run.model(), data), temperature=1.0, draws=10)
    expected = mean_kl(data.label_probs, log_probs)
    assert named(explorer.view, "now").y[0] == pytest.approx(expected, rel=1e-3)
    explorer.reset()


def test_axes_stay_put_while_the_temperature_moves(explorer):
    explorer.bound.set(temperature=0.001)
    before = explorer.view.layout.to_plotly_json()
    explorer.bound.set(temperature=10.0)
    assert explorer.view.layout.to_plotly_json() == before
    explorer.reset()


def test_the_static_figure_has_a_slider_and_a_list(explorer):
    fig = explorer.figure(draws=(1, 100), samples=2, frames=5)
    assert len(fig.frames) == 5
    assert len(fig.layout.sliders[0].steps) == 5
    views = next(m for m in fig.layout.updatemenus if m.type != "buttons")
    assert len(views.buttons) == 4
    assert len(fig.to_json()) < 2e6


def test_inputs_that_are_no_plane_are_drawn_as_rows(tmp_path, image_split):
    run = vcviz.train(
        splits=(image_split, image_split),
        head="heteroscedastic",
        head_options={"draws": 2, "predict_draws": 2, "covariance": "low_rank", "rank": 2},
        epochs=1,
        out=tmp_path,
        progress=False,
    )
    explorer = HeteroscedasticExplorer(run, data=image_split, samples=3)
    rows = named(explorer.view, "inputs")
    mean, std = (law := logit_law(run.model(), image_split)).contrast(*law.leaders.T)
    np.testing.assert_allclose(rows.x, mean, rtol=1e-5)
    np.testing.assert_allclose(rows.y, std, rtol=1e-5)
    assert not any(trace.type == "heatmap" for trace in explorer.view.data)
    assert not any((t.name or "").startswith("τ → 0") for t in explorer.view.data)


def test_two_classes_need_no_third_axis(tmp_path):
    run = vcviz.train(
        **SETTINGS | {"dataset_options": {"n": 40, "n_classes": 2}},
        head="heteroscedastic",
        head_options={"draws": 2, "predict_draws": 2},
        epochs=1,
        out=tmp_path,
    )
    explorer = HeteroscedasticExplorer(run, samples=2)
    assert sum(len(t.x) for t in explorer.view.data if (t.name or "").endswith("wins")) == 100


def test_the_explorer_wants_a_run(run):
    with pytest.raises(InputError, match="takes a run, got list"):
        HeteroscedasticExplorer([run])


# ---------------------------------------------------------------- the study


def test_the_study_has_a_row_for_every_run(tmp_path):
    settings = {**SETTINGS, "out": tmp_path}
    settings.pop("progress")
    rows = temperature_study([0.1, 1], draws=(2, 3), seeds=2, epochs=1, longer=2, **settings)
    assert len(rows) == 2 * (1 + 4 + 1)
    sweep = rows[rows["sweeps"]]
    assert sorted(sweep["group"].unique()) == ["S = 2", "S = 3"]
    assert rows.loc[rows["group"] == "softmax", "temperature"].isna().all()
    control = rows[rows["group"].str.startswith("τ = 1, 2 ×")]
    assert control["epochs"].tolist() == [2, 2]
    assert control["draws"].tolist() == [3, 3]
    run = next(r for r in vcviz.list_runs(tmp_path) if r.config.head == "softmax")
    kl = mean_kl(run.split("test").label_probs, run.latents("test").log_probs)
    here = rows[(rows["group"] == "softmax") & (rows["seed"] == run.config.seed)]
    assert here["kl"].item() == pytest.approx(kl)
    with pytest.raises(InputError, match="do not say their p"):
        temperature_study([1], seeds=1, epochs=1, dataset="digits", n_train=20, out=tmp_path)
    for given in (([], (2,)), ([1], ())):
        with pytest.raises(InputError, match="temperatures and draws, at least one of each"):
            temperature_study(given[0], draws=given[1], out=tmp_path)
    with pytest.raises(InputError, match="temperatures must be a number above 0, got 0"):
        temperature_study([1, 0], out=tmp_path)
