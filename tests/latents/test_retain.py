"""Retain probabilities as records and figures, and the explorer of masks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_runs import NAMES, latents
from torch import nn

import vcviz
from vcviz.base.errors import InputError
from vcviz.explorers import DropMaxExplorer
from vcviz.figures import plot_retain
from vcviz.figures.retain import FIXED_POINT
from vcviz.geometry.projections import plane_latents
from vcviz.latents.planes import latent_log_probs, plane_log_probs
from vcviz.latents.retain import masked_log_probs, retain_set
from vcviz.models.classifier import Classifier
from vcviz.models.heads import build_head
from vcviz.records import LatentSet, RetainSet, Split
from vcviz.studies.compare import decision_planes, reliability_curves

N, C = 46, 3


def classifier(dim=2, head="dropmax", **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Classifier(
            nn.Linear(4, dim), build_head(head, latent_dim=dim, n_classes=C, **options)
        )


def retained(dim=2, **options):
    return retain_set(classifier(dim, **options), latents(dim=dim))


class FakeRun:
    """A run of a DropMax classifier over made-up latents and pictures."""

    def __init__(self, dim=2, kind="image", **options):
        self._model, self.dim, self.kind = classifier(dim, **options), dim, kind
        self.config = SimpleNamespace(head="dropmax", latent_dim=dim)
        self.name, self.class_names = "fake", NAMES

    def model(self):
        return self._model

    def latents(self, split="test"):
        lat = latents(N, self.dim, seed=split == "train")
        log_probs = latent_log_probs(self._model, lat.z)
        return LatentSet(lat.z, log_probs, lat.y, np.arange(N), NAMES, split)

    def split(self, name="test"):
        rng = np.random.default_rng(1)
        if self.kind == "image":
            return Split(rng.integers(0, 256, (N, 1, 5, 4), np.uint8), np.arange(N) % C, NAMES)
        return Split(rng.standard_normal((N, 4)), np.arange(N) % C, NAMES)


def of(fig, layer):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def named(fig, name):
    return next(t for t in fig.data if t.name == name)


# ---------------------------------------------------------------- records


def test_the_record_is_what_the_head_says():
    model, lat = classifier(), latents()
    found, z = retain_set(model, lat), torch.tensor(latents().z)
    y = torch.tensor(lat.y)
    np.testing.assert_allclose(found.rho, model.head.retain_probs(z).detach())
    np.testing.assert_allclose(found.posterior, model.head.posterior_retain_probs(z, y).detach())
    assert (found.posterior[found.own] == 1).all()
    np.testing.assert_allclose(found.difficulty, -lat.log_probs[np.arange(N), lat.y], rtol=1e-6)


def test_log_probs_under_masks_are_the_heads():
    model, z = classifier(), latents().z
    masks = np.array([[True, True, False], [False, False, True]])
    found = masked_log_probs(model, z, masks)
    assert found.shape == (2, N, C)
    scores = (
        z @ model.head.scores.weight.T.detach().numpy()
    ) + model.head.scores.bias.detach().numpy()
    weight = np.exp(scores) * masks[0]
    np.testing.assert_allclose(np.exp(found[0]), weight / weight.sum(1, keepdims=True), atol=1e-6)
    assert (found[1].argmax(1) == 2).all()


def test_records_that_do_not_fit_are_refused():
    lat, rho = latents(), np.full((N, C), 0.5)
    with pytest.raises(InputError, match=r"rho must have shape \(46, 3\)"):
        RetainSet(lat, rho[:, :2], rho)
    with pytest.raises(InputError, match="posterior must hold probabilities"):
        RetainSet(lat, rho, 3 * rho)
    with pytest.raises(InputError, match="a DropMax head is needed, got SoftmaxHead"):
        retain_set(classifier(head="softmax"), lat)
    with pytest.raises(InputError, match="a DropMax head is needed, got Linear"):
        retain_set(nn.Linear(2, 3), lat)


# ---------------------------------------------------------------- the figure


def test_the_heat_map_holds_rho_by_class_and_difficulty():
    record = retained()
    heat = named(plot_retain(record), "rho")
    lat = record.latents
    order = np.lexsort((record.difficulty, lat.y))
    np.testing.assert_allclose(heat.z, record.rho[order], atol=0.00501)
    np.testing.assert_array_equal(np.asarray(heat.customdata)[:, 0], lat.index[order])
    few = named(plot_retain(record, max_rows=12), "rho")
    assert np.asarray(few.z).shape[0] in range(10, 13)


def test_lines_are_means_over_tenths_from_easy_to_hard():
    record = retained()
    fig = plot_retain(record)
    parts = np.array_split(np.argsort(record.difficulty), 10)
    own = record.rho[record.own]
    rest = np.where(record.own, np.nan, record.rho)
    for name, values in {
        "its own class": own,
        "the other class with the largest ρ": np.nanmax(rest, 1),
        "mean of the other classes": np.nanmean(rest, 1),
    }.items():
        np.testing.assert_allclose(named(fig, name).y, [values[p].mean() for p in parts], rtol=1e-6)
    levels = sorted(t.y[0] for t in fig.data if t.name == "regulariser alone")
    assert levels == pytest.approx([1 - FIXED_POINT, FIXED_POINT])


def test_points_are_g_against_rho():
    record = retained()
    others = named(plot_retain(record), "other classes")
    np.testing.assert_allclose(others.x, record.rho[~record.own])
    np.testing.assert_allclose(others.y, record.posterior[~record.own])


def test_the_correlation_is_numpys():
    record = retained(dim=3)
    shown = np.asarray(named(plot_retain(record), "correlation").z, float)
    expected = np.corrcoef(record.rho.T)
    off = ~np.eye(C, dtype=bool)
    np.testing.assert_allclose(shown[off], expected[off], atol=0.00501)
    assert np.isnan(shown[~off]).all()


def test_retain_probabilities_that_never_vary_have_no_correlation():
    fig = plot_retain(retained(variant="random", retain=0.4))
    assert np.isnan(np.asarray(named(fig, "correlation").z, float)).all()


def test_runs_are_compared_by_their_planes_and_by_epoch(tmp_path):
    settings = {"dataset": "digits", "n_train": 100, "epochs": 2, "probe_size": 31}
    runs = [
        vcviz.train(**settings, head="dropmax", latent_dim=dim, out=tmp_path, progress=False)
        for dim in (4, 2)
    ]
    planes = decision_planes(runs, size=5)
    assert [p.name for p in planes] == ["dropmax, D = 4", "dropmax, D = 2"]
    for run, plane in zip(runs, planes, strict=True):
        own = plane_log_probs(run.model(), run.latents(), size=5)
        np.testing.assert_array_equal(plane.log_probs, own.log_probs)
    curves = reliability_curves(runs, epoch=1, resamples=0)
    assert [(c.n, c.name) for c in curves] == [
        (31, "dropmax, D = 4, test, epoch 1"),
        (31, "dropmax, D = 2, test, epoch 1"),
    ]


# ---------------------------------------------------------------- the explorer


@pytest.mark.parametrize("dim", [2, 4])
def test_a_mask_shows_its_sub_classifier(dim):
    run = FakeRun(dim)
    ui = DropMaxExplorer(run, samples=8, masks=4, size=16)
    row = ui.controls["sample"].value
    lat, rho = run.latents(), retain_set(run.model(), run.latents()).rho
    for number, mask in enumerate(ui.masks(row), start=1):
        ui.controls["mask"].value = number
        (bars,), (answer,) = of(ui.view, "ρ"), of(ui.view, "p(y|x, m)")
        np.testing.assert_allclose(bars.y, rho[row], atol=1e-4)
        np.testing.assert_array_equal(np.asarray(bars.marker.opacity) == 1, mask)
        expected = np.exp(masked_log_probs(run.model(), lat.z[[row]], mask[None])[0, 0])
        np.testing.assert_allclose(answer.y, expected, atol=1e-4)
        told = of(ui.view, "readout")[0].text[0]
        assert told.startswith(f"<b>mask {number} retains ")
    (marks,) = of(ui.view, "expected")
    np.testing.assert_allclose(marks.y, np.exp(lat.log_probs[row]), atol=1e-4)


def test_the_mean_and_the_prediction_come_after_the_masks():
    run = FakeRun()
    ui = DropMaxExplorer(run, samples=8, masks=4, size=16)
    row = ui.controls["sample"].value
    every = masked_log_probs(run.model(), run.latents().z[[row]], ui.masks(row))[:, 0]
    ui.controls["mask"].value = "mean"
    np.testing.assert_allclose(of(ui.view, "p(y|x, m)")[0].y, np.exp(every).mean(0), atol=1e-4)
    ui.controls["mask"].value = "expected"
    np.testing.assert_allclose(
        of(ui.view, "p(y|x, m)")[0].y, of(ui.view, "expected")[0].y, atol=1e-4
    )
    ui.reset()
    assert ui.controls["mask"].value == 1


def test_masks_follow_rho_with_the_same_noise_for_every_input():
    run = FakeRun()
    ui = DropMaxExplorer(run, masks=4000, size=2)
    rho = retain_set(run.model(), run.latents()).rho
    for row in (0, 20):
        np.testing.assert_allclose(ui.masks(row).mean(0), rho[row], atol=0.03)
    first, second = ui.masks(0), ui.masks(20)
    higher = rho[0] > rho[20]
    assert (first[:, higher] | ~second[:, higher]).all()


def test_the_plane_goes_through_the_chosen_input():
    run = FakeRun(4)
    ui = DropMaxExplorer(run, samples=8, masks=2, size=16)
    ui.controls["mask"].value = "expected"
    lat = run.latents()
    shown = set()
    for _, row in ui.controls["sample"].options[:3]:
        ui.controls["sample"].value = row
        z = plane_latents(ui._projection, *ui._axes, through=lat.z[row])
        assert np.linalg.norm(z - lat.z[row], axis=1).min() < 2
        shown.add(of(ui.view, "regions")[0].source)
    assert len(shown) == 3


def test_inputs_are_listed_from_the_hardest():
    run = FakeRun()
    ui = DropMaxExplorer(run, samples=8, masks=2, size=4)
    rows = [value for _, value in ui.controls["sample"].options]
    difficulty = retain_set(run.model(), run.latents()).difficulty
    assert (np.diff(difficulty[rows]) <= 0).all()
    assert difficulty[rows[0]] == difficulty.max()
    assert difficulty[rows[-1]] == difficulty.min()


def test_pictures_are_the_rows_own_and_tables_have_none():
    run = FakeRun()
    ui = DropMaxExplorer(run, samples=4, masks=2, size=4)
    assert len(of(ui.view, "picture")) == 1
    table = DropMaxExplorer(FakeRun(kind="table"), samples=4, masks=2, size=4)
    assert of(table.view, "picture") == []
    other = DropMaxExplorer(run, data=FakeRun(kind="table").split(), samples=4, masks=2, size=4)
    assert of(other.view, "picture") == []


def test_the_static_figure_has_every_mask_and_some_inputs():
    ui = DropMaxExplorer(FakeRun(), samples=12, masks=3, size=24)
    fig = ui.figure(samples=4)
    assert [s.label for s in fig.layout.sliders[0].steps] == [
        "1",
        "2",
        "3",
        "mean of 3",
        "ρ itself",
    ]
    inputs = fig.layout.updatemenus[1].buttons
    assert len(inputs) == 4
    assert inputs[0].label.startswith("Input, hardest first: row ")
    active = fig.layout.updatemenus[1].active
    assert f"row {ui.controls['sample'].value}:" in inputs[active].label
    assert fig.frames[0].layout.to_plotly_json() == {}
    assert len(fig.to_json()) < 3e5


def test_what_cannot_be_explored_is_refused():
    with pytest.raises(InputError, match="at least 2 dimensions"):
        DropMaxExplorer(FakeRun(1))
    with pytest.raises(InputError, match="masks must be a whole number of at least 1"):
        DropMaxExplorer(FakeRun(), masks=0)
