"""One sample and selections of them: neighbours, densities, accuracy, calibration, in words."""

from __future__ import annotations

import numpy as np
import pytest
from fake_runs import NAMES, latents, prior
from scipy import stats
from scipy.special import log_softmax
from sklearn.neighbors import NearestNeighbors

from vcviz.base.errors import InputError
from vcviz.figures import plot_inspection
from vcviz.figures import theme as style
from vcviz.figures.inspection import headline, inspection_spec
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.inspection import inspect_row, places_of, selection_summary, selection_table
from vcviz.metrics.ood import score
from vcviz.records import LatentSet


def moved():
    """Latents that lie in the class before their own."""
    lat = latents(46)
    return LatentSet(np.roll(lat.z, 1, axis=0), lat.log_probs, lat.y, lat.index, NAMES)


# ---------------------------------------------------------------- one sample


@pytest.mark.parametrize("block", [7, 1 << 16])
def test_neighbours_are_those_of_sklearn_without_itself(block, monkeypatch):
    monkeypatch.setattr("vcviz.metrics.inspection._BLOCK", block)
    lat = latents(46, dim=4)
    distance, place = NearestNeighbors(n_neighbors=6).fit(lat.z).kneighbors(lat.z[9:10])
    one = inspect_row(lat, prior(4), 109, neighbours=5)
    np.testing.assert_array_equal(one.neighbours, lat.index[place[0, 1:]])
    np.testing.assert_allclose(one.distances, distance[0, 1:], rtol=1e-4)
    np.testing.assert_array_equal(one.neighbour_labels, lat.y[place[0, 1:]])


def test_a_sample_has_the_numbers_of_its_row():
    lat, law = latents(46, dim=4), prior(4)
    one = inspect_row(lat, law, 114, method="log_marginal")
    assert (one.row, one.label) == (114, 14 % 3)
    np.testing.assert_array_equal(one.log_probs, lat.log_probs[14])
    np.testing.assert_allclose(one.log_density, law.log_prob(lat.z)[14])
    np.testing.assert_allclose(one.log_marginal, law.log_marginal(lat.z)[14])
    np.testing.assert_allclose(one.score, score(lat, "log_marginal", prior=law)[14])
    assert one.predicted != one.label  # every seventh row is misread
    np.testing.assert_allclose(one.confidence, np.exp(lat.log_probs[14].max()))


def test_without_a_law_there_is_no_density_and_few_latents_have_few_neighbours():
    one = inspect_row(latents(4), None, 101, neighbours=9)
    assert one.log_density is one.log_marginal is one.score is None
    assert sorted(one.neighbours) == [100, 102, 103]
    alone = inspect_row(latents(1), None, 100)
    assert len(alone.neighbours) == 0


def test_rows_are_found_in_any_order_of_the_split():
    lat = latents(20).take(np.random.default_rng(0).permutation(20)[:15])
    wanted = lat.index[[3, 0, 9]]
    np.testing.assert_array_equal(places_of(lat, wanted), [3, 0, 9])
    np.testing.assert_array_equal(places_of(lat, []), [])


# ---------------------------------------------------------------- selections


def test_the_table_has_the_rows_in_their_order():
    lat, law = moved(), prior()
    rows = [114, 100, 131]
    table = selection_table(lat, law, rows)
    at = np.array(rows) - 100
    assert table["row"].tolist() == rows
    assert table["label"].tolist() == [NAMES[k] for k in lat.y[at]]
    assert table["predicted"].tolist() == [NAMES[k] for k in lat.log_probs[at].argmax(1)]
    assert table["right"].tolist() == [False, False, True]
    np.testing.assert_allclose(table["log p(z|y)"], law.log_prob(lat.z)[at, lat.y[at]])
    np.testing.assert_allclose(table["log p(z)"], law.log_marginal(lat.z)[at])
    assert "log p(z)" not in selection_table(lat, None, rows)
    assert len(selection_table(lat, law, [])) == 0


