"""Measures of finished runs: oracles, what is kept in the folder, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import vcviz
from vcviz import InputError
from vcviz.metrics.ood import score
from vcviz.records.numbers import title
from vcviz.studies import measure
from vcviz.studies.measures import MEASURES, check_measures, measured, scores_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two heads on imbalanced digits."""
    return vcviz.train_heads(
        ["softmax", "variational"],
        dataset="digits",
        dataset_options={"train_imbalance": 4},
        n_train=200,
        latent_dim=3,
        epochs=15,
        probe_every=15,
        out=tmp_path_factory.mktemp("runs"),
        progress=False,
    )


def test_no_corruption_no_attack_no_shift_is_the_test_score(runs):
    run = runs[0]
    found = measure(
        run, {"attack": {"epsilons": [1e-9], "methods": ["pgd"], "rows": 60, "steps": 2}}
    )
    lat = run.latents("test")
    first = lat.take(np.isin(lat.index, np.arange(60)))
    assert found["pgd_accuracy"] == found["pgd_accuracy_1e-09"] == first.accuracy


def test_corruptions_are_those_of_the_table(runs):
    kinds = ["gaussian_noise", "contrast"]
    found = measure(runs[0], {"corruption": {"kinds": kinds, "rows": 150}})
    table = vcviz.studies.corruption_table(runs[0], kinds, rows=150, progress=False)
    for severity in (1, 5):
        rows = table[table["severity"] == severity]
        assert found[f"corrupted_accuracy_{severity}"] == pytest.approx(rows["accuracy"].mean())
        assert found[f"corrupted_ece_{severity}"] == pytest.approx(rows["ECE"].mean())
    worse = table[table["severity"] > 0]
    assert found["corrupted_nll"] == pytest.approx(worse["NLL"].mean())


def test_strangers_agree_with_scikit_learn(runs):
    run = runs[1]
    found = measure(run, {"strangers": {"sets": {"far": "noise"}, "rows": 10_000}})
    test = run.split("test")
    noise = vcviz.data.make_strangers(test, "noise", seed=run.config.seed)
    strange = vcviz.extract_latents(run.model(), noise, progress=False)
    known = run.latents("test")
    truth = np.r_[np.zeros(len(known)), np.ones(len(strange))]
    for method, number in (("max_prob", "far_auroc"), ("log_marginal", "far_auroc_density")):
        scores = [score(side, method, prior=run.prior()) for side in (known, strange)]
        assert found[number] == pytest.approx(roc_auc_score(truth, np.concatenate(scores)))


def test_strangers_can_be_another_dataset(runs):
    sets = {"near": {"dataset": "digits", "seed": 9}, "same": "digits"}
    found = measure(runs[0], {"strangers": {"sets": sets, "rows": 300}})
    assert abs(found["near_auroc"] - 0.5) < 0.15  # digits are no strangers to digits
    with pytest.raises(InputError, match=r"table rows of shape \(\d+,\), .* are image rows of"):
        measure(runs[0], {"strangers": {"sets": {"far": "mixture"}}})
    nested = {"dataset": "mixture", "means": [[0, 0], [4, 0]], "n": 30}
    with pytest.raises(InputError, match=r"table rows of shape \(2,\), .* are image rows of"):
        measure(runs[0], {"strangers": {"sets": {"far": nested}}})
    with pytest.raises(InputError, match="strangers are one of noise, inverted, rotated, or a"):
        measure(runs[0], {"strangers": {"sets": {"far": 3}}})


def test_strangers_need_no_labels(runs, tmp_path):
    (tmp_path / "letters").mkdir()
    for k in range(20):
        Image.new("L", (12, 12), 12 * k).save(tmp_path / "letters" / f"{k}.png")
    source = f"path:{tmp_path}"
    options = {"dataset": source, "seed": 3}
    found = measure(runs[0], {"strangers": {"sets": {"far": source, "same": options}}})
    made = vcviz.data.load_strangers(source, runs[0].split("test"))
    lat = vcviz.extract_latents(runs[0].model(), made, progress=False)
    known = score(runs[0].latents("test"), "max_prob")
    assert found["far_auroc"] == pytest.approx(vcviz.auroc(known, score(lat, "max_prob")))
    assert found["same_auroc"] == found["far_auroc"]


def test_shifting_to_equal_classes_is_the_oracle_of_scikit_learn(runs):
    run = runs[0]
    found = measure(run, ["label_shift"])
    lat = run.latents("test")
    moved = lat.log_probs - np.log(run.label_frequencies)
    expected = balanced_accuracy_score(lat.y, moved.argmax(1))
    assert found["balanced_accuracy_shifted"] == pytest.approx(expected)


def test_the_fit_is_that_of_latent_fit(runs):
    found = measure(runs[1], {"fit": None})
    fit = vcviz.latent_fit(runs[1].latents("test"), runs[1].prior(), resamples=0, progress=False)
    assert found["test_energy"] == pytest.approx(fit.mean("energy"))
    assert found["test_variance"] == pytest.approx(fit.mean("whitened_variance"))


