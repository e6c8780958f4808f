"""Figures of strangers and of post-hoc methods draw what their records hold."""

from __future__ import annotations

import numpy as np
import pytest

from vcviz.base.errors import InputError
from vcviz.figures import plot_ood, plot_posthoc
from vcviz.metrics.ood import roc_curve, separation
from vcviz.metrics.posthoc import PosthocScores
from vcviz.studies.compare.strangers import ood_table


def record(method="energy", name="run <i>", against="noise", shift=2.0, far=0.0):
    rng = np.random.default_rng(0)
    strange = rng.normal(shift, size=40)
    strange[0] += far
    return separation(
        rng.normal(size=60), strange, method=method, name=name, against=against, resamples=50
    )


def bars(fig, name):
    return [t for t in fig.data if t.type == "bar" and t.legendgroup == name]


class TestOod:
    def test_bars_are_shares_and_leave_nobody_out(self):
        one = record(far=1e6)
        fig = plot_ood(one, n_bins=20)
        for name, scores in (("known", one.known), ("strangers", one.strange)):
            (trace,) = bars(fig, name)
            assert np.sum(trace.y) == pytest.approx(1)
            edges = np.r_[trace.customdata[:, 0], trace.customdata[-1, 1]]
            inside = (scores > edges[1]) & (scores < edges[-2])
            assert np.sum(trace.y[1:-1]) == pytest.approx(inside.mean())
        low, high = fig.layout.xaxis.range
        assert high - low < 5 * np.ptp(one.known)  # the far one does not shrink the others

    def test_infinite_scores_are_drawn_at_the_ends(self):
        one = separation([-np.inf, 0.0, 1.0], [2.0, np.inf], resamples=10)
        fig = plot_ood(one, n_bins=4)
        assert np.sum(bars(fig, "known")[0].y) == pytest.approx(1)
        assert bars(fig, "strangers")[0].y[-1] == 1
        same = separation([1.0, 1.0], [1.0], resamples=10)
        assert np.diff(plot_ood(same).layout.xaxis.range) > 0

    def test_line_and_heading_are_the_records(self):
        one = record()
        fig = plot_ood(one)
        line = next(t for t in fig.data if t.legendgroup == "threshold")
        assert list(line.x) == [one.threshold] * 2
        heading = fig.layout.annotations[0].text
        low, high = one.auroc_interval
        assert f"AUROC {one.auroc:.3f} [{low:.3f}, {high:.3f}]" in heading
        assert f"FPR95 {one.fpr:.3f} [" in heading
        assert "<b>energy</b>" in heading
        assert line.name == "accepts 95% of the known"
        assert fig.layout.xaxis.title.text == "score, nats"
        assert fig.layout.yaxis.title.text == "share of rows"

    def test_a_score_that_is_worse_than_chance_says_so(self):
        worse, level, better = (record(shift=shift) for shift in (-2.0, 0.0, 2.0))
        assert [s.worse_than_chance for s in (worse, level, better)] == [True, False, False]
        texts = [a.text for a in plot_ood([worse, level, better]).layout.annotations]
        assert ["worse than chance" in text for text in texts] == [True, False, False]
        table = ood_table([worse, better])
        assert table["note"].tolist() == ["worse than chance", ""]
        assert "note" not in ood_table([level, better])

    def test_panels_say_whose_they_are_where_that_differs(self):
        fig = plot_ood([record("knn"), record("knn", "b", "<digits>")], columns=2)
        texts = [a.text for a in fig.layout.annotations]
        assert "run &lt;i&gt;: k-th neighbour" in texts[0]
        assert "against &lt;digits&gt;" in texts[1]
        assert fig.layout.xaxis2.title.text == "score, latent units"
        assert sum(bool(t.showlegend) for t in bars(fig, "known")) == 1

    def test_roc_stands_beneath(self):
        one = record()
        fig = plot_ood([one, record("entropy"), record("knn")], columns=2, roc=True)
        curves = [t for t in fig.data if t.name == "ROC"]
        assert [t.xaxis for t in curves] == ["x3", "x4", "x7"]
        strange, known = roc_curve(one.known, one.strange)
        np.testing.assert_allclose(curves[0].x, strange)
        np.testing.assert_allclose(curves[0].y, known)
        mark = next(t for t in fig.data if t.name == "FPR95")
        assert (mark.x[0], mark.y[0]) == (one.fpr, 0.95)

    def test_errors(self):
        with pytest.raises(InputError, match="at least one record"):
            plot_ood([])
        with pytest.raises(InputError, match="bins must be a whole number of at least 2"):
            plot_ood(record(), n_bins=1)


def scores(method, name="run", nll=0.5):
    return PosthocScores(
        method, 0.9, (0.85, 0.93), nll, (nll - 0.1, nll + 0.2), 0.0, (-0.1, 0.1), 0.05,
        (0.02, 0.07), 60, name,
    )  # fmt: skip


class TestPosthoc:
    def test_dots_and_whiskers_are_the_records(self):
        found = [scores("none"), scores("vector", nll=0.3), scores("mixture", nll=0.7)]
        fig = plot_posthoc(found)
        dots = {t.meta["layer"]: t for t in fig.data if t.mode == "markers"}
        np.testing.assert_allclose(dots["nll"].x, [0.5, 0.3, 0.7])
        np.testing.assert_allclose(dots["nll"].y, [0, 1, 2])
        np.testing.assert_allclose(dots["nll"].error_x.array, 0.2)
        np.testing.assert_allclose(dots["nll"].error_x.arrayminus, 0.1)
        np.testing.assert_allclose(dots["ece"].x, 0.05)
        assert list(fig.layout.yaxis.ticktext) == [
            "as trained", "vector scaling", "two Gaussians a class",
        ]  # fmt: skip
        assert [a.text for a in fig.layout.annotations] == [
            "<b>accuracy →</b>", "<b>← NLL</b>", "<b>← ECE, 15 bins</b>",
        ]  # fmt: skip
        lines = [t for t in fig.data if t.mode == "lines"]
        assert [t.x[0] for t in lines] == [0.9, 0.5, 0.05]
        low, high = 10 ** np.array(fig.layout.xaxis2.range)
        assert low < 0.2
        assert high > 0.9

    def test_runs_stand_apart(self):
        fig = plot_posthoc([scores("none", "a"), scores("none", "<b>")])
        dots = [t for t in fig.data if t.mode == "markers"][:2]
        assert [t.name for t in dots] == ["a", "&lt;b&gt;"]
        assert dots[0].y[0] < dots[1].y[0]
        assert dots[0].showlegend

    def test_numbers_without_end_leave_the_axis_usable(self):
        endless = scores("vector", nll=np.inf)
        assert np.isfinite(plot_posthoc([scores("none"), endless]).layout.xaxis2.range).all()

    def test_errors(self):
        with pytest.raises(InputError, match="at least one record"):
            plot_posthoc([])
