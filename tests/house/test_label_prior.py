"""Label frequencies that predictions are for: in whatever carries them, and in what is said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, log_loss

import vcviz
from vcviz import InputError, LatentSet, mutual_information
from vcviz.data import true_prior
from vcviz.latents.planes import plane_log_probs
from vcviz.metrics import shift_prior
from vcviz.metrics.posthoc import posthoc_scores, reclassify, refit_prior, revised
from vcviz.metrics.posthoc.revision import fitted_to
from vcviz.records import label_note
from vcviz.studies.scoreboards import run_scoreboard
from vcviz.studies.scoreboards.plan import as_plan
from vcviz.training.distributed import in_shards

EQUAL = np.full(7, 1 / 7)
DATA = {"n": 9000, "n_classes": 7, "dim": 3, "separation": 2, "imbalance": 20}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Plain softmax, and PC-softmax, which predicts for equal classes, on a 20:1 mixture."""
    return vcviz.train_heads(
        ["softmax", "pc_softmax"],
        dataset="mixture",
        dataset_options=DATA,
        encoder="mlp",
        encoder_options={"hidden": [64]},
        latent_dim=3,
        epochs=8,
        lr=5e-3,
        validation=0.2,
        probe_every=4,
        out=tmp_path_factory.mktemp("runs"),
        progress=False,
    )


@pytest.fixture
def lat(runs):
    return runs[1].latents("test")


def frequencies(y) -> np.ndarray:
    return np.bincount(y, minlength=7) / len(y)


def by_bayes(lat: LatentSet, to: np.ndarray) -> np.ndarray:
    """Predictions for equal classes moved to others, from the formula."""
    scores = lat.log_probs.astype(np.float64) + np.log(to)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


# ---------------------------------------------------------------- what uses it


def test_the_information_of_any_run_is_right_with_no_argument(runs):
    truth = runs[0].split("test").truth["mutual_information"]
    for run in runs:
        lat = run.latents("test")
        low, high = mutual_information(lat).interval
        assert low - 0.02 < truth < high + 0.02
        assert truth - 0.04 < mutual_information(lat).estimate < truth + 0.04
    own = np.arange(len(lat)), lat.y
    share = frequencies(lat.y)
    expected = (by_bayes(lat, share) - np.log(share))[own]
    assert mutual_information(lat).estimate == pytest.approx(expected.mean(), abs=1e-6)
    np.testing.assert_allclose(vcviz.metrics.pointwise_information(lat), expected, atol=1e-6)
    of_class = vcviz.metrics.class_information(lat).estimate
    assert of_class[6] == pytest.approx(expected[lat.y == 6].mean(), abs=1e-6)
    unsaid = mutual_information(replace(lat, label_prior=None)).estimate
    assert unsaid < truth - 0.08  # what it was before latents said what they are for


def test_a_true_law_is_right_for_whatever_label_frequencies_it_is_stated(rng):
    means, weights = np.array([0.0, 2, -2, 4, -4, 6, -6]), np.geomspace(20, 1, 7)
    weights /= weights.sum()
    y = rng.choice(7, 4000, p=weights)
    z = (means[y] + rng.standard_normal(4000))[:, None]
    found = []
    for stated in (EQUAL, weights, weights[::-1]):
        log_probs = log_softmax(norm.logpdf(z, means) + np.log(stated), axis=1)
        lat = LatentSet(z, log_probs, y, label_prior=stated)
        found.append(mutual_information(lat, prior_probs=weights).estimate)
        moved = shift_prior(lat, to_prior=EQUAL)
        np.testing.assert_allclose(moved.log_probs, log_softmax(norm.logpdf(z, means), axis=1),
                                   rtol=1e-4, atol=1e-4)  # fmt: skip
    assert np.ptp(found) < 1e-5


