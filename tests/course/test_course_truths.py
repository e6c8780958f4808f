"""The course's numbers against closed forms, quadrature and other packages."""

import inspect

import numpy as np
import pytest
from fake_runs import prior, trajectory
from numpy.testing import assert_allclose
from scipy import integrate, optimize, stats
from scipy.special import expit, log_softmax

from vcviz.base.errors import InputError
from vcviz.course import attack, bits, gauge, lessons, noisy_labels, sharpness, terms, two_classes
from vcviz.course.answers import judge
from vcviz.data import load_data
from vcviz.metrics.calibration import expected_calibration_error


def on_a_grid(law, reach=16.0, n=241):
    """Return grid points (N, 2) and the weight of each in an integral over p(z)."""
    at = np.linspace(-reach, reach, n)
    points = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    return points, np.exp(law.log_marginal(points)) * (at[1] - at[0]) ** 2


# ---------------------------------------------------------------- 1


@pytest.mark.parametrize("share_b", [0.5, 0.2])
def test_with_equal_covariances_the_best_softmax_is_bayes_rule(share_b):
    law = two_classes.two_classes(mean_b=(1.0, 2.0), share_b=share_b)
    best = two_classes.best_softmax(law)
    assert_allclose(best.weight, law.mean[1] - law.mean[0], atol=1e-6)
    bias = np.log(share_b / (1 - share_b)) + 0.5 * (1.5**2 - 5)
    assert best.bias == pytest.approx(bias, abs=1e-6)
    assert best.excess == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("options", [{"spread": 2.6}, {"law": "two clumps"}, {"correlation": 0.8}])
def test_what_softmax_lacks_is_that_of_a_quadrature(options):
    law = two_classes.two_classes(**options)
    best = two_classes.best_softmax(law)
    z, weight = on_a_grid(law)
    p = np.exp(law.log_posterior(z))

    def nll(theta):
        odds = z @ theta[:2] + theta[2]
        said = log_softmax(np.stack([np.zeros_like(odds), odds], axis=1), axis=1)
        return -(weight[:, None] * p * said).sum()

    found = optimize.minimize(nll, [0.5, 0.0, 0.0], method="BFGS", options={"gtol": 1e-7})
    least = -(weight[:, None] * p * law.log_posterior(z)).sum()
    assert best.excess == pytest.approx(found.fun - least, rel=0.005)
    assert best.least == pytest.approx(least, rel=0.005)


def test_the_decision_line_has_the_shape_that_the_posterior_shows_far_out():
    angle = np.linspace(0, 2 * np.pi, 60)
    far = 500 * np.column_stack([np.cos(angle), np.sin(angle)])
    for options, shape, shares in (
        ({}, "line", (0.3, 0.7)),
        ({"spread": 2.0}, "ellipse", (1, 1)),
        ({"spread": 0.5}, "ellipse", (0, 0)),
        ({"correlation": 0.5}, "hyperbola", (0.1, 0.9)),
    ):
        law = two_classes.two_classes(**options)
        assert two_classes.boundary_shape(law) == shape
        share_b = (two_classes.log_odds(law, far) > 0).mean()
        assert shares[0] <= share_b <= shares[1]


def test_laws_keep_their_frequencies_and_a_clump_on_either_side():
    law = two_classes.two_classes("two clumps", mean_b=(1.0, 1.0), share_b=0.3)
    assert_allclose(np.exp(law.log_weight), [0.7, 0.3])
    left, right = law.log_prob([[-1.5, 0.0], [3.5, 2.0]])[:, 0]
    assert left == pytest.approx(right)
    tails = two_classes.two_classes("heavy tails")
    assert abs(two_classes.log_odds(tails, [[1e6, 0.0]])[0]) < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "gausian"}, "unknown law 'gausian'; did you mean 'gaussian'"),
        ({"mean_b": (1.0,)}, "mean_b must hold two numbers"),
        ({"correlation": 1.0}, "correlation must lie between -1 and 1"),
    ],
)
def test_a_law_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        two_classes.two_classes(**options)