def test_the_summary_is_that_of_the_selected_rows_alone():
    lat, law = moved(), prior()
    rows = np.arange(100, 130)
    one = selection_summary(lat, law, rows)
    part = lat.take(np.arange(30))
    curve = reliability_curve(part.log_probs, part.y, resamples=200)
    assert (one.n, one.of, one.accuracy) == (30, 46, part.accuracy)
    assert (one.ece, one.ece_if_calibrated) == (curve.ece, curve.ece_if_calibrated)
    assert one.ece_debiased == curve.ece_debiased
    assert one.ece_debiased_interval == curve.ece_debiased_interval
    hits = round(30 * part.accuracy)
    wilson = stats.binomtest(hits, 30).proportion_ci(method="wilson")
    np.testing.assert_allclose(one.accuracy_interval, wilson)
    own = law.log_prob(lat.z)[np.arange(46), lat.y]
    np.testing.assert_allclose(one.log_density, own[:30].mean())
    np.testing.assert_allclose(one.log_density_error, stats.sem(own[:30]))
    np.testing.assert_allclose(one.log_density_all, own.mean())
    np.testing.assert_allclose(one.log_marginal, law.log_marginal(lat.z)[:30].mean())
    np.testing.assert_array_equal(one.counts, [10, 10, 10])


def test_of_very_many_samples_some_stand_for_all(monkeypatch):
    lat, law = latents(46), prior()
    exact = selection_summary(lat, law, [100]).log_density_all
    monkeypatch.setattr("vcviz.metrics.inspection._ENOUGH", 20)
    own = law.log_prob(lat.z)[np.arange(46), lat.y]
    found = selection_summary(lat, law, [100]).log_density_all
    np.testing.assert_allclose(found, own[::2].mean())
    assert found != exact


def test_nothing_selected_has_no_numbers():
    one = selection_summary(latents(), prior(), [])
    assert one.n == 0
    assert np.isnan([one.accuracy, one.ece, one.log_density]).all()
    assert np.isfinite(one.log_density_all)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inspect_row(latents(), None, 7), r"has no latent of row 7 \(1 of 1 rows are"),
        (lambda: selection_table(latents(), None, [101, 300]), "no latent of row 300"),
        (lambda: inspect_row(latents(), None, 101, neighbours=-1), "neighbours must be a whole"),
        (lambda: inspect_row(latents(), None, 101, method="log_marginal"), "needs prior="),
        (lambda: plot_inspection(None), "inspection must be an Inspection, got NoneType"),
    ],
)
def test_what_is_not_there_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


# ---------------------------------------------------------------- the figure


def test_bars_are_the_record_in_the_colours_of_the_classes():
    one = inspect_row(latents(46), prior(), 114)
    probability, density = plot_inspection(one).data
    np.testing.assert_allclose(probability.x, np.exp(one.log_probs))
    shown = np.maximum(one.log_density, density.base)
    np.testing.assert_allclose(np.add(density.x, density.base), shown)
    assert density.text == tuple(f"{v:.1f}" for v in one.log_density)
    assert list(probability.marker.color) == [style.class_color(k) for k in range(3)]
    assert list(probability.marker.line.width) == [0, 0, 2]
    ticks = plot_inspection(one).layout.yaxis.ticktext
    assert ticks == ("ant", "&lt;b&gt;bee&lt;/b&gt;", "<b>cat &#36;x&#36;</b> (label)")


def test_the_headline_says_what_stands_out():
    first, second = headline(inspect_row(latents(46), prior(), 114, method="max_prob"))
    assert first.startswith("row 114: cat &#36;x&#36;, predicted ant (")
    assert first.endswith("wrong)")
    assert second.startswith("log p(z) -")
    assert "-log max p(y|x) 0." in second
    assert second.endswith("of 10 neighbours share the label")


def test_of_many_classes_the_most_probable_and_the_label_have_bars():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 30
    lat = LatentSet(rng.standard_normal((60, 2)), log_softmax(rng.standard_normal((60, 30)), 1), y)
    one = inspect_row(lat, None, 5)
    spec = inspection_spec(one)
    ticks = spec["layout"]["yaxis"]["ticktext"]
    assert "<b>5</b> (label)" in ticks
    best = np.argsort(-one.log_probs)[:12]
    assert {str(k) for k in best if k != 5} <= set(ticks)
    assert 12 <= len(ticks) <= 13
    assert [t["meta"]["layer"] for t in spec["data"]] == ["probability", "log density"]
    assert spec["layout"]["xaxis2"]["title"]["text"] == "no p(z|y) to look at"


def test_latents_whose_squares_float32_cannot_hold_have_neighbours_too():
    lat = latents(46)
    far = LatentSet(lat.z * np.float32(1e25), lat.log_probs, lat.y, lat.index, NAMES)
    here, there = (inspect_row(one, None, 109) for one in (lat, far))
    np.testing.assert_array_equal(here.neighbours, there.neighbours)
    np.testing.assert_allclose(there.distances, here.distances * 1e25, rtol=1e-4)
