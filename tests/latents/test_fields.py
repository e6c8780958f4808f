"""Fields over a plane of latents: the critic's log-ratio, scores with their threshold, pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from fake_runs import latents, prior
from PIL import Image
from scipy.special import logsumexp
from torch import nn

import vcviz
from vcviz.base.errors import InputError
from vcviz.figures import plot_field
from vcviz.figures import theme as style
from vcviz.figures.fields import (
    FEWER,
    MORE,
    field_bar,
    field_pixels,
    field_trace,
    stranger_trace,
    threshold_line,
    threshold_text,
)
from vcviz.geometry.contours import level_line
from vcviz.latents.fields import has_critic, log_ratio, plane_log_ratio, score_plane
from vcviz.latents.planes import latent_outputs
from vcviz.metrics.ood import score
from vcviz.models.classifier import Classifier
from vcviz.models.heads import build_head
from vcviz.records import LatentPrior, LatentSet, PlaneField


def model_of(head="variational", dim=2, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Classifier(
            nn.Linear(4, dim), build_head(head, latent_dim=dim, n_classes=3, **options)
        )


def field(rows=4, columns=6, **more):
    values = np.random.default_rng(0).standard_normal((rows, columns))
    return PlaneField(
        values, np.linspace(-1, 1, columns), np.linspace(0, 3, rows), "log q/p", **more
    )


def of(fig, layer):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


# ---------------------------------------------------------------- log q/p


@pytest.mark.parametrize("options", [{}, {"critic": "per_class"}, {"law": "von_mises_fisher"}])
def test_the_ratio_of_a_class_is_what_the_critic_says(options):
    model = model_of(dim=5, **options)
    z = latents(dim=5).z
    placed = model.head.place(torch.tensor(z))
    for k in range(3):
        expected = model.head.log_ratio(placed, torch.full((len(z),), k)).detach()
        np.testing.assert_allclose(log_ratio(model, z, label=k), expected, atol=1e-5)


def test_the_ratio_of_all_classes_is_that_of_the_mixtures():
    model = model_of(dim=5)
    z = latents(dim=5).z
    law = model.head.prior()
    per_class = np.stack([log_ratio(model, z, label=k) for k in range(3)], axis=1)
    log_q = logsumexp(law.log_prob(z) + law.log_weight + per_class, axis=1)
    np.testing.assert_allclose(log_ratio(model, z), log_q - law.log_marginal(z), atol=1e-4)


def test_a_critic_that_says_nothing_gives_zero_everywhere():
    model = model_of()
    with torch.no_grad():
        for p in model.head.critic.parameters():
            p.zero_()
    for label in (None, 1):
        found = plane_log_ratio(model, latents(), label=label, size=5)
        np.testing.assert_allclose(found.values, 0, atol=1e-6)
        assert found.limits == (-0.1, 0.1)


def test_the_plane_has_the_ratio_at_its_points():
    model, lat = model_of(), latents(60)
    found = plane_log_ratio(model, lat, label=1, size=7, name="mine")
    across, up = np.meshgrid(found.x, found.y)
    z = np.column_stack([across.ravel(), up.ravel()])
    np.testing.assert_allclose(found.values.ravel(), log_ratio(model, z, label=1), atol=1e-5)
    assert (found.name, found.unit) == ("mine", "")
    assert found.quantity == "critic's T(z, <b>bee</b>)"
    assert found.limits[0] == -found.limits[1]


def test_only_a_critic_without_penalty_is_said_to_give_a_log_ratio():
    found = plane_log_ratio(model_of(critic_penalty=0.0), latents(60), label=1, size=5)
    assert (found.quantity, found.unit) == ("log q(z|<b>bee</b>)/p(z|<b>bee</b>)", "nats")


def test_a_run_keeps_its_critic(tmp_path):
    run = vcviz.train(
        dataset="digits", head="variational", epochs=1, n_train=40, probe_size=5, out=tmp_path,
        progress=False,
    )  # fmt: skip
    model, z = run.model(), run.latents().z[:9]
    assert has_critic(model)
    again = vcviz.load_run(run.path).model()
    np.testing.assert_array_equal(log_ratio(model, z), log_ratio(again, z))
    fresh = vcviz.runs.settings.build_model(run.config, run.data)
    fresh.head.law.load_state_dict(model.head.law.state_dict())
    assert np.abs(log_ratio(model, z) - log_ratio(fresh, z)).max() > 1e-3


@pytest.mark.parametrize("head", ["softmax", "gaussian_mixture", "pc_softmax", None])
def test_a_model_without_a_critic_is_refused(head):
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3)) if head is None else model_of(head)
    assert not has_critic(model)
    with pytest.raises(InputError, match=r"has no critic to ask for T; train head='var"):
        log_ratio(model, latents().z)


def test_a_class_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match=r"label must lie in \[0, 3\)"):
        log_ratio(model_of(), latents().z, label=3)


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("method", ["max_prob", "entropy", "energy", "log_marginal", "mahalanobis"])
@pytest.mark.parametrize("head", ["softmax", "variational"])
def test_a_point_of_the_plane_scores_as_a_latent_there_does(method, head):
    model, lat = model_of(head), latents(80)
    log_probs, energy = latent_outputs(model, lat.z)
    lat = LatentSet(lat.z, log_probs, lat.y, energy=energy)
    options = {"prior": prior(), "train": latents(70, seed=3)}
    low, high = lat.z[:4].min(0), lat.z[:4].max(0)
    ranges = [(low[i], high[i]) for i in (0, 1)]
    found = score_plane(model, lat, method, ranges=ranges, size=3, **options)
    at = LatentSet([[found.x[1], found.y[2]]], log_probs[:1], [0])
    outputs = latent_outputs(model, at.z)
    at = LatentSet(at.z, outputs[0], [0], energy=outputs[1])
    np.testing.assert_allclose(found.values[2, 1], score(at, method, **options)[0], rtol=1e-4)
    known = score(lat, method, **options)
    assert 0.95 <= (known <= found.threshold).mean() < 0.99
    assert found.limits[0] == np.median(known)


def test_the_energy_is_minus_the_logsumexp_of_the_logits():
    model = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3))
    z = latents().z
    log_probs, energy = latent_outputs(model, z)
    logits = model[2](torch.tensor(z)).detach()
    np.testing.assert_allclose(energy, -logits.logsumexp(1), atol=1e-5)
    np.testing.assert_allclose(log_probs, logits.log_softmax(1), atol=1e-5)


def test_the_line_at_the_threshold_is_the_ellipse_of_the_law():
    rng = np.random.default_rng(0)
    one = LatentPrior([[0.0, 0.0]] * 2, scale=[[1.0, 2.0]] * 2)
    z, y = one.sample(4000, rng)
    lat = LatentSet(z, np.log(np.full((4000, 2), 0.5)), y)
    found = score_plane(None, lat, "log_marginal", prior=one, size=200, ranges=[(-6, 6), (-6, 6)])
    line = threshold_line(found)
    radius = np.hypot(line["x"], line["y"] / 2)
    np.testing.assert_allclose(
        radius, np.sqrt(2 * (found.threshold - np.log(4 * np.pi))), rtol=1e-3
    )
    inside = np.hypot(*(z / [1, 2]).T) <= radius[0]
    np.testing.assert_allclose(inside.mean(), 0.95, atol=0.003)
    assert line["meta"] == {"layer": "fpr95"}
    assert line["name"] == "accepts 95 % of the known"


def test_strangers_are_accepted_as_often_as_the_text_says():
    rng = np.random.default_rng(0)
    lat = latents(300)
    strange = LatentSet(
        6 * rng.standard_normal((50, 2)), lat.log_probs[:50], lat.y[:50], name="n<i>"
    )
    found = score_plane(None, lat, "log_marginal", prior=prior(), strangers=strange)
    share = (score(strange, "log_marginal", prior=prior()) <= found.threshold).mean()
    assert found.separation.fpr == share
    text = threshold_text(found)
    assert text.startswith(f"FPR95 {share:.2f} [")
    assert text.endswith(f"with 95 % of the known, {100 * share:.3g} % of n&lt;i&gt; accepted")
    alone = score_plane(None, lat, "log_marginal", prior=prior())
    assert threshold_text(alone) == "the line accepts 95 % of the known latents"


def test_a_level_that_is_never_reached_has_no_line():
    found = level_line(np.zeros((3, 4)), np.arange(4), np.arange(3), 1.0)
    assert found.shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_plane(None, latents(), "max_prob"), "needs the model, got None"),
        (lambda: score_plane(None, latents(), "nearest"), "unknown score 'nearest'"),
        (lambda: score_plane(None, latents(), "log_marginal"), "needs prior="),
        (lambda: threshold_line(field()), "this field has no threshold"),
        (lambda: PlaneField(np.zeros((2, 3)), [0, 1], [0, 1], "q"), r"must have shape \(2, 2\)"),
        (lambda: plot_field([]), "at least one record"),
        (lambda: plot_field(field(), columns=0), "columns must be a whole number of at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


# ---------------------------------------------------------------- pictures


def test_a_ratio_is_clear_at_zero_and_has_a_colour_for_either_sign():
    values = np.array([[-2.0, -1.0, 0.0], [0.5, 1.0, 9.0]])
    one = PlaneField(values, [0, 1, 2], [0, 1], "q", limits=(-2, 2))
    pixels = field_pixels(one)
    np.testing.assert_array_equal(pixels[0, 0], [*style.rgb(FEWER), 204])
    np.testing.assert_array_equal(pixels[1, 2], [*style.rgb(MORE), 204])
    np.testing.assert_array_equal(pixels[..., 3], [[204, 102, 0], [51, 102, 204]])
    np.testing.assert_array_equal(field_pixels(one, (-4, 4))[..., 3], [[102, 51, 0], [26, 51, 204]])


def test_a_score_is_grey_above_its_lower_limit():
    values = np.array([[0.0, 1.0], [2.0, 5.0]])
    one = PlaneField(values, [0, 1], [0, 1], "s", limits=(1, 3), threshold=2.0)
    np.testing.assert_array_equal(field_pixels(one)[..., 3], [[0, 0], [102, 204]])


@pytest.mark.parametrize(("threshold", "layer"), [(None, "log_ratio"), (0.5, "ood")])
def test_the_trace_lies_where_the_grid_does_and_is_exact(threshold, layer):
    one = field(threshold=threshold)
    trace = field_trace(one)
    assert (trace["type"], trace["meta"]) == ("image", {"layer": layer})
    assert (trace["x0"], trace["y0"]) == (-1, 0)
    np.testing.assert_allclose([trace["dx"], trace["dy"]], [0.4, 1.0])
    data = base64.b64decode(trace["source"].removeprefix("data:image/png;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    np.testing.assert_array_equal(pixels, field_pixels(one))


def test_the_bar_says_what_the_colours_are():
    bar = field_bar(field(limits=(-3, 1)))["marker"]
    assert (bar["cmin"], bar["cmax"]) == (-3, 3)
    assert bar["colorbar"]["title"]["text"] == "log q/p, nats"
    bar = field_bar(field(limits=(1, 4), threshold=2.0))["marker"]
    assert (bar["cmin"], bar["cmax"]) == (1, 4)


def test_strangers_are_crosses_with_their_rows():
    trace = stranger_trace([[1.0, 2.0], [3.0, 4.0]], "<b>noise</b>", rows=[7, 9])
    assert trace["name"] == "&lt;b&gt;noise&lt;/b&gt;"
    np.testing.assert_array_equal(trace["customdata"][:, 0], [7, 9])


def test_the_figure_has_each_field_with_its_latents_line_and_strangers():
    model, lat = model_of(dim=3), latents(90, dim=3)
    strange = latents(30, dim=3, name="strange")
    fields = [
        plane_log_ratio(model, lat, size=9),
        score_plane(None, lat, "log_marginal", prior=prior(3), size=9, strangers=strange),
    ]
    fig = plot_field(fields, strangers=strange)
    assert len(of(fig, "log_ratio")) == len(of(fig, "ood")) == len(of(fig, "fpr95")) == 1
    assert [t.xaxis for t in of(fig, "strangers")] == ["x", "x2"]
    assert [t.xaxis for t in of(fig, "points")] == ["x"] * 3 + ["x2"] * 3
    assert "FPR95" in fig.layout.annotations[1].text
    assert fig.layout.yaxis.range == (fields[0].y[0], fields[0].y[-1])
