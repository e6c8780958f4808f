"""What rows are coloured and found by: against what it is said to be."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from vcviz import InputError, LatentPrior, LatentSet
from vcviz.metrics import available_values, find_rows, row_values
from vcviz.metrics.ood import score


@pytest.fixture(scope="module")
def lat():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    scores = rng.normal(size=(60, 3)) + 2 * np.eye(3)[y]
    log_probs = scores - np.logaddexp.reduce(scores, axis=1)[:, None]
    table = {
        "height": rng.normal(size=60),
        "eyes": np.array(["blue", "brown", "green"])[rng.integers(0, 3, 60)],
        "many": np.array([f"w{i:02d}" for i in rng.integers(0, 40, 60)]),
        "twins": rng.random(60) < 0.5,
    }
    z = rng.normal(size=(60, 2)) + 3 * y[:, None]
    index = np.arange(100, 160)
    return LatentSet(z, log_probs, y, index=index, class_names=("a", "b", "c"), table=table)


@pytest.fixture(scope="module")
def prior():
    scale = np.array([[[1.0, 0], [0.5, 2]], [[2.0, 0], [0, 1]], [[1.0, 0], [0, 1]]])
    mean = 3.0 * np.arange(3)[:, None] * np.ones(2)
    return LatentPrior(mean, scale_tril=scale, log_weight=np.log([0.5, 0.3, 0.2]))


def test_probabilities(lat):
    p = np.exp(lat.log_probs.astype(float))
    right = row_values(lat, "right")
    assert right.levels == ("wrong", "right")
    assert np.array_equal(right.values, p.argmax(1) == lat.y)
    assert np.allclose(row_values(lat, "confidence").values, p.max(1))
    assert np.allclose(row_values(lat, "label_probability").values, p[np.arange(60), lat.y])
    assert np.allclose(row_values(lat, "entropy").values, -(p * np.log(p)).sum(1), atol=1e-6)


def test_densities_are_those_of_scipy(lat, prior):
    laws = [
        multivariate_normal(m, s @ s.T) for m, s in zip(prior.mean, prior.scale_tril, strict=True)
    ]
    each = np.array([law.logpdf(lat.z) for law in laws]).T
    assert np.allclose(
        row_values(lat, "log_density", prior=prior).values, each[np.arange(60), lat.y]
    )
    mixed = np.logaddexp.reduce(each + prior.log_weight, axis=1)
    assert np.allclose(row_values(lat, "log_marginal", prior=prior).values, mixed)
    away = [
        np.sqrt((z - laws[k].mean) @ np.linalg.inv(laws[k].cov) @ (z - laws[k].mean))
        for z, k in zip(lat.z, lat.y, strict=True)
    ]
    assert np.allclose(row_values(lat, "law_distance", prior=prior).values, away, rtol=1e-5)


def test_out_of_distribution_scores_are_those_of_ood(lat):
    found = row_values(lat, "mahalanobis", train=lat)
    assert np.array_equal(found.values, score(lat, "mahalanobis", train=lat))
    assert found.label == "Mahalanobis, squared σ"


def test_own_columns_are_scales_or_levels(lat):
    assert row_values(lat, "own:height").levels == ()
    assert np.array_equal(row_values(lat, "own:height").values, lat.table["height"])
    eyes = row_values(lat, "own:eyes")
    assert eyes.levels == ("blue", "brown", "green")
    assert [eyes.levels[int(v)] for v in eyes.values] == lat.table["eyes"].tolist()
    assert row_values(lat, "own:twins").levels == ("False", "True")


def test_of_many_words_the_most_frequent_are_levels(lat):
    many = row_values(lat, "own:many")
    assert len(many.levels) == 12
    assert many.levels[-1] == "others"
    words, counts = np.unique(lat.table["many"].astype(str), return_counts=True)
    assert many.levels[0] == words[counts.argmax()]
    assert (many.values == 0).sum() == counts.max()


def test_what_is_offered_can_be_had(lat, prior):
    offered = available_values(lat, prior=prior, train=lat)
    assert {"right", "log_density", "knn", "own:eyes"} <= set(offered)
    for name in offered:
        assert len(row_values(lat, name, prior=prior, train=lat).values) == 60
    assert "log_density" not in available_values(lat)
    with pytest.raises(InputError, match="needs the law"):
        row_values(lat, "log_density")
    with pytest.raises(InputError, match="did you mean 'entropy'"):
        row_values(lat, "entropie")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("107", lambda lat, p: lat.index == 107),
        ("b", lambda lat, p: lat.y == 1),
        ("confidence > 0.4 and not right",
         lambda lat, p: (p.max(1) > 0.4) & (p.argmax(1) != lat.y)),
        ("height < 0 and eyes == 'blue'",
         lambda lat, p: (lat.table["height"] < 0) & (lat.table["eyes"] == "blue")),
        ("BLUE", lambda lat, p: lat.table["eyes"] == "blue"),
        ("row == 103 or row == 105", lambda lat, p: np.isin(lat.index, [103, 105])),
    ],
)  # fmt: skip
def test_rows_are_found(lat, query, expected):
    p = np.exp(lat.log_probs.astype(float))
    assert np.array_equal(find_rows(lat, None, query), lat.index[expected(lat, p)])


def test_texts_are_searched_without_regard_to_capitals(lat):
    texts = [f"Text {i}, good" if i % 7 == 0 else "bad" for i in range(60)]
    assert np.array_equal(find_rows(lat, None, "GOOD", texts=texts), lat.index[::7])
    assert len(find_rows(lat, None, "  ")) == 0


@pytest.mark.parametrize("query", ["nothing like it", "@pd", "().__class__", "height >"])
def test_what_is_not_found_is_said_in_a_line(lat, query):
    with pytest.raises(InputError, match=r"no row matches .*known: row, label"):
        find_rows(lat, None, query)
