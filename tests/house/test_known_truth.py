"""Trained heads on mixtures whose p(y|x), label law, Bayes error and information are known.

Each bound is the distance from the truth that is allowed; a short version runs by default, the
whole table of dimensions and label laws is slow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import rel_entr
from torch import nn

from vcviz.data import true_prior
from vcviz.metrics.calibration import negative_log_likelihood
from vcviz.metrics.information import Information, mutual_information, shift_prior
from vcviz.records import Split
from vcviz.runs import Run
from vcviz.training import train

HEADS = ("softmax", "pc_softmax", "gaussian_mixture")
#: five unit Gaussians along the all-ones vector (Qin, Kim & Gedeon 2019)
MEANS = [[0], [2], [-2], [4], [-4]]
EQUAL, UNEQUAL = [1] * 5, [1, 2, 3, 4, 5]
TEN_AT_100_TO_1 = [
    {"n_classes": 10, "dim": 1, "means": "diagonal", "separation": 3, "imbalance": 100},
    {"n_classes": 10, "dim": 2, "separation": 3, "imbalance": 100},
]


class Distance(NamedTuple):
    """How far a trained classifier is from the truth on test rows."""

    information: Information
    truth: float
    kl: float  # mean KL of the learned p(y|x) from the true one, nats
    label_law: float  # largest |mean predicted probability - true class weight|
    excess_error: float  # its errors beyond those of the true posterior on the same rows

    @property
    def relative(self) -> float:
        """Information over the true one, minus 1."""
        return self.information.estimate / self.truth - 1


def trained(
    out, head: str, *, n: int = 15_000, epochs: int = 12, head_options=None, **data
) -> tuple[Run, Split]:
    run = train(
        head_options=head_options or {},
        dataset="mixture",
        dataset_options={"n": n, **data},
        head=head,
        encoder="mlp",
        encoder_options={"hidden": [100, 100]},
        latent_dim=8,
        epochs=epochs,
        lr=3e-3,
        probe_every=epochs,
        out=out,
        progress=False,
    )
    return run, run.split("test")


def distance(run: Run, test: Split) -> Distance:
    lat, weights = run.latents("test"), np.asarray(test.truth["weights"])
    log_probs = shift_prior(lat, to_prior=weights).log_probs.astype(float)
    true = test.label_probs
    wrong, fewest = (p.argmax(1) != test.y for p in (log_probs, true))
    return Distance(
        mutual_information(lat, prior_probs=weights),
        test.truth["mutual_information"],
        float(rel_entr(true, np.exp(log_probs)).sum(1).mean()),
        float(np.abs(np.exp(log_probs).mean(0) - weights).max()),
        float(wrong.mean() - fewest.mean()),
    )


def check(found: Distance) -> None:
    assert abs(found.relative) < 0.05
    assert 0 <= found.kl < 0.03
    assert found.label_law < 0.02
    assert found.excess_error < 0.01


@pytest.mark.parametrize("head", HEADS)
def test_every_number_approaches_the_truth_on_imbalanced_data(tmp_path, head):
    run, test = trained(tmp_path, head, n=9000, epochs=10, means=MEANS, dim=2, weights=UNEQUAL)
    check(distance(run, test))


def test_plain_softmax_plus_log_c_is_off_by_its_constant(tmp_path):
    run, test = trained(tmp_path, "softmax", n=9000, epochs=10, means=MEANS, dim=1, weights=UNEQUAL)
    truth, lat = test.truth["mutual_information"], run.latents("test")
    plain = np.log(5) - negative_log_likelihood(lat.log_probs, lat.y)
    assert plain - truth == pytest.approx(0.1196, abs=0.03)
    assert mutual_information(lat).estimate == pytest.approx(truth, abs=0.03)


def test_a_head_that_leaves_the_class_prior_out_still_learns_the_training_frequencies(tmp_path):
    data = {"n": 9000, "means": MEANS, "dim": 1, "weights": UNEQUAL}
    options = {"use_class_prior": False}
    run, _ = trained(tmp_path, "gaussian_mixture", head_options=options, epochs=10, **data)
    lat = run.latents("test")
    np.testing.assert_allclose(lat.label_prior, run.label_frequencies)
    as_trained, as_uniform = (
        mutual_information(replace(lat, label_prior=prior)).estimate
        for prior in (lat.label_prior, np.full(5, 0.2))
    )
    assert as_trained > as_uniform + 0.01


@pytest.mark.parametrize("weights", [EQUAL, UNEQUAL])
def test_the_law_of_a_mixture_head_on_the_raw_inputs_is_the_true_one(tmp_path, weights):
    data = {"n": 9000, "means": MEANS, "dim": 2, "weights": weights}
    run = train(
        dataset="mixture",
        dataset_options=data,
        head="gaussian_mixture",
        head_options={"learn_scale": True, "covariance": "diagonal", "likelihood_weight": 1.0},
        encoder=nn.Identity(),
        latent_dim=2,
        epochs=25,
        lr=0.2,
        probe_every=25,
        out=tmp_path,
        progress=False,
    )
    truth, found = true_prior(run.split("test")), run.prior()
    assert np.abs(found.mean - truth.mean).max() < 0.15
    assert np.abs(found.scale - 1).max() < 0.1
    assert np.abs(np.exp(found.log_weight) - np.exp(truth.log_weight)).max() < 0.02
    check(distance(run, run.split("test")))


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("weights", [EQUAL, UNEQUAL], ids=["balanced", "imbalanced"])
@pytest.mark.parametrize("dim", [1, 2, 5, 10])
def test_information_within_five_per_cent_of_quadrature(tmp_path, head, weights, dim):
    run, test = trained(tmp_path, head, means=MEANS, dim=dim, weights=weights)
    assert test.truth["method"] == "quadrature"
    check(distance(run, test))


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("data", TEN_AT_100_TO_1, ids=["d=1", "d=2"])
def test_ten_classes_at_a_hundred_to_one(tmp_path, head, data):
    run, test = trained(tmp_path, head, **data)
    check(distance(run, test))


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_the_distance_shrinks_with_more_data(tmp_path, head):
    found = []
    for n, epochs in ((900, 60), (30_000, 8)):
        run, test = trained(tmp_path, head, n=n, epochs=epochs, means=MEANS, dim=2, weights=UNEQUAL)
        found.append(distance(run, test))
    few, many = found
    assert many.kl < few.kl / 2
    assert abs(many.relative) < 0.03