# ---------------------------------------------------------------- 2


@pytest.mark.parametrize("shift", [(0, 0), (3, -2)])
def test_every_reading_is_the_same_classifier(shift):
    rng = np.random.default_rng(0)
    z = 5 * rng.standard_normal((40, 2))
    law = gauge.reading(gauge.WEIGHT, gauge.BIAS, gauge.ellipse(0.7, 3.0, 40), shift)
    layer = log_softmax(z @ gauge.WEIGHT.T + gauge.BIAS, axis=1)
    assert_allclose(law.log_posterior(z), layer, atol=1e-10)
    assert_allclose(law.covariance[0], law.covariance[2])


def test_an_ellipse_has_its_scale_ratio_and_turn():
    values, vectors = np.linalg.eigh(gauge.ellipse(0.5, 4.0, 90.0))
    assert_allclose(np.sqrt(values), [0.25, 1.0])
    assert_allclose(np.abs(vectors[:, 1]), [0, 1], atol=1e-12)


# ---------------------------------------------------------------- 4


def test_the_terms_are_the_integrals_that_they_say():
    m, s, mean, sd = 1.2, 0.7, 1.5, 0.3
    q, p = stats.norm(m, s), stats.norm(mean, 1)
    found = terms.terms(m, s, mean=mean, noise=sd)

    def under_q(f):
        return integrate.quad(lambda z: q.pdf(z) * f(z), m - 12 * s, m + 12 * s)[0]

    assert found["posterior"] == pytest.approx(under_q(lambda z: np.log(expit(2 * mean * z))))
    assert found["likelihood"] == pytest.approx(under_q(p.logpdf))
    assert found["entropy"] == pytest.approx(q.entropy())
    kl = under_q(lambda z: q.logpdf(z) - p.logpdf(z))
    assert found["likelihood"] + found["entropy"] == pytest.approx(-kl)
    # E_x KL(q(z|x) || p(z|y)) with q(z|x) = N(f, sd^2), f ~ N(m, s^2 - sd^2)
    spread = s**2 - sd**2
    sample_kl = 0.5 * (sd**2 + spread + (m - mean) ** 2 - 1 - np.log(sd**2))
    total = found["likelihood"] + found["entropy"] + found["rate"]
    assert total == pytest.approx(-sample_kl)


def test_each_objective_wants_what_the_lesson_says():
    shared = {"weight": 1.0, "mean": 1.5, "noise": 0.1}
    found = {
        name: terms.optimum(likelihood=a, entropy=b, rate=c, **shared)
        for name, (a, b, c) in terms.OBJECTIVES.items()
    }
    ce, mixture, bottleneck, vc = found.values()
    assert ce.m == 6.0
    assert ce.runs_away
    assert (bottleneck.m, bottleneck.s) == (mixture.m, mixture.s)
    assert mixture.s == pytest.approx(0.1, rel=0.05)
    assert not vc.runs_away
    assert 0.8 < vc.s < 1.0
    strong = terms.optimum(likelihood=True, entropy=True, rate=False, **shared | {"weight": 50})
    assert (strong.m, strong.s) == pytest.approx((1.5, 1.0), abs=0.05)
    forgets = terms.optimum(likelihood=True, entropy=True, rate=True, **shared | {"noise": 1.0})
    assert forgets.s == pytest.approx(1.0, abs=0.05)


# ---------------------------------------------------------------- 5


@pytest.mark.parametrize("value", [1.0, 2.5])
def test_the_true_calibration_error_is_that_of_a_large_sample(value):
    log_probs, y = sharpness.sample(value, 400_000, 0)
    found = expected_calibration_error(log_probs, y, n_bins=40)
    assert found == pytest.approx(sharpness.true_error(value), abs=0.003)
    assert (log_probs.argmax(1) == y).mean() == pytest.approx(sharpness.accuracy(), abs=0.003)