def test_a_class_that_a_law_rules_out_is_minus_infinity_where_it_occurs_and_else_nothing():
    log_probs = np.log([[0.5, 0.5, 1e-30], [0.2, 0.8, 1e-30]])
    absent = LatentSet(np.zeros((2, 1)), log_probs, [0, 1], label_prior=[0.25, 0.75, 0])
    expected = np.log([0.5 / 0.25, 0.8 / 0.75])
    scores = np.exp(expected) / np.array([0.5 / 0.25 + 0.5 / 0.75, 0.2 / 0.25 + 0.8 / 0.75])
    assert mutual_information(absent).estimate == pytest.approx(np.log(2 * scores).mean(), abs=1e-6)
    with np.errstate(divide="ignore"):
        nothing_left = LatentSet(np.zeros((2, 1)), np.log([[1.0, 0], [0.5, 0.5]]), [1, 1],
                                 label_prior=[0.5, 0.5])  # fmt: skip
    assert mutual_information(nothing_left).estimate == -np.inf
    there = replace(absent, y=np.array([0, 2]))
    assert mutual_information(there).estimate == -np.inf
    with pytest.raises(InputError, match="from_prior gives class 2 probability 0"):
        shift_prior(there)


def test_latents_are_moved_whole(lat):
    moved = shift_prior(lat)
    share = frequencies(lat.y)
    np.testing.assert_allclose(moved.log_probs, by_bayes(lat, share), atol=1e-5)
    np.testing.assert_allclose(moved.label_prior, share)
    for name in ("z", "y", "index", "energy", "class_names", "name"):
        assert getattr(moved, name) is getattr(lat, name) or np.array_equal(
            getattr(moved, name), getattr(lat, name)
        )
    array = shift_prior(lat.log_probs, EQUAL, share)
    assert isinstance(array, np.ndarray)
    np.testing.assert_allclose(array, moved.log_probs, atol=1e-5)
    back = shift_prior(moved, to_prior=EQUAL)
    np.testing.assert_allclose(back.log_probs, lat.log_probs, atol=1e-4)
    plain = replace(lat, label_prior=None)  # for the labels' own frequencies, then
    np.testing.assert_allclose(shift_prior(plain).log_probs, lat.log_probs, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([0.5, 0.5], "label_prior must hold 7 probabilities"),
        (np.full(7, 0.5), "label_prior must hold 7 probabilities .* sum 3.5"),
        ([1.2, -0.2, 0, 0, 0, 0, 0], "label_prior must hold 7 probabilities"),
        ([np.nan] * 7, "label_prior has 7 NaN"),
    ],
)
def test_what_is_no_label_law_is_refused(lat, runs, change, message):
    path = runs[1].attack(3, steps=1, progress=False)
    for record in (lat, path):
        with pytest.raises(InputError, match=message):
            replace(record, label_prior=change)


def test_refuses_half_of_a_shift(lat):
    with pytest.raises(InputError, match="leave from_prior out, and name to_prior="):
        shift_prior(lat, EQUAL)
    with pytest.raises(InputError, match="needs from_prior and to_prior"):
        shift_prior(lat.log_probs, EQUAL)


# ---------------------------------------------------------------- what carries it


def test_whatever_a_run_keeps_says_it(runs):
    soft, pc = runs
    assert len({str(run.path) for run in runs}) == 2
    for which in ("train", "test", "validation"):
        np.testing.assert_allclose(pc.latents(which).label_prior, EQUAL)
    for epoch in pc.epochs:
        np.testing.assert_allclose(pc.latents("test", epoch).label_prior, EQUAL)
    counts = np.bincount(soft.split("train").take(kept_rows(soft)).y, minlength=7)
    for lat in (soft.latents("test"), soft.latents("train", 0)):
        np.testing.assert_allclose(lat.label_prior, counts / counts.sum(), rtol=1e-6)


def kept_rows(run) -> np.ndarray:
    held_out = run.latents("validation").index
    return np.setdiff1d(np.arange(len(run.split("train"))), held_out)


