"""Results do not depend on how they are computed: batch size, order of rows, number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import vcviz
from vcviz.attacks import ATTACKS
from vcviz.models.classifier import Classifier
from vcviz.models.encoders import build_encoder
from vcviz.models.heads import HEADS, build_head
from vcviz.records import LatentSet, Split

#: of float32 sums in another order, relative to the largest value
TOLERANCE = 1e-5
N = 61


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    return Split(
        x=rng.random((N, 1, 8, 8)).astype(np.float32),
        y=np.arange(N) % 4,
        class_names=tuple("abcd"),
        name="noise",
        kind="image",
    )


def model_of(head: str) -> Classifier:
    torch.manual_seed(0)
    encoder = build_encoder("cnn", kind="image", input_shape=(1, 8, 8), latent_dim=5)
    return Classifier(encoder, build_head(head, latent_dim=5, n_classes=4)).eval()


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max())


@pytest.fixture
def threads() -> Iterator[None]:
    """Two threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("head", HEADS)
def test_latents_do_not_depend_on_the_batch_size(split: Split, head: str) -> None:
    model = model_of(head)
    whole = vcviz.extract_latents(model, split, batch_size=N)
    for batch_size in (1, 7, 60):
        part = vcviz.extract_latents(model, split, batch_size=batch_size)
        close(part.z, whole.z)
        close(part.log_probs, whole.log_probs)
        close(part.energy, whole.energy)


@pytest.mark.parametrize("head", HEADS)
def test_latents_do_not_depend_on_the_number_of_threads(
    split: Split, head: str, threads: None
) -> None:
    model = model_of(head)
    two = vcviz.extract_latents(model, split)
    torch.set_num_threads(1)
    one = vcviz.extract_latents(model, split)
    close(two.z, one.z)
    close(two.log_probs, one.log_probs)


@pytest.mark.parametrize("method", ATTACKS)
def test_attacks_do_not_depend_on_the_batch_size(split: Split, method: str) -> None:
    model = model_of("gaussian_mixture")
    options = {"method": method, "norm": "l2", "epsilon": 0.5, "progress": False}
    options |= {"steps": 4}
    whole = vcviz.attack(model, split, batch_size=N, **options)
    part = vcviz.attack(model, split, batch_size=9, **options)
    # Steps along a gradient of length one add their rounding up.
    np.testing.assert_allclose(part.z, whole.z, atol=2e-4 * np.abs(whole.z).max())
    np.testing.assert_allclose(part.distance, whole.distance, atol=1e-4)


@pytest.fixture(scope="module")
def latents() -> LatentSet:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(400, 3)) * 2
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=np.exp(row)) for row in log_probs])
    return LatentSet(rng.normal(size=(400, 2)) + y[:, None], log_probs, y)


NUMBERS = {
    "ece": lambda lat: vcviz.expected_calibration_error(lat.log_probs, lat.y),
    "ece by mass": lambda lat: vcviz.expected_calibration_error(
        lat.log_probs, lat.y, binning="mass"
    ),
    "smooth ece": lambda lat: (
        vcviz.metrics.smooth_calibration_error(lat.log_probs, lat.y, resamples=2).ece
    ),
    "brier": lambda lat: vcviz.metrics.brier_score(lat.log_probs, lat.y),
    "nll": lambda lat: vcviz.metrics.negative_log_likelihood(lat.log_probs, lat.y),
    "balanced accuracy": lambda lat: vcviz.metrics.balanced_accuracy(lat.log_probs, lat.y),
    "information": lambda lat: vcviz.mutual_information(lat).estimate,
    "mean": lambda lat: vcviz.empirical_prior(lat).mean,
    "covariance": lambda lat: vcviz.empirical_prior(lat).covariance,
    "energy distance": lambda lat: vcviz.energy_distance(lat.z[lat.y == 0], lat.z[lat.y == 1]),
    "auroc": lambda lat: vcviz.auroc(lat.z[lat.y == 0, 0], lat.z[lat.y == 1, 0]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_do_not_depend_on_the_order_of_rows(latents: LatentSet, name: str) -> None:
    rows = np.random.default_rng(2).permutation(len(latents))
    shuffled = LatentSet(latents.z[rows], latents.log_probs[rows], latents.y[rows])
    np.testing.assert_allclose(NUMBERS[name](shuffled), NUMBERS[name](latents), rtol=1e-9)