def test_sharpness_moves_no_decision():
    (one, y), (two, again) = (sharpness.sample(s, 300, 4) for s in (1.0, 3.0))
    np.testing.assert_array_equal(y, again)
    np.testing.assert_array_equal(one.argmax(1), two.argmax(1))


# ---------------------------------------------------------------- 6


def test_density_and_regions_along_an_attack():
    path, law = trajectory(9, 4), prior()
    own = attack.own_log_density(path, law)
    assert own.shape == (5, 9)
    law_of_7 = stats.multivariate_normal(law.mean[path.y[7]], np.eye(2))
    assert_allclose(own[3, 7], law_of_7.logpdf(path.z[3, 7]), rtol=1e-6)
    inside = attack.in_region(path, law)
    distance = np.linalg.norm(path.z - law.mean[path.y], axis=2)
    np.testing.assert_array_equal(inside, distance <= np.sqrt(-2 * np.log(0.05)))
    predicted = attack.in_region(path, law, of="predicted")
    means = law.mean[path.log_probs.argmax(2)]
    np.testing.assert_array_equal(
        predicted, np.linalg.norm(path.z - means, axis=2) <= np.sqrt(-2 * np.log(0.05))
    )
    rows = [i for i in range(9) if path.first_flip[i] > 0]
    share = np.mean([inside[path.first_flip[i], i] for i in rows]) if rows else np.nan
    assert attack.at_flip(path, inside) == pytest.approx(share, nan_ok=True)
    with pytest.raises(InputError, match="of must be 'own' or 'predicted', got 'other'"):
        attack.in_region(path, law, of="other")


# ---------------------------------------------------------------- 7


def test_turned_labels_and_the_softmax_for_them():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200_000)
    z = rng.normal(np.where(y == 1, noisy_labels.HALF, -noisy_labels.HALF))
    seen = np.where(rng.random(len(y)) < 0.2, 1 - y, y)
    near = np.abs(z - 0.4) < 0.05
    wanted = noisy_labels.flipped(np.array([2 * noisy_labels.HALF * 0.4]), 0.2)[0]
    assert seen[near].mean() == pytest.approx(wanted, abs=0.02)

    def nll(slope):
        return np.logaddexp(0, np.where(seen == 1, -slope, slope) * z).mean()

    found = optimize.minimize_scalar(nll, bounds=(0, 5), method="bounded")
    best = noisy_labels.fitted(0.2)
    assert best.slope == pytest.approx(found.x, rel=0.03)
    assert best.bias == pytest.approx(0, abs=1e-6)
    assert best.nll == pytest.approx(found.fun, abs=0.005)
    assert best.least < best.nll


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_without_turned_labels_the_best_softmax_is_bayes_rule(share):
    best = noisy_labels.fitted(0.0, share)
    assert best.slope == pytest.approx(2 * noisy_labels.HALF, abs=1e-5)
    assert best.bias == pytest.approx(np.log(share / (1 - share)), abs=1e-5)
    assert best.nll == pytest.approx(best.least, abs=1e-9)


def test_the_softmax_of_unequal_classes_and_turned_labels():
    z = np.linspace(-9, 9, 4001)
    half = noisy_labels.HALF
    joint = np.stack([0.8 * stats.norm.pdf(z, -half), 0.2 * stats.norm.pdf(z, half)])
    seen = np.array([[0.9, 0.1], [0.1, 0.9]]) @ joint

    def nll(theta):
        u = theta[0] * z + theta[1]
        return integrate.trapezoid(seen[1] * np.logaddexp(0, -u) + seen[0] * np.logaddexp(0, u), z)

    found = optimize.minimize(nll, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7})
    best = noisy_labels.fitted(0.1, 0.2)
    assert_allclose([best.slope, best.bias], found.x, atol=1e-4)
    assert best.nll == pytest.approx(found.fun, abs=1e-6)