def test_run_folders_without_it_load(runs, tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(runs[1].path, folder)
    for path in (folder / "latents").glob("*.safetensors"):
        arrays = {k: v for k, v in load_file(path).items() if not k.endswith("label_prior")}
        save_file(arrays, path)
    older = vcviz.load_run(folder)
    for lat in (older.latents("test"), older.latents("train", older.epochs[0])):
        assert lat.label_prior is None
    assert older.label_note == ""


def test_rows_steps_of_an_attack_and_planes_take_it_with_them(runs, lat):
    np.testing.assert_allclose(lat.take(lat.y > 3).label_prior, EQUAL)
    path = runs[1].attack(20, steps=2, checks=5, progress=False)
    np.testing.assert_allclose(path.label_prior, EQUAL)
    for one in (path.at(0), path.at(2), path.checks[0].at(0)):
        np.testing.assert_allclose(one.label_prior, EQUAL)
    start = shift_prior(path.at(0), to_prior=frequencies(lat.y))
    np.testing.assert_allclose(
        start.log_probs, by_bayes(lat.take(np.arange(20)), frequencies(lat.y)), atol=1e-4
    )
    planes = [plane_log_probs(run.model(), run.latents("test"), size=5) for run in runs]
    np.testing.assert_allclose(planes[1].label_prior, EQUAL)
    np.testing.assert_allclose(planes[0].label_prior, runs[0].latents("test").label_prior)


def test_extraction_asks_the_head_and_knows_nothing_of_other_models(runs):
    test = runs[1].split("test").take(np.arange(50))
    model = runs[1].model()
    np.testing.assert_allclose(vcviz.extract_latents(model, test).label_prior, EQUAL)
    wrapped = torch.nn.DataParallel(model)
    np.testing.assert_allclose(vcviz.extract_latents(wrapped, test).label_prior, EQUAL)
    x = torch.as_tensor(test.x[:4].copy())
    exported = torch.export.export(model, (x,)).module()
    np.testing.assert_allclose(exported(x).detach(), model(x).detach(), atol=1e-6)
    foreign = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 7))
    assert vcviz.extract_latents(foreign, test).label_prior is None
    shards = in_shards(test, lambda part: vcviz.extract_latents(model, part))
    np.testing.assert_allclose(shards.label_prior, EQUAL)


@pytest.mark.parametrize("name", ["softmax", "pc_softmax", "gaussian_mixture"])
def test_a_head_knows_once_it_is_told_or_loaded(name):
    head = vcviz.build_head(name, latent_dim=2, n_classes=3)
    assert head.label_prior is None  # a loop of one's own may have trained it on anything
    told = vcviz.build_head(name, latent_dim=2, n_classes=3)
    told.set_class_counts(torch.tensor([1, 1, 2]))
    expected = [1 / 3] * 3 if name == "pc_softmax" else [0.25, 0.25, 0.5]
    np.testing.assert_allclose(told.label_prior, expected, rtol=1e-6)
    head.load_state_dict(told.state_dict())
    np.testing.assert_allclose(head.label_prior, expected, rtol=1e-6)


def test_maps_with_a_bias_learn_the_label_frequencies_of_their_rows(runs, lat):
    validation = runs[1].latents("validation")
    share = frequencies(validation.y)
    heated = revised(lat, "temperature", validation=validation)
    np.testing.assert_allclose(heated.label_prior, EQUAL)
    vector = vcviz.recalibrate(validation.log_probs, validation.y, "vector")
    np.testing.assert_allclose(vector.label_prior, share)
    # Which is what a least NLL with a bias means: mean probabilities are frequencies.
    np.testing.assert_allclose(vector.apply(validation).label_prior, share)
    mean = np.exp(vector(validation.log_probs)).mean(0)
    np.testing.assert_allclose(mean, share, atol=2e-3)
    across = revised(lat, "vector")
    np.testing.assert_allclose(across.label_prior, frequencies(lat.y))
    found = mutual_information(revised(lat, "vector", validation=validation)).estimate
    assert found == pytest.approx(mutual_information(lat).estimate, abs=0.03)


def test_a_refitted_law_has_its_own_label_law_and_a_restated_one_the_classifier_s(runs, lat):
    train = runs[1].latents("train")
    law = refit_prior(train, "shared")
    np.testing.assert_allclose(reclassify(lat, law).label_prior, frequencies(train.y))
    implied = runs[1].prior()
    again = reclassify(lat, implied)
    np.testing.assert_allclose(np.exp(again.log_probs), np.exp(lat.log_probs), atol=1e-3)
    np.testing.assert_allclose(again.label_prior, EQUAL)
    assert mutual_information(again).estimate == pytest.approx(
        mutual_information(lat).estimate, abs=1e-3
    )