def test_temperature_scaling_is_never_fitted_to_the_rows_it_is_judged_on(runs):
    found = measure(runs[0], {"calibration": {}})
    lat = runs[0].latents("test")
    best = vcviz.metrics.calibration.fit_temperature(lat.log_probs, lat.y)
    ideal = vcviz.metrics.calibration.apply_temperature(lat.log_probs, best.temperature)
    assert found["nll_scaled"] >= vcviz.metrics.negative_log_likelihood(ideal, lat.y) - 1e-9


def test_people_are_asked_only_where_they_answered(runs):
    with pytest.raises(InputError, match="has no label distributions; say where they are"):
        measure(runs[0], ["human"])
    blurred = np.full((30, 3), 1 / 3)
    x = np.random.default_rng(0).random((30, 4)).astype(np.float32)
    split = vcviz.Split(x, np.arange(30) % 3, label_probs=blurred)
    assert split.label_probs is not None


def test_what_was_measured_is_kept_and_not_measured_again(runs, monkeypatch):
    run, wanted = runs[1], {"calibration": None}
    first = measure(run, wanted)
    assert measured(run, wanted)
    stored = json.loads((run.path / "scores.json").read_text())
    assert stored["measures"]["calibration"]["values"] == first
    assert first.items() <= scores_of(run.path).items()
    monkeypatch.setitem(MEASURES, "calibration", None)
    monkeypatch.setattr("vcviz.studies.measures.check_measures", lambda wanted: {"calibration": {}})
    assert measure(run, wanted) == first


def test_other_options_are_another_measurement(runs):
    few = {"corruption": {"kinds": ["contrast"], "rows": 20}}
    more = {"corruption": {"kinds": ["contrast"], "rows": 40}}
    measure(runs[1], few)
    assert measured(runs[1], few)
    assert not measured(runs[1], more)
    measure(runs[1], more)
    assert not measured(runs[1], few)


def test_a_number_that_is_none_is_stored_as_null_and_read_as_nan(runs, monkeypatch):
    odd = {**MEASURES, "fit": lambda run: {"train_kl": math.inf}}
    monkeypatch.setattr("vcviz.studies.measures.MEASURES", odd)
    path = runs[0].path
    measure(runs[0], ["fit"])
    assert json.loads((path / "scores.json").read_text())["measures"]["fit"]["values"] == {
        "train_kl": None
    }
    assert math.isnan(scores_of(path)["train_kl"])


@pytest.mark.parametrize("text", ["{}", '{"format": "vcviz.scores/1", "measures": [1]}', "{"])
def test_a_damaged_file_is_named(runs, text):
    path = runs[0].path / "scores.json"
    before = path.read_text() if path.exists() else None
    path.write_text(text)
    try:
        with pytest.raises(InputError, match=r"scores\.json"):
            measure(runs[0], ["fit"])
    finally:
        path.unlink() if before is None else path.write_text(before)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"atack": {}}, "unknown measure 'atack'; did you mean 'attack'"),
        ({"attack": {"epsilon": 1}}, "unknown option of measure 'attack' 'epsilon'"),
        ({"attack": {}}, "measure 'attack' needs the option epsilons"),
        ({"fit": 3}, "options of measure 'fit' are a mapping"),
        (3, "measures are a mapping of names to options"),
    ],
)
def test_what_cannot_be_measured_is_said(wanted, message):
    with pytest.raises(InputError, match=message):
        check_measures(wanted)


def test_a_sweep_measures_its_runs_and_goes_on(tmp_path):
    options = {
        "fixed": {"dataset": "digits", "epochs": 2, "n_train": 60},
        "measures": {"label_shift": None},
        "out": tmp_path,
        "workers": 0,
        "progress": False,
    }
    first = vcviz.sweep({"head": ["softmax"], "seed": [0, 1]}, **options)
    assert (first.ok, first.repeated) == (True, 2)
    for run in vcviz.list_runs(tmp_path):
        assert "information" in scores_of(run.path)
    assert vcviz.sweep({"head": ["softmax"], "seed": [0, 1]}, **options).repeated == 0
    (tmp_path / first.runs[0]["name"] / "scores.json").unlink()
    assert vcviz.sweep({"head": ["softmax"], "seed": [0, 1]}, **options).repeated == 1
    with pytest.raises(InputError, match="measures are taken of trainings"):
        vcviz.sweep({"n_bins": [10]}, notebook="calibration", **options | {"fixed": None})


def test_every_number_has_a_title_with_its_unit(runs):
    names = {name for run in runs for name in scores_of(run.path)}
    assert len(names) > 20
    for name in names:
        assert title(name).text != name
    assert title("apgd_accuracy_0.1") == ("accuracy, Auto-PGD in L∞, ε = 0.1", "higher")
    assert title("mi_fgsm_accuracy") == ("accuracy, MI-FGSM in L∞, mean over ε", "higher")
    assert title("something else") == ("something else", None)