def test_bias_rises_and_noise_falls_with_the_temperature():
    bias, spread = noisy_labels.smoothing(1.0).T
    assert bias[0] == pytest.approx(0, abs=2e-3)
    assert (np.diff(bias[4:]) > 0).all()
    assert spread[0] > 2 * spread[-1]


def test_the_plain_temperature_is_the_best():
    t, kl = noisy_labels.plain_temperature(1.0)
    truth = noisy_labels.argmax_probs(noisy_labels.utilities(1.0))[0]
    others = [
        stats.entropy(truth, np.exp(log_softmax(noisy_labels.UTILITIES / other)))
        for other in (t / 1.1, 1.1 * t)
    ]
    assert kl < min(others)


# ---------------------------------------------------------------- 8


@pytest.mark.parametrize("ratio", [1, 10])
def test_information_is_that_of_the_mixture_data(ratio):
    found = bits.known(2.0, ratio)
    means = (2.0 * (np.arange(4)[:, None] - 1.5)).tolist()
    weights = bits.frequencies(ratio).tolist()
    truth = load_data("mixture", means=means, weights=weights, n=20)[0].truth
    assert found.information == pytest.approx(truth["mutual_information"], abs=1e-6)
    assert found.entropy == pytest.approx(truth["label_entropy"])
    assert found.bound == pytest.approx(found.information, abs=1e-9)
    assert found.trap - found.bound == pytest.approx(np.log(4) - found.entropy)


def test_a_classifier_too_sharp_knows_less_by_its_kl():
    rng = np.random.default_rng(0)
    prior = bits.frequencies(5)
    y = rng.choice(4, 200_000, p=prior)
    z = rng.normal(2.0 * (y - 1.5))
    joint = stats.norm.logpdf(z[:, None], 2.0 * (np.arange(4) - 1.5)) + np.log(prior)
    right, said = log_softmax(joint, axis=1), log_softmax(2.0 * joint, axis=1)
    kl = (np.exp(right) * (right - said)).sum(1).mean()
    found = bits.known(2.0, 5, 2.0)
    assert found.information - found.bound == pytest.approx(kl, rel=0.02)


# ---------------------------------------------------------------- answers, by hand


def radius():
    """Where N(0, I) and N(0, 4 I) are equally dense."""
    narrow, wide = (stats.multivariate_normal([0, 0], v) for v in (1, 4))
    return optimize.brentq(lambda r: narrow.logpdf([r, 0]) - wide.logpdf([r, 0]), 0.1, 9)


def poisson_odds(counts):
    return stats.poisson(6).logpmf(counts) - stats.poisson(2).logpmf(counts)


def free_of_quadratic():
    """Count the directions in (μ, Σ⁻¹, log π) that leave p(y|z) of three Gaussians as it is."""
    z = 2 * np.random.default_rng(0).standard_normal((60, 2))
    squares = np.column_stack([z[:, 0] ** 2, z[:, 0] * z[:, 1], z[:, 1] ** 2, z])
    start = np.random.default_rng(1).normal(0, 0.2, 17)

    def posterior(theta):
        # Gaussians by their natural parameters; π sums to 1, so that one of them is none.
        natural = theta[:15].reshape(3, 5)
        precision = np.eye(2) + np.array([[[-2 * a, -b], [-b, -2 * c]] for a, b, c, *_ in natural])
        linear = natural[:, 3:]
        mean = np.linalg.solve(precision, linear[..., None])[..., 0]
        log_norm = 0.5 * np.linalg.slogdet(precision)[1] - 0.5 * (linear * mean).sum(1)
        joint = squares @ natural.T - 0.5 * (z**2).sum(1)[:, None] + log_norm
        return log_softmax(joint + np.append(theta[15:], 0), axis=1).ravel()

    steps = 1e-5 * np.eye(17)
    slopes = [(posterior(start + s) - posterior(start - s)) / 2e-5 for s in steps]
    return 17 - np.linalg.matrix_rank(slopes, tol=1e-5)


