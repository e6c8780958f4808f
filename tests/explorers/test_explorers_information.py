"""InformationExplorer on small trained runs: what it draws is what the numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from vcviz.base.errors import InputError
from vcviz.explorers import InformationExplorer
from vcviz.metrics.accuracy import class_accuracy
from vcviz.metrics.calibration import negative_log_likelihood
from vcviz.metrics.information import shift_prior
from vcviz.records import LatentSet
from vcviz.studies.imbalance import accuracies, information_table
from vcviz.training.grids import train_grid

SETTINGS = {"encoder": "mlp", "latent_dim": 3, "epochs": 2, "probe_every": 2, "progress": False}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return train_grid(
        {"dataset_options.imbalance": [20.0, 1.0], "head": ["softmax", "pc_softmax"]},
        dataset="mixture",
        dataset_options={"n": 600, "n_classes": 3, "separation": 2.0},
        out=tmp_path_factory.mktemp("runs"),
        **SETTINGS,
    )


def on(fig, layer: str):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def test_runs_are_grouped_by_their_imbalance(runs):
    ui = InformationExplorer(runs)
    assert [round(level.ratio, 6) for level in ui.levels] == [1, 20]
    assert list(ui.levels[1].runs) == ["softmax", "pc_softmax"]
    np.testing.assert_allclose(ui.levels[1].truth, runs[0].split().truth["mutual_information"])
    assert ui.controls["ratio"].value == 1


def test_estimates_are_those_of_the_numbers(runs):
    ui = InformationExplorer(runs)
    trap, plain, pc = on(ui.view, "estimate")
    assert [t.name for t in (trap, plain, pc)] == [
        "softmax + log C",
        "softmax + H(Y)",
        "pc_softmax",
    ]
    softmax, corrected = runs[0].latents("test"), runs[1].latents("test")
    nll = negative_log_likelihood(softmax.log_probs, softmax.y)
    assert trap.y[1] == pytest.approx(np.log(3) - nll)
    own = np.bincount(corrected.y) / len(corrected)
    moved = shift_prior(corrected.log_probs, [1 / 3] * 3, own)
    ratio = (moved - np.log(own))[np.arange(len(corrected)), corrected.y]
    assert pc.y[1] == pytest.approx(ratio.mean())
    assert trap.y[1] > plain.y[1]
    # Of equal classes the offset is right, but for the noise of the label frequencies.
    assert trap.y[0] == pytest.approx(plain.y[0], abs=0.02)


@pytest.mark.parametrize("test_prior", [0.0, 1.0])
def test_bars_are_predicted_for_the_test_s_class_frequencies(runs, test_prior):
    ui = InformationExplorer(runs)
    ui.controls["test_prior"].value = test_prior
    plain, post_hoc, pc = on(ui.view, "accuracy")
    lat, frequencies = runs[0].latents("test"), np.asarray(runs[0].split().truth["weights"])
    wanted = frequencies if test_prior else np.full(3, 1 / 3)
    moved = shift_prior(lat.log_probs, runs[0].label_frequencies, wanted)
    expected = class_accuracy(LatentSet(lat.z, moved, lat.y)).accuracy
    np.testing.assert_allclose(post_hoc.y, expected)
    np.testing.assert_allclose(plain.y, class_accuracy(lat).accuracy)
    if not test_prior:
        np.testing.assert_allclose(pc.y, class_accuracy(runs[1].latents("test")).accuracy)


def test_the_static_figure_has_every_ratio_and_test_prior(runs):
    fig = InformationExplorer(runs).figure()
    assert [f.name for f in fig.frames] == ["at 1", "at 20"]
    (menu,) = [m for m in fig.layout.updatemenus if m.type != "buttons"]
    assert len(menu.buttons) == 2
    assert len(fig.to_json()) < 3e5


def test_other_data_lose_training_rows_and_have_no_known_truth(tmp_path):
    runs = train_grid(
        {"dataset_options.train_imbalance": [10]},
        dataset="digits",
        n_train=110,
        out=tmp_path,
        **SETTINGS,
    )
    ui = InformationExplorer(runs)
    assert ui.levels[0].ratio == pytest.approx(10, rel=0.2)
    assert [t.name for t in on(ui.view, "reference")] == ["H(Y), of the labels"]


def test_the_table_says_the_same(runs):
    table = information_table(runs)
    ui = InformationExplorer(runs)
    trap, _, pc = on(ui.view, "estimate")
    assert table.loc[(20.0, "pc_softmax"), "I"] == pytest.approx(pc.y[1])
    assert table.loc[(1.0, "softmax + log C"), "I"] == pytest.approx(trap.y[0])
    truth = runs[0].split().truth["mutual_information"]
    row = table.loc[(20.0, "softmax + H(Y)")]
    assert row["off"] == pytest.approx(row["I"] - truth)
    plain, post_hoc, corrected = accuracies(ui.levels[1], np.full(3, 1 / 3))
    assert row["balanced accuracy"] == post_hoc.balanced
    assert table.loc[(20.0, "pc_softmax"), "at least"] == corrected.balanced_interval[0]
    assert table.loc[(20.0, "softmax + log C"), "balanced accuracy"] == plain.balanced


def test_refuses(runs):
    with pytest.raises(InputError, match="train the same heads"):
        InformationExplorer(runs[:3])
    with pytest.raises(InputError, match="runs must be at least one record"):
        InformationExplorer([])


def test_two_runs_of_a_head_at_one_imbalance_are_refused_not_dropped(runs, tmp_path):
    again = train_grid(
        {"dataset_options.imbalance": [20.0]},
        dataset="mixture",
        dataset_options={"n": 600, "n_classes": 3, "separation": 2.0},
        seed=1,
        out=tmp_path,
        **SETTINGS,
    )
    with pytest.raises(InputError, match="there are 2 runs of 'softmax' at one imbalance"):
        information_table([*runs, *again])