def test_the_true_law_of_a_mixture_is_for_its_weights(runs, lat):
    test = runs[1].split("test")
    of_inputs = replace(lat, z=test.x, energy=None)
    true = reclassify(of_inputs, true_prior(test))
    np.testing.assert_allclose(true.label_prior, test.truth["weights"], rtol=1e-6)
    assert mutual_information(true).estimate == pytest.approx(
        test.truth["mutual_information"], abs=0.05
    )


def test_explorers_of_a_model_keep_it_with_other_class_names(runs):
    test = runs[1].split("test").take(np.arange(300))
    names = [f"class {k}" for k in range(7)]
    found = vcviz.explore(runs[1].model(), test, class_names=names).subject.latents()
    assert found.class_names == tuple(names)
    np.testing.assert_allclose(found.label_prior, EQUAL)


# ---------------------------------------------------------------- what is said of it


def test_a_word_is_said_where_the_frequencies_differ_by_more_than_noise(rng):
    weights = np.array([0.5, 0.3, 0.2])
    y = rng.choice(3, 500, p=weights)
    third = np.full(3, 1 / 3)
    assert label_note(None, y) == label_note(weights, y) == ""
    assert label_note(third, y) == "for equal classes"
    assert label_note(weights[::-1], y) == "for other label frequencies"
    assert label_note(np.array([0.6, 0.4, 0.0]), y) == "for other label frequencies"
    assert label_note(third, y[:0]) == ""
    hits = [label_note(weights, rng.choice(3, 200, p=weights)) for _ in range(400)]
    assert sum(map(bool, hits)) < 20


def test_curves_summaries_and_scores_say_it(runs, lat):
    soft = runs[0].latents("test")
    note = "for equal classes"
    assert (lat.label_note, soft.label_note) == (note, "")
    assert (runs[1].label_note, runs[0].label_note) == (note, "")
    curve = vcviz.reliability_curve(lat)
    assert curve.label_note == note
    same = vcviz.reliability_curve(lat.log_probs, lat.y)
    assert (same.ece, same.label_note) == (curve.ece, "")
    assert vcviz.reliability_curve(shift_prior(lat)).label_note == ""
    assert vcviz.metrics.class_accuracy(lat).label_note == note
    some = lat.index[lat.y == 6]  # of one class: the word is about all rows
    assert vcviz.metrics.selection_summary(lat, None, some).label_note == note
    assert vcviz.metrics.selection_summary(soft, None, some).label_note == ""
    assert vcviz.metrics.inspect_row(lat, None, int(lat.index[0])).label_note == note
    found = posthoc_scores(lat, lat, "none", resamples=0)
    assert found.label_note == note
    robust = runs[1].robustness(200, epsilons=[0.1], steps=1, progress=False)
    assert (robust.label_note, robust.n_bins) == (note, 15)


def test_figures_say_it_and_softmax_needs_no_word(runs):
    note = "for equal classes"
    said = []
    for run in runs:
        lat = run.latents("test")
        plane = plane_log_probs(run.model(), lat, size=5)
        path = run.attack(200, steps=1, progress=False)
        figures = [
            vcviz.plot_reliability(vcviz.reliability_curve(lat, resamples=0)),
            vcviz.plot_latents(lat),
            vcviz.figures.plot_latents_3d(lat),
            vcviz.figures.plot_regions(plane),
            vcviz.figures.plot_class_accuracy(vcviz.metrics.class_accuracy(lat)),
            vcviz.figures.plot_posthoc([posthoc_scores(lat, lat, "none", resamples=0)]),
            vcviz.figures.plot_inspection(vcviz.metrics.inspect_row(lat, None, int(lat.index[0]))),
            vcviz.plot_trajectory(path),
            vcviz.figures.plot_attack_accuracy(path),
            vcviz.plot_robustness(run.robustness(200, epsilons=[0.1], steps=1, progress=False)),
            vcviz.CalibrationExplorer(run).figure(frames=2),
        ]
        said.append([note in json.dumps(f.to_plotly_json(), default=str) for f in figures])
    assert said == [[False] * 11, [True] * 11]