def noise_wanted():
    """Return the noise with the smallest divergence, and with the largest likelihood."""
    z = np.linspace(-40, 40, 80_001)

    def divergence(noise):
        q = stats.norm(0.5, noise)
        return integrate.trapezoid(q.pdf(z) * (q.logpdf(z) - stats.norm(0.7).logpdf(z)), z)

    def unlikely(noise):
        return integrate.trapezoid(-stats.norm(0.5, noise).pdf(z) * stats.norm(0.7).logpdf(z), z)

    least = optimize.minimize_scalar(divergence, bounds=(0.1, 4), method="bounded").x
    assert (np.diff([unlikely(s) for s in (0.01, 0.1, 0.5, 1, 2)]) > 0).all()
    return least, 0


def far_from_both():
    near, far = stats.norm(1.5), stats.norm(-1.5)
    return near.logpdf(10) - far.logpdf(10), near.logpdf(10) - near.logpdf(1.5)


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("1.1", np.linalg.inv([[1, 0.5], [0.5, 1]]) @ (4.0, 3.5)),
        ("1.2", -2 + np.log(0.25)),
        ("1.3", radius()),
        ("1.4", np.polyfit([0, 1, 2, 3], poisson_odds([0, 1, 2, 3]), 1)),
        ("2.1", 9),
        ("2.2", 0.2 + 0.5 * (3.2**2 + 0.4**2 - 1.1**2 - 0.9**2)),
        ("2.3", -(0.2 + 0.5 * (1.6 - 1.62)) / 2.1),
        ("2.4", free_of_quadratic()),
        ("2.5", 3),
        ("3.1", 0.5 * (0.01 - 1) + np.log(10)),
        ("3.2", stats.chi2(2).ppf(0.9) ** 0.5),
        ("3.4", stats.chi2(5).mean() / (2 * 50)),
        ("4.1", stats.norm(0, 0.1).entropy()),
        ("4.2", noise_wanted()),
        ("4.4", stats.norm(1.5, 1).sf(0)),
        ("5.1", 0.35),
        ("5.2", optimize.brentq(lambda t: expit(np.log(99) / t) - 0.9, 1, 9)),
        ("5.3", stats.binom(200, 0.8).expect(lambda k: abs(k / 200 - 0.8))),
        ("5.4", (0.0, 0.1)),
        ("5.5", (0.0, stats.entropy([0.5, 0.25, 0.25]))),
        ("6.1", 0.5),
        ("6.2", far_from_both()),
        ("6.3", 80 / (80 + 0.05 * 99_900)),
        ("7.1", optimize.brentq(lambda u: expit(u) + 0.2 * expit(-u) - 0.5, -9, 9)),
        ("7.2", stats.norm.cdf(1 / np.sqrt(2))),
        ("7.3", 1.0),
        ("7.4", optimize.brentq(lambda r: 0.9 * r + 0.1 * (1 - r) - 0.85, 0, 1)),
        ("8.1", stats.entropy([0.5, 0.25, 0.125, 0.125], base=2)),
        ("8.2", np.log2(10) - 0.5 / np.log(2)),
        ("8.3", 0.25 * np.log(2)),
        ("8.4", (stats.entropy([0.01, 0.99], base=2), 0.0)),
    ],
)
def test_the_truth_of_a_check_is_that_of_paper_and_pencil(question, value):
    assert_allclose(lessons.CHECKS[question].key().truth, value, rtol=1e-6)


#: checks that need nothing that their notebook has made
FREE = [q for q, check in lessons.CHECKS.items() if not inspect.signature(check.key).parameters]


@pytest.mark.parametrize("question", FREE)
def test_every_likely_mistake_has_its_own_hint(question):
    key = lessons.CHECKS[question].key()
    assert key.mistakes
    for hint, wrong in key.mistakes.items():
        for one in wrong if key.words and isinstance(wrong, tuple) else [wrong]:
            assert judge(question, one, lambda: key).message == hint
