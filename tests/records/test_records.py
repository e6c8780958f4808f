"""The records refuse what is wrong with one clear line, and their laws agree with SciPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import multivariate_normal

from vcviz.base.errors import InputError
from vcviz.records import (
    LatentFit,
    LatentPrior,
    LatentSet,
    Projection,
    ReliabilityCurve,
    Split,
    Trajectory,
    as_array,
    as_float,
    as_labels,
    as_log_probs,
)

N, C, D, T = 7, 3, 2, 4


def log_probs(*shape: int, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).standard_normal((*shape, C))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def latents(**change) -> LatentSet:
    z = np.random.default_rng(1).standard_normal((N, D))
    return LatentSet(**({"z": z, "log_probs": log_probs(N), "y": np.arange(N) % C} | change))


def prior(kind: str = "scale", seed: int = 0) -> LatentPrior:
    rng = np.random.default_rng(seed)
    mean, weight = rng.standard_normal((C, D)), np.log(rng.dirichlet(np.ones(C)))
    if kind == "scale":
        return LatentPrior(mean, scale=rng.uniform(0.5, 2, (C, D)), log_weight=weight)
    tril = np.tril(rng.standard_normal((C, D, D)), -1) + np.eye(D) * rng.uniform(0.5, 2, (C, 1, 1))
    return LatentPrior(mean, scale_tril=tril, log_weight=weight)


class TestChecks:
    def test_log_probs_accept_minus_infinity_and_keep_a_float_type(self):
        certain = np.array([[0.0, -np.inf], [-np.inf, 0.0]], np.float32)
        assert as_log_probs(certain).dtype == np.float64
        assert as_log_probs(certain, dtype=None).dtype == np.float32
        assert as_log_probs(np.log([[0.5, 0.5]]).astype(np.float16), dtype=None).dtype == float

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([[0.2, 0.8]], "these look like probabilities: pass their log"),
            ([[3.0, 1.0]], "for raw logits subtract their logsumexp first"),
            ([[1e6, 1.0]], "for raw logits"),
            ([[np.nan, 0.0]], r"holds NaN or \+inf"),
            ([[np.inf, 0.0]], r"holds NaN or \+inf"),
            ([[0.0]], "at least 2 classes"),
            ([[-np.inf, -np.inf]], "one is off by 1"),
            ([["a", "b"]], "must be numeric"),
            ([[1, 2], [3]], "rectangular"),
            ([0.0, 0.0], "must have 2 axes"),
        ],
    )
    def test_log_probs_refuse(self, value, message):
        with pytest.raises(InputError, match=message):
            as_log_probs(value)

    def test_a_bad_row_is_found_wherever_it_is(self):
        many = np.log(np.full((20_000, 2), 0.5))
        many[19_999] = 0
        with pytest.raises(InputError, match="one is off by 1"):
            as_log_probs(many)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.zeros((N, 1), int), r"y must have shape \(7,\), one label per row, got \(7, 1\)"),
            (np.full(N, -1), r"y must lie in \[0, 3\), got labels from -1 to -1"),
            (np.full(N, 0.5), "y must hold integer labels, got dtype float64"),
            (np.full(N, np.nan), "y must hold integer labels"),
            (np.full(N, np.inf), "y must hold integer labels"),
            (np.full(N, 1e300), "y must hold integer labels"),
            (["a"] * N, "y must hold integer labels"),
            ([True] * N, "y must hold integer labels"),
        ],
    )
    def test_labels_refuse(self, value, message):
        with pytest.raises(InputError, match=message):
            as_labels("y", value, N, C)

    def test_whole_floats_are_labels(self):
        np.testing.assert_array_equal(as_labels("y", [0.0, 2.0], 2, C), [0, 2])

    @pytest.mark.parametrize("value", [1e300, -1e300, np.nan])
    def test_floats_that_do_not_fit_are_refused(self, value):
        with pytest.raises(InputError, match="z has 1 NaN or infinite values"):
            as_float("z", [0.0, value])

    def test_tensors_are_arrays(self):
        torch = pytest.importorskip("torch")
        np.testing.assert_array_equal(as_array("z", torch.ones(2, requires_grad=True)), [1, 1])
        for dtype in (torch.bfloat16, torch.float16):  # NumPy has no bfloat16
            values = as_array("z", torch.tensor([1.5, -2], dtype=dtype, requires_grad=True))
            np.testing.assert_array_equal(values, [1.5, -2])
        as_labels("y", torch.tensor([0.0, 2], dtype=torch.bfloat16), 2, 3)

    def test_log_probabilities_of_sixteen_bits_are_normalised(self):
        torch = pytest.importorskip("torch")
        exact = (
            torch.randn(50, 100, generator=torch.Generator().manual_seed(0)).mul(6).log_softmax(1)
        )
        for dtype in (torch.bfloat16, torch.float16):
            found = as_log_probs(exact.to(dtype), dtype=None)
            np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-6)
            np.testing.assert_allclose(found, exact, atol=0.2)
            with pytest.raises(InputError, match="must sum to 1"):
                as_log_probs(exact.to(dtype) + 0.1)

    def test_what_is_not_an_array_is_refused(self):
        with pytest.raises(InputError, match="dtype object"):
            as_array("z", [None])


class TestSplit:
    def test_kind_is_guessed_from_the_shape(self):
        y = np.arange(N) % C
        assert Split(np.zeros((N, 1, 4, 5), np.uint8), y).kind == "image"
        assert Split(np.zeros((N, 6), np.int32), y).kind == "text"
        assert Split(np.zeros((N, 6)), y).kind == "table"

    def test_take_keeps_rows_together(self):
        x = np.arange(N * 2, dtype=np.float32).reshape(N, 2)
        split = Split(
            x,
            np.arange(N) % C,
            texts=[f"t{i}" for i in range(N)],
            label_probs=np.eye(C)[np.arange(N) % C],
            labels={"noisy": np.arange(N) % 2},
        )
        for rows in ([5, 1], np.isin(np.arange(N), [1, 5])):
            part = split.take(rows)
            np.testing.assert_array_equal(part.x[:, 0], 2 * part.index)
            np.testing.assert_array_equal(part.y, part.index % C)
            np.testing.assert_array_equal(part.labels["noisy"], part.index % 2)
            np.testing.assert_array_equal(part.label_probs.argmax(1), part.y)
            assert part.texts == tuple(f"t{i}" for i in part.index)
        assert part.n_classes == C

    def test_an_absent_class_counts_zero(self):
        split = Split(np.zeros((2, 4)), [0, 2], ("a", "b", "c", "d"))
        np.testing.assert_array_equal(split.class_counts, [1, 0, 1, 0])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"x": np.zeros((0, 2)), "y": []}, "at least one row"),
            ({"x": np.zeros((N, 0))}, "at least one row with values"),
            ({"y": np.zeros(N, int)}, "at least 2 classes, got 1"),
            ({"y": np.zeros((N, 1), int)}, "one label per row"),
            ({"x": np.full((N, 2), np.nan)}, "x has 14 NaN or infinite values"),
            ({"x": np.full((N, 1, 2, 2), 7.0)}, "divide by 255 or pass uint8"),
            ({"x": np.full((N, 2), -1, np.int32)}, "token ids must be 0"),
            ({"x": np.zeros((N, 2, 2))}, r"a table must have shape \(N, features\)"),
            ({"kind": "sound"}, "unknown kind of data 'sound'"),
            ({"kind": "image"}, "images must have shape"),
            ({"kind": "text"}, "token ids must be"),
            ({"class_names": ("a", "b")}, r"labels from 0 to 2"),
            ({"label_probs": np.ones((N, C))}, "must be distributions"),
            ({"label_probs": np.ones((N, 2)) / 2}, r"must have shape \(7, 3\)"),
            ({"texts": ["a"]}, "texts must have 7 entries"),
            ({"index": [0, 1]}, r"index must have shape \(7,\)"),
            ({"labels": {"noisy": [1]}}, r"labels\['noisy'\] must have shape"),
        ],
    )
    def test_refuses(self, change, message):
        with pytest.raises(InputError, match=message):
            Split(**({"x": np.zeros((N, 2)), "y": np.arange(N) % C} | change))

    def test_an_empty_selection_is_refused(self):
        split = Split(np.zeros((N, 2)), np.arange(N) % C, name="digits")
        with pytest.raises(InputError, match="no rows of 'digits' were selected"):
            split.take([])


class TestLatentSet:
    def test_is_frozen_and_read_only(self):
        lat = latents()
        with pytest.raises(dataclasses.FrozenInstanceError):
            lat.z = None
        with pytest.raises(ValueError, match="read-only"):
            lat.z[0] = 1

    def test_the_caller_keeps_writing_rights(self):
        z = np.zeros((N, D), np.float32)
        latents(z=z)
        z[0] = 1

    def test_take_and_accuracy(self):
        lat = latents()
        part = lat.take([4, 2])
        np.testing.assert_array_equal(part.index, [4, 2])
        np.testing.assert_array_equal(part.z, lat.z[[4, 2]])
        right = latents(y=lat.log_probs.argmax(1))
        assert right.accuracy == 1
        assert (lat.n_classes, lat.latent_dim, len(lat)) == (C, D, N)
        assert lat.class_names == ("0", "1", "2")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"z": np.zeros((N, 0))}, "at least one latent"),
            ({"z": np.zeros(N)}, "z must have 2 axes"),
            ({"z": np.full((N, D), np.inf)}, "z has 14 NaN or infinite"),
            ({"log_probs": log_probs(N - 1)}, "log_probs must have 7 rows to match z, got 6"),
            ({"y": np.full(N, C)}, r"y must lie in \[0, 3\)"),
            ({"class_names": ("a",)}, "class_names must have 3 entries, got 1"),
        ],
    )
    def test_refuses(self, change, message):
        with pytest.raises(InputError, match=message):
            latents(**change)


class TestLatentPrior:
    @pytest.mark.parametrize("kind", ["scale", "scale_tril"])
    def test_log_prob_is_scipys(self, kind):
        law, z = prior(kind), np.random.default_rng(2).standard_normal((N, D))
        expected = np.stack(
            [multivariate_normal(law.mean[k], law.covariance[k]).logpdf(z) for k in range(C)],
            axis=1,
        )
        np.testing.assert_allclose(law.log_prob(z), expected)
        joint = np.exp(expected + law.log_weight)
        np.testing.assert_allclose(law.log_marginal(z), np.log(joint.sum(1)))
        np.testing.assert_allclose(
            np.exp(law.log_posterior(z)), joint / joint.sum(1, keepdims=True)
        )

    @pytest.mark.parametrize("kind", ["scale", "scale_tril"])
    def test_samples_whiten_to_a_standard_normal(self, kind):
        law, rng = prior(kind), np.random.default_rng(3)
        z, y = law.sample(30_000, rng)
        u = law.whiten(z, y)
        np.testing.assert_allclose(u.mean(0), 0, atol=0.03)
        np.testing.assert_allclose(np.cov(u.T), np.eye(D), atol=0.03)
        np.testing.assert_allclose(np.bincount(y) / len(y), np.exp(law.log_weight), atol=0.01)
        chosen, labels = law.sample([2, 2, 0], rng)
        assert chosen.shape == (3, D)
        np.testing.assert_array_equal(labels, [2, 2, 0])

    def test_mass_radius_holds_its_mass(self):
        law = prior("scale_tril")
        z, y = law.sample(20_000, np.random.default_rng(4))
        for mass in (0, 1, 50):
            with pytest.raises(InputError, match="mass must lie between 0 and 1"):
                law.mass_radius(mass)
        inside = (law.whiten(z, y) ** 2).sum(1) < law.mass_radius(0.5)[y] ** 2
        assert inside.mean() == pytest.approx(0.5, abs=0.015)

    def test_weights_are_normalised_and_may_be_minus_infinity(self):
        law = LatentPrior(np.zeros((C, D)), scale=1.0, log_weight=[5.0, 5.0, -np.inf])
        np.testing.assert_allclose(np.exp(law.log_weight), [0.5, 0.5, 0])
        assert np.exp(law.log_posterior(np.zeros((1, D))))[0, 2] == 0

    @pytest.mark.parametrize("kind", ["scale", "scale_tril"])
    def test_projection_is_that_of_the_samples(self, kind):
        law = prior(kind)
        turn = Projection("pca", ("a", "b"), np.array([[0.6, -0.8], [2.0, 1.0]]), np.array([1, 2]))
        projected = law.project(turn)
        by_matrix = law.project(turn.matrix)
        np.testing.assert_allclose(by_matrix.mean, law.mean @ turn.matrix)
        np.testing.assert_allclose(by_matrix.covariance, projected.covariance)
        np.testing.assert_allclose(projected.mean, (law.mean - [1, 2]) @ turn.matrix)
        for k in range(C):
            np.testing.assert_allclose(
                projected.covariance[k], turn.matrix.T @ law.covariance[k] @ turn.matrix
            )
        np.testing.assert_array_equal(projected.log_weight, law.log_weight)

    def test_projection_onto_an_empty_axis_keeps_a_density(self):
        law = LatentPrior(np.ones((C, 1)), scale=2.0)
        flat = law.project(Projection("pair", ("z₁", ""), np.array([[1.0, 0.0]])))
        np.testing.assert_allclose(np.sqrt(flat.covariance[0]), [[2, 0], [0, 2e-6]])

    def test_projection_must_be_linear(self):
        with pytest.raises(InputError, match="'umap' is not linear"):
            prior().project(Projection("umap", ("a", "b"), embed=lambda z: z))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"scale": None}, "exactly one of scale"),
            ({"scale_tril": np.zeros((C, D, D))}, "exactly one of scale"),
            ({"scale": 0.0}, "scale must be positive"),
            ({"scale": np.ones((D, C))}, r"scale must have shape \(3, 2\) like mean, got \(2, 3\)"),
            ({"scale": None, "scale_tril": np.ones((D, D, C))}, r"shape \(3, 2, 2\)"),
            ({"scale": None, "scale_tril": np.ones((C, D, D))}, "lower triangular"),
            ({"mean": np.zeros((0, D))}, "at least one of each"),
            ({"log_weight": np.zeros(2)}, r"log_weight must be \(3,\)"),
            ({"log_weight": [np.nan, 0, 0]}, "log_weight must be"),
            ({"log_weight": [np.inf, 0, 0]}, "log_weight must be"),
            ({"log_weight": [-np.inf] * 3}, "log_weight must be"),
            ({"log_weight": ["a", "b", "c"]}, "log_weight must be"),
            ({"family": "cauchy"}, "unknown family 'cauchy'"),
        ],
    )
    def test_refuses(self, change, message):
        with pytest.raises(InputError, match=message):
            LatentPrior(**({"mean": np.zeros((C, D)), "scale": 1.0} | change))

    def test_wrong_latents_are_refused(self):
        with pytest.raises(InputError, match="z must have 2 columns to match the prior, got 3"):
            prior().log_prob(np.zeros((N, 3)))
        with pytest.raises(InputError, match="n must be a number of draws"):
            prior().sample(-1, np.random.default_rng(0))

    @settings(max_examples=30, deadline=None)
    @given(z=arrays(float, (N, D), elements=st.floats(-1e4, 1e4)), order=st.permutations(range(C)))
    def test_classes_permute_with_their_columns(self, z, order):
        law, order = prior("scale_tril"), list(order)
        turned = LatentPrior(
            law.mean[order], scale_tril=law.scale_tril[order], log_weight=law.log_weight[order]
        )
        np.testing.assert_allclose(turned.log_posterior(z), law.log_posterior(z)[:, order])
        np.testing.assert_allclose(np.exp(law.log_posterior(z)).sum(1), 1)


def test_reliability_curve_wants_one_value_a_bin():
    names = ("confidence", "accuracy", "band_low", "band_high")
    names += ("count", "consistency_low", "consistency_high")
    bins = dict.fromkeys(names, np.zeros(2))
    rest = {
        "ece": 0.1,
        "ece_interval": (0, 1),
        "ece_if_calibrated": 0.1,
        "ece_if_calibrated_interval": (0, 1),
        "n": 4,
    }
    assert ReliabilityCurve(edges=[0, 0.5, 1], **bins, **rest).n_bins == 2
    with pytest.raises(InputError, match=r"count must have shape \(3,\), got \(2,\)"):
        ReliabilityCurve(edges=[0, 0.2, 0.5, 1], **bins, **rest)


def test_latent_fit_means_over_the_classes_that_have_a_value():
    one, two = np.ones(C), np.ones((C, 2))
    values = {"count": one, "energy": one, "energy_p": one, "auc": one, "whitened_variance": one}
    pairs = {"kl_interval": two, "energy_interval": two, "auc_interval": two}
    fit = LatentFit(("a", "b", "c"), kl=np.array([1, np.nan, 3]), **values, **pairs)
    assert fit.mean("kl") == 2
    with pytest.raises(InputError, match=r"kl must have shape \(3,\)"):
        LatentFit(("a", "b", "c"), kl=np.ones(2), **values, **pairs)
    with pytest.raises(InputError, match=r"auc_interval must have shape \(3, 2\)"):
        LatentFit(("a", "b", "c"), kl=one, **values, **(pairs | {"auc_interval": one}))


class TestTrajectory:
    def build(self, **change) -> Trajectory:
        rng = np.random.default_rng(0)
        x = rng.random((N, 1, 2, 3))
        values = {
            "z": rng.standard_normal((T + 1, N, D)),
            "log_probs": log_probs(T + 1, N),
            "distance": np.zeros((T + 1, N)),
            "x": x,
            "x_adv": x,
            "y": np.arange(N) % C,
            "epsilon": 0.1,
            "norm": "linf",
            "method": "pgd",
        }
        return Trajectory(**(values | change))

    def test_first_flip_by_hand(self):
        right, wrong = np.log([0.8, 0.1, 0.1]), np.log([0.1, 0.8, 0.1])
        steps = np.stack([[right] * 3, [right, wrong, wrong], [right, right, wrong]])
        path = self.build(
            z=np.zeros((3, 3, D)),
            log_probs=steps,
            distance=np.zeros((3, 3)),
            x=np.zeros((3, 4)),
            x_adv=np.zeros((3, 4)),
            y=[0, 0, 0],
        )
        np.testing.assert_array_equal(path.first_flip, [-1, 1, 1])
        np.testing.assert_allclose(path.accuracy, [1, 1 / 3, 2 / 3])
        assert path.steps == 2

    def test_a_step_is_a_latent_set(self):
        path = self.build(index=np.arange(N) + 10)
        step = path.at(2)
        np.testing.assert_array_equal(step.z, path.z[2])
        np.testing.assert_array_equal(step.index, path.index)
        assert step.name == "attack, step 2"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"log_probs": log_probs(T, N)}, r"log_probs must start with \(5, 7\)"),
            ({"distance": np.zeros(N)}, "distance must have 2 axes"),
            ({"distance": np.zeros((T, N))}, r"distance must have shape \(5, 7\)"),
            ({"y": np.zeros((N, 1), int)}, "one label per row"),
        ],
    )
    def test_refuses(self, change, message):
        with pytest.raises(InputError, match=message):
            self.build(**change)


class TestProjection:
    def test_is_an_offset_and_a_matrix(self):
        matrix = np.arange(6.0).reshape(3, 2)
        projection = Projection("pca", ("a", "b"), matrix, np.ones(3))
        z = np.random.default_rng(0).standard_normal((N, 3))
        np.testing.assert_allclose(projection(z), (z - 1) @ matrix)
        assert projection.linear
        assert not Projection("umap", ("a", "b"), embed=lambda z: z[:, :2]).linear

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({}, "exactly one of matrix"),
            ({"matrix": np.eye(2), "embed": abs}, "exactly one of matrix"),
            ({"matrix": np.ones((4, 3))}, "2 labels disagree"),
            ({"matrix": np.ones((4, 2)), "offset": np.ones(3)}, "disagree"),
        ],
    )
    def test_refuses(self, change, message):
        with pytest.raises(InputError, match=message):
            Projection("pca", ("a", "b"), **change)

    def test_wrong_latents_are_refused(self):
        with pytest.raises(InputError, match="z must have 4 columns for this projection, got 2"):
            Projection("pca", ("a", "b"), np.ones((4, 2)))(np.zeros((N, 2)))
