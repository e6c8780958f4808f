"""Lessons 9 and 10: comparisons of few runs, and the tables on data of one's own."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import vcviz
from vcviz import course
from vcviz.base.errors import InputError
from vcviz.course import few_label_accuracy, lessons, own_tables
from vcviz.course.few_label_accuracy import CONTROL, SOFTMAX, VC, FewLabels

# ---------------------------------------------------------------- lesson 9


@pytest.fixture
def found():
    """Three heads of which the first is worse by 10 points, and seeds that all heads share."""
    rng = np.random.default_rng(0)
    seeds = rng.normal(0, 0.05, (2, 4))
    own = {name: rng.normal(0, 0.005, (2, 4)) for name in (SOFTMAX, CONTROL, VC)}
    base = {SOFTMAX: 0.6, CONTROL: 0.7, VC: 0.7}
    return FewLabels((20, 100), {name: base[name] + seeds + own[name] for name in base})


def test_the_control_has_the_encoder_of_the_variational_head_and_its_rate():
    ours, control = (vcviz.RunConfig(**few_label_accuracy.HEADS[name]) for name in (VC, CONTROL))
    for name in ("stochastic", "rate_weight", "draws", "predict_draws"):
        assert getattr(ours, name) == getattr(control, name)
    assert ours.stochastic
    assert control.head == "softmax"


def test_runs_share_seeds_and_are_trained_once(tmp_path):
    settings = {"seeds": 2, "epochs": 1, "out": tmp_path, "progress": False}
    first = course.few_label_runs([40, 20, 20], **settings)
    assert first.labels == (20, 40)
    assert {a.shape for a in first.accuracy.values()} == {(2, 2)}
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    again = course.few_label_runs([20, 40], **settings)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")} == trained
    for name, values in again.accuracy.items():
        assert_allclose(values, first.accuracy[name])
    for run in vcviz.list_runs(tmp_path):
        assert run.config.n_train in (20, 40)
    with pytest.raises(InputError, match="at least 2 seeds"):
        course.few_label_runs([20], seeds=1, out=tmp_path)


def test_pairing_takes_out_what_seeds_share(found):
    gains = found.gains(VC, SOFTMAX)
    for i, row in enumerate(gains):
        a, b = found.accuracy[VC][i], found.accuracy[SOFTMAX][i]
        low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert_allclose(row.mean() + np.array([-1, 1]) * vcviz.records.Estimate.of(row).reach,
                        (low, high))  # fmt: skip
        welch = stats.ttest_ind(a, b, equal_var=False)
        low, high = welch.confidence_interval(0.95)
        # With the degrees of freedom of the smaller sample alone it is a little wider.
        assert few_label_accuracy.unpaired(a, b) >= (high - low) / 2
        narrower = stats.t.ppf(0.975, welch.df) / stats.t.ppf(0.975, 3)
        assert few_label_accuracy.unpaired(a, b) * narrower == pytest.approx((high - low) / 2)
        assert vcviz.records.Estimate.of(row).reach < few_label_accuracy.unpaired(a, b)


def test_figures_draw_what_was_found(found):
    curves = course.accuracy_figure(found)
    assert_allclose(curves.data[0].y, found.accuracy[SOFTMAX][:, 0], rtol=1e-6)
    means = {t.name: t.y for t in curves.data if t.xaxis == "x2" and t.mode == "lines+markers"}
    assert_allclose(means[VC], found.accuracy[VC].mean(1), rtol=1e-6)
    gains = course.gains_figure(found)
    paired = [t for t in gains.data if t.name == "mean, paired 95 % interval"]
    for trace, over in zip(paired, (SOFTMAX, CONTROL), strict=True):
        rows = 100 * found.gains(VC, over)
        assert_allclose(trace.y, rows.mean(1), rtol=1e-6)
        reach = [vcviz.records.Estimate.of(row).reach for row in rows]
        assert_allclose(trace.error_y.array, reach)
        (said,) = [t.text[0] for t in gains.data if t.mode == "text" and t.xaxis == trace.xaxis]
        assert f"n = 20: {rows[0].mean():+.1f} ± {reach[0]:.1f}" in said


def test_predictions_of_few_labels_are_computed(found):
    best = course.predict("9a", found=found)
    assert best.answer.right in (1, 2)
    assert "softmax 0" in best.answer.reason
    left = course.predict("9b", found=found)
    assert left.options[left.answer.right] == "at none"
    assert "2 of 2 numbers of labels" in left.answer.reason


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("9.1", stats.sem([3, 11, 10, 13, 5]) / 100 * stats.t(4).ppf(0.975)),
        ("9.3", stats.binom(4, 0.05).sf(0)),
        ("9.4", stats.norm(2, 3).cdf(0)),
    ],
)
def test_the_truth_of_a_check_on_seeds(question, value):
    assert_allclose(lessons.CHECKS[question].key().truth, value, rtol=1e-6)


def test_what_the_encoder_alone_gains_is_read_off_the_figure(found):
    key = lessons.CHECKS["9.2"].key(found)
    printed = [
        float(re.search(r"n = 20: ([+-]\d+\.\d)", t.text[0])[1])
        for t in course.gains_figure(found).data
        if t.mode == "text"
    ]
    assert course.check("9.2", printed[0] - printed[1], found=found).passed
    assert not course.check("9.2", printed[0] + 3, found=found).passed
    assert key.truth == pytest.approx(10, abs=1)


# ---------------------------------------------------------------- lesson 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    train, test = vcviz.load_data("digits", seed=0)
    out = tmp_path_factory.mktemp("own")
    settings = {"latent_dim": 4, "epochs": 6, "batch_size": 50, "out": out, "progress": False}
    return train, test, vcviz.train_heads(["softmax", "variational"], **settings)


def test_tables_count_test_rows(trained):
    train, test, runs = trained
    table = course.data_table(train, test)
    most = train.class_counts.argmax()
    share = f"share of {train.class_names[most]}, the most frequent"
    assert table.loc["test", share] == pytest.approx((test.y == most).mean(), abs=1e-4)
    assert table["rows"].tolist() == [len(train.y), len(test.y)]
    right = [run.latents("test").log_probs.argmax(1) == test.y for run in runs]
    agreement = course.agreement_table(runs)
    assert agreement.to_numpy().sum() == len(test.y)
    assert agreement.iloc[0].sum() == right[0].sum()
    assert agreement.iloc[1, 0] == (right[1] & ~right[0]).sum()
    report = course.report_table(runs)
    assert report.loc["softmax", "accuracy (95 % interval)"].startswith(f"{right[0].mean():.3f} (")
    assert report.loc["softmax", "ECE"] == f"{vcviz.reliability_curve(runs[0].latents()).ece:.3f}"


def test_confident_mistakes_are_the_surest_first(trained):
    _, test, runs = trained
    lat = runs[1].latents("test")
    shown = course.mistakes_table(runs[1], test, n=4).data
    rows = [int(row) for row in re.findall(r"alt='test row (\d+)'", shown)]
    said = lat.log_probs.argmax(1)
    assert len(rows) == 4
    assert (said[rows] != test.y[rows]).all()
    confidence = lat.log_probs.max(1)
    assert (np.diff(confidence[rows]) <= 0).all()
    assert confidence[rows[0]] == confidence[said != test.y].max()
    with pytest.raises(InputError, match="must be the test rows of the run"):
        course.mistakes_table(runs[1], trained[0])


def test_a_mistake_of_a_text_or_of_a_table_is_shown_as_text():
    x = np.zeros((2, 3), np.float32)
    table = vcviz.Split(x, y=[0, 1], class_names=("<b>", "c"))
    assert own_tables._input(table, 0) == "0.00, 0.00, 0.00 …"
    text = vcviz.Split(x.astype(np.int32), y=[0, 1], kind="text", texts=("<i>hello", "you"))
    assert own_tables._input(text, 0) == "&lt;i&gt;hello"


def test_checks_on_own_data_are_worked_out_from_it(trained):
    train, test, runs = trained
    right = [run.latents("test").log_probs.argmax(1) == test.y for run in runs]
    n, a = len(test.y), right[0].mean()
    assert course.check("10.1", (test.y == train.class_counts.argmax()).mean(), train=train,
                        test=test).passed  # fmt: skip
    assert course.check("10.2", 1.96 * np.sqrt(a * (1 - a) / n), runs=runs).passed
    c, b = (right[1] & ~right[0]).sum(), (right[0] & ~right[1]).sum()
    paired = 1.96 * np.sqrt((b + c) / n - ((b - c) / n) ** 2) / np.sqrt(n)
    assert course.check("10.3", paired, runs=runs).passed
    counted = course.confident_table(runs).iloc[0]
    expected = counted.iloc[0] * (1 - counted.iloc[1])
    assert course.check("10.4", expected, runs=runs).passed
    apart = 1.96 * np.sqrt(sum(r.mean() * (1 - r.mean()) for r in right) / n)
    assert "as different ones" in course.check("10.3", apart, runs=runs).message


def test_predictions_on_own_data_are_computed(trained):
    *_, runs = trained
    for question in ("10a", "10b"):
        one = course.predict(question, runs=runs)
        assert one.answer.right in range(3)
        assert len(re.findall(r"\d\.\d+", one.answer.reason)) >= 4
    curves = [vcviz.reliability_curve(run.latents()) for run in runs]
    beyond = sum(curve.ece > curve.ece_if_calibrated_interval[1] for curve in curves)
    assert course.predict("10b", runs=runs).answer.right == beyond