def test_tables_say_it(runs):
    tables = [
        vcviz.summarise(runs, rows=0, progress=False),
        vcviz.studies.posthoc_table(vcviz.studies.revise_runs(runs, ["none"], resamples=0)),
        vcviz.studies.robustness_table(
            vcviz.studies.robustness_curves(runs, 200, epsilons=[0.1], steps=1, progress=False)
        ).iloc[[0, -1]],
        vcviz.studies.corruption_table(runs, ["feature_noise"], rows=500, progress=False).iloc[
            [0, -1]
        ],
    ]
    for table in tables:
        assert list(table["labels"]) == ["", "for equal classes"]
    assert "labels" not in vcviz.summarise(runs[:1], rows=0, progress=False)


def test_a_post_hoc_number_says_which_rows_it_was_fitted_to(runs, lat):
    methods = ["none", "temperature", "gaussian_shared"]
    rows = {}
    for laws in ("train", "validation"):
        scores = vcviz.studies.revise_runs(runs[1], methods, laws=laws, resamples=0)
        rows[laws] = list(vcviz.studies.posthoc_table(scores)["fitted to"])
    assert rows["train"] == ["", "validation", "train"]
    assert rows["validation"] == ["", "validation", "validation"]
    assert fitted_to("vector", "train", held_out=False) == "other test"
    heated = vcviz.recalibrate(lat.log_probs, lat.y)
    assert heated.apply(lat).name == f"{lat.name}, temperature {heated.temperature:.3g}"


def test_sweeps_and_scoreboards_say_it(runs):
    folder = runs[0].path.parent
    frame = vcviz.report(folder, format="csv", out=folder / "t.csv")
    lines = frame.read_text().splitlines()
    assert "labels" in lines[0].split(",")
    assert [line for line in lines if "for equal classes" in line] == [
        line for line in lines if line.startswith("pc_softmax")
    ]
    page = vcviz.report(folder, out=folder / "t.html").read_text()
    assert "Not for the label frequencies of the test rows: pc_softmax (for equal classes)." in page


def test_a_scoreboard_names_the_heads_that_predict_for_others(runs, tmp_path):
    task = {
        "title": "a mixture",
        "settings": {"dataset": "mixture", "dataset_options": DATA | {"n": 1000}, "epochs": 1,
                     "latent_dim": 3, "probe_every": 1},
        "measures": {"label_shift": None},
    }  # fmt: skip
    heads = {name: {"title": name.upper()} for name in ("softmax", "pc_softmax")}
    heads = {name: told | {"settings": {"head": name}} for name, told in heads.items()}
    plan = as_plan({"title": "b", "seeds": [0], "tasks": {"m": task}, "heads": heads}, "here")
    board = run_scoreboard(plan, out=tmp_path / "b", workers=0, progress=False)
    assert board.label_notes == {"m": {"pc_softmax": "for equal classes"}}
    for kind in ("markdown", "html"):
        text = vcviz.report(tmp_path / "b", format=kind, out=tmp_path / f"b.{kind}").read_text()
        assert (
            "that is not for the label frequencies of the test rows: PC_SOFTMAX (for equal" in text
        )
        assert "NLL, for the test labels" in text
    figure = vcviz.figures.plot_scores(board, "m", ["accuracy", "nll_matched"]).to_json()
    assert figure.count("PC_SOFTMAX, for equal classes") == 2  # of accuracy: the seed, the mean


def test_the_measure_agrees_with_scikit_learn(runs, lat):
    for run in runs:
        found = vcviz.studies.measure(run, ["label_shift"])
        own = run.latents("test")
        uniform = by_bayes(own, 1 / own.label_prior)
        matched = by_bayes(own, frequencies(own.y) / own.label_prior)
        expected = {
            "balanced_accuracy_shifted": balanced_accuracy_score(own.y, uniform.argmax(1)),
            "accuracy_matched": (matched.argmax(1) == own.y).mean(),
            "nll_matched": log_loss(own.y, np.exp(matched), labels=range(7)),
        }
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-5)
        entropy = -(frequencies(own.y) * np.log(frequencies(own.y))).sum()
        assert found["information"] == pytest.approx(entropy - expected["nll_matched"], abs=1e-5)
    assert found["nll_matched"] < run.metrics["nll"] - 0.05
