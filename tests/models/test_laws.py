"""Every law of the latents against oracles, limits and the Gaussian; laws of the user's own."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import scipy.stats as st
import torch
import torch.distributions as td
from fake_runs import FakeRun
from hypothesis import given, settings
from hypothesis import strategies as hs
from torch.nn import functional as F

import vcviz
from vcviz.base.errors import InputError
from vcviz.models.heads import build_head
from vcviz.models.laws import LAWS, build_law, describe
from vcviz.models.laws.description import from_description
from vcviz.models.laws.means import separation_for, spread_means
from vcviz.records.sphere import log_normaliser, mean_length
from vcviz.records.titles import run_titles

N, C, D = 7, 3, 2
HEADS = ("gaussian_mixture", "variational")


def own(c=C, d=D):
    """A distribution of the user's own: a skewed two-component mixture a class."""
    draw = torch.Generator().manual_seed(5)
    loc = 5 * torch.randn(c, 2, d, generator=draw)
    scale = 0.5 + torch.rand(c, 2, d, generator=draw)
    parts = td.Independent(td.Normal(loc, scale), 1)
    return td.MixtureSameFamily(
        td.Categorical(logits=torch.tensor([0.3, -0.5]).expand(c, 2)), parts
    )


#: name -> options of a head
KINDS = {
    "isotropic": {},
    "diagonal": {"covariance": "diagonal"},
    "full": {"covariance": "full"},
    "shared": {"covariance": "full", "shared_scale": True},
    "student_t": {"law": "student_t", "law_options": {"df": 4.0, "learn_df": True}},
    "student_t full": {"law": "student_t", "covariance": "full", "shared_scale": True},
    "laplace": {"law": "laplace"},
    "laplace diagonal": {"law": "laplace", "covariance": "diagonal"},
    "von_mises_fisher": {"law": "von_mises_fisher"},
    "sphere shared": {"law": "von_mises_fisher", "shared_scale": True},
    "custom": {"law": own},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def head_of(kind, name="gaussian_mixture", c=C, d=D, dtype=torch.float64, **options):
    """Return a head with an uneven law, so that no symmetry hides a mistake."""
    torch.manual_seed(1)
    options = KINDS[kind] | options
    if callable(options.get("law")):
        options["law"] = options["law"](c, d)
    head = build_head(name, latent_dim=d, n_classes=c, **options).to(dtype)
    head.set_class_counts(torch.arange(c) % 4 + 1)
    with torch.no_grad():
        for value in head.law.state_dict().values():
            value.add_(0.3 * torch.randn(value.shape, dtype=value.dtype))
    return head


def latents(n=N, d=D, scale=4.0, dtype=torch.float64, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype) * scale


def labels(n=N, c=C):
    return torch.arange(n) % c


def scipy_log_prob(prior, z):
    """Return (N, C) log densities by SciPy."""
    columns = []
    for k in range(prior.n_classes):
        mean = prior.mean[k]
        if prior.family == "von_mises_fisher":
            law = st.vonmises_fisher(mean, prior.concentration[k])
            columns.append(law.logpdf(z / np.linalg.norm(z, axis=1, keepdims=True)))
        elif prior.family == "laplace":
            columns.append(st.laplace(mean, prior.scale[k]).logpdf(z).sum(1))
        elif prior.family == "student_t":
            law = st.multivariate_t(mean, prior.dispersion[k], df=prior.df[k])
            columns.append(law.logpdf(z))
        else:
            columns.append(st.multivariate_normal(mean, prior.covariance[k]).logpdf(z))
    return np.stack(columns, axis=1)


# ---------------------------------------------------------------- oracles


@each_kind
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("direct_size", [4096, 0])
def test_torch_numpy_and_scipy_agree_on_the_density(kind, d, direct_size, monkeypatch):
    monkeypatch.setattr("vcviz.models.laws.location_scale._DIRECT_SIZE", direct_size)
    head = head_of(kind, d=d)
    z, y = latents(d=d), labels()
    found = head.law.log_prob(z).detach().numpy()
    prior = head.prior()
    np.testing.assert_allclose(prior.log_prob(z), found, rtol=1e-9, atol=1e-9)
    own_class = head.law.log_prob(z, y).detach()
    np.testing.assert_allclose(own_class, found[np.arange(N), y], rtol=1e-9, atol=1e-9)
    if kind != "custom":
        np.testing.assert_allclose(scipy_log_prob(prior, z.numpy()), found, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        prior.log_posterior(z), head.log_probs(z).detach(), rtol=1e-6, atol=1e-6
    )


@each_kind
def test_density_integrates_to_one(kind):
    prior = head_of(kind).prior()
    if prior.family == "von_mises_fisher":
        angle = np.linspace(0, 2 * np.pi, 4001)[1:]
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        mass = np.exp(prior.log_prob(circle)).mean(0) * 2 * np.pi
    else:
        side = np.linspace(-40, 40, 801)
        grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        mass = np.exp(prior.log_prob(grid)).sum(0) * 0.01
    np.testing.assert_allclose(mass, 1, atol=0.02)  # heavy tails reach over the edge


@each_kind
@pytest.mark.parametrize("d", [2, 5])
def test_draws_of_both_sides_follow_the_density(kind, d):
    """Under the law residuals are standard normal: mean, spread, and each coordinate by KS."""
    head = head_of(kind, d=d)
    prior = head.prior()
    y = labels(6000)
    by_torch = head.law.sample(y, generator=torch.Generator().manual_seed(2)).numpy()
    by_numpy = prior.sample(y, np.random.default_rng(3))[0]
    for z in (by_torch, by_numpy):
        u = prior.whiten(z, y)
        if prior.normal_residuals:
            assert u.shape[1] == (d - 1 if prior.family == "von_mises_fisher" else d)
            p_values = [st.kstest(column, "norm").pvalue for column in u.T]
            length = (u**2).sum(1)
            p_values.append(st.kstest(length, st.chi2(u.shape[1]).cdf).pvalue)
            assert min(p_values) > 1e-3
        np.testing.assert_allclose(np.cov(u.T), np.eye(u.shape[1]), atol=0.08)
        own_class = prior.log_prob(z)[np.arange(len(y)), y]
        assert own_class.mean() == pytest.approx(
            prior.log_prob(by_numpy)[np.arange(len(y)), y].mean(), abs=0.12
        )


@each_kind
def test_covariance_is_that_of_draws(kind):
    prior = head_of(kind, law_options={"df": 9.0} if "student" in kind else None).prior()
    z, y = prior.sample(np.repeat(np.arange(C), 60_000), np.random.default_rng(0))
    for k in range(C):
        spread = np.abs(prior.covariance[k]).max()
        np.testing.assert_allclose(np.cov(z[y == k].T), prior.covariance[k], atol=0.06 * spread)


def test_a_heavy_tail_has_no_covariance():
    prior = build_law("student_t", latent_dim=D, n_classes=C, df=1.5, initial_scale=1.0).prior(
        torch.zeros(C)
    )
    assert np.isinf(prior.covariance).all()
    np.testing.assert_allclose(prior.dispersion, np.broadcast_to(np.eye(D), (C, D, D)), rtol=1e-6)


@pytest.mark.parametrize("dim", [2, 3, 10, 64, 129, 1024])
@pytest.mark.parametrize("k", [1e-6, 1e-2, 1.0, 50.0, 1e3, 1e6])
def test_the_normaliser_of_the_sphere_is_exact(dim, k):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        v = mpmath.mpf(dim) / 2 - 1
        bessel, above = mpmath.besseli(v, k), mpmath.besseli(v + 1, k)
        expected = v * mpmath.log(k) - dim / mpmath.mpf(2) * mpmath.log(2 * mpmath.pi)
        expected = float(expected - mpmath.log(bessel))
        ratio = float(above / bessel)
    assert float(log_normaliser(k, dim)) == pytest.approx(expected, rel=1e-10)
    assert float(mean_length(k, dim)) == pytest.approx(ratio, rel=1e-8)


@pytest.mark.parametrize("dim", [2, 7, 300])
def test_the_derivative_of_the_normaliser(dim):
    from vcviz.models.laws.von_mises_fisher import _LogNormaliser

    k = torch.tensor([0.01, 3.0, 80.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k: _LogNormaliser.apply(k, dim), (k,))


# ---------------------------------------------------------------- limits


@settings(max_examples=15, deadline=None)
@given(
    seed=hs.integers(0, 10_000),
    c=hs.integers(2, 6),
    d=hs.integers(1, 6),
    law=hs.sampled_from(["gaussian", "student_t"]),
    shared=hs.booleans(),
    dtype=hs.sampled_from([torch.float32, torch.float64]),
)
def test_full_of_a_diagonal_is_diagonal_is_isotropic(seed, c, d, law, shared, dtype):
    """The three forms of one covariance are the same law."""
    z = latents(5, d, dtype=dtype, seed=seed)
    found = []
    for covariance in ("isotropic", "diagonal", "full"):
        options = {"covariance": covariance, "shared_scale": shared, "initial_scale": 1.7}
        built = build_law(law, latent_dim=d, n_classes=c, **options).to(dtype)
        found.append((built.log_prob(z), built.whiten(z, labels(5, c))))
    for density, residual in found[1:]:
        torch.testing.assert_close(density, found[0][0], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(residual, found[0][1])


@settings(max_examples=15, deadline=None)
@given(
    seed=hs.integers(0, 10_000),
    d=hs.integers(1, 9),
    covariance=hs.sampled_from(("diagonal", "full")),
)
def test_many_degrees_of_freedom_make_a_gaussian(seed, d, covariance):
    z, y = latents(5, d, seed=seed, scale=3.0), labels(5)
    options = {"latent_dim": d, "n_classes": C, "covariance": covariance, "separation": 6.0}
    gaussian = build_law("gaussian", **options).double()
    heavy = build_law("student_t", df=1e9, **options).double()
    torch.testing.assert_close(heavy.log_prob(z), gaussian.log_prob(z), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(heavy.whiten(z, y), gaussian.whiten(z, y), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(heavy.excess(z, y), gaussian.excess(z, y), rtol=1e-6, atol=1e-6)
    one, other = (law.prior(torch.zeros(C)) for law in (heavy, gaussian))
    np.testing.assert_allclose(one.whiten(z, y), other.whiten(z, y), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-6)


@pytest.mark.parametrize("d", [2, 3, 16, 200])
def test_without_concentration_the_sphere_is_uniform(d):
    law = build_law("von_mises_fisher", latent_dim=d, n_classes=C, concentration=1e-6).double()
    area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
    density = law.log_prob(latents(d=d)).detach()
    torch.testing.assert_close(density, torch.full_like(density, -area), rtol=1e-5, atol=1e-5)
    z = law.sample(labels(20_000), generator=torch.Generator().manual_seed(0))
    assert z.mean(0).norm() < 4 / math.sqrt(20_000)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(20_000, dtype=z.dtype))
    spread = z.T @ z / len(z)
    torch.testing.assert_close(spread, torch.eye(d, dtype=z.dtype) / d, rtol=0, atol=0.01)


def test_large_concentration_is_a_gaussian_on_the_tangent_plane():
    law = build_law("von_mises_fisher", latent_dim=3, n_classes=2, concentration=1e5)
    y = torch.zeros(20_000, dtype=torch.int64)
    u = law.whiten(
        law.sample(y, generator=torch.Generator().manual_seed(0)), y, frozen=True
    ).numpy()
    values = np.linalg.eigvalsh(np.cov(u.T))
    np.testing.assert_allclose(values, [0, 1, 1], atol=0.03)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("law", ["gaussian", "von_mises_fisher"])
@settings(max_examples=5, deadline=None)
@given(seed=hs.integers(0, 10_000), c=hs.integers(2, 6), d=hs.integers(2, 6))
def test_one_shared_scale_is_a_softmax_layer(name, law, seed, c, d):
    """Exactly, with a full covariance too: W = S^-1 mu, b = log pi - mu'S^-1 mu / 2."""
    kind = {"gaussian": "shared", "von_mises_fisher": "sphere shared"}[law]
    head = head_of(kind, name, c, d)
    z = head.place(latents(9, d, seed=seed)).numpy()
    prior = head.prior()
    if law == "gaussian":
        weight = np.linalg.solve(prior.covariance, prior.mean[:, :, None])[:, :, 0]
        bias = prior.log_weight - 0.5 * (weight * prior.mean).sum(1)
    else:
        weight, bias = prior.concentration[:, None] * prior.mean, prior.log_weight
    scores = torch.as_tensor(z @ weight.T + bias)
    found = head.log_probs(torch.from_numpy(z))
    torch.testing.assert_close(found, scores.log_softmax(1), rtol=1e-6, atol=1e-6)


@each_kind
def test_without_critic_the_variational_head_is_the_mixture(kind):
    """For every family, values and gradients bit for bit."""
    learned = {"learn_scale": True, "likelihood_weight": 0.3}
    head = head_of(kind, "variational", critic_weight=0.0, mle_to_encoder=True, **learned)
    mixture = head_of(kind, "gaussian_mixture", **learned)
    mixture.law.load_state_dict(head.law.state_dict())
    z, y = latents().requires_grad_(), labels()
    losses = [h.loss(h.place(z), y) for h in (head, mixture)]
    assert torch.equal(losses[0].total, losses[1].total)
    grads = [
        torch.autograd.grad(loss.total, [z, *h.law.parameters()])
        for loss, h in zip(losses, (head, mixture), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))
    assert len(grads[0]) >= 3


@each_kind
def test_excess_is_how_far_the_density_lies_below_its_mode(kind):
    head = head_of(kind)
    z, y = latents(), labels()
    if kind == "custom":  # a mixture of normals does not know its mode
        with pytest.raises(InputError, match="MixtureSameFamily does not know; take margin=0"):
            head.law.excess(z, y)
        return
    mode = head.law.direction() if "concentration" in dir(head.law) else head.law.mean
    expected = head.law.log_prob(mode[y], y) - head.law.log_prob(z, y)
    torch.testing.assert_close(head.law.excess(z, y), expected)
    assert (expected >= 0).all()
    margin = head_of(kind, margin=0.5)
    logits = head.logits(z) - 0.5 * expected[:, None] * F.one_hot(y, C)
    torch.testing.assert_close(margin.loss(z, y)["cross_entropy"], F.cross_entropy(logits, y))


# ---------------------------------------------------------------- numbers


@each_kind
@pytest.mark.parametrize("name", HEADS)
def test_gradients_agree_with_finite_differences(kind, name):
    options = {"learn_scale": True}
    options |= {"margin": 0.3} if name == "gaussian_mixture" and kind != "custom" else {}
    options |= {"mle_to_encoder": True, "critic_weight": 0.0} if name == "variational" else {}
    head, y = head_of(kind, name, **options), labels()
    z = latents(scale=1.5).requires_grad_()
    parameters = tuple(head.main_parameters())
    assert torch.autograd.gradcheck(
        lambda z, *_: head.loss(head.place(z), y).total, (z, *parameters)
    )


@each_kind
def test_the_critic_sees_every_family_alike(kind):
    """Its gradients are right, and its inputs about unit size under the law."""
    head, y = head_of(kind, "variational"), labels()
    z = latents(scale=1.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: head.loss(head.place(z), y)["critic"], (z,))
    y = labels(3000)
    drawn = head.law.sample(y, generator=torch.Generator().manual_seed(0))
    u = head.law.whiten(drawn, y, frozen=True)
    assert not u.requires_grad
    assert 0.5 < u.square().mean().sqrt() < 2
    assert u.abs().max() < 20


@each_kind
@pytest.mark.parametrize(
    ("n", "c", "d", "dtype"),
    [
        (1, 2, 2, torch.float32),
        (4, 5, 9, torch.float32),
        (4, 5, 9, torch.float64),
        (3, 1000, 64, torch.float32),
        # float64 has more room
        pytest.param(1, 2, 2, torch.float64, marks=pytest.mark.slow),
        pytest.param(3, 1000, 64, torch.float64, marks=pytest.mark.slow),
    ],
)
def test_far_latents_and_many_classes_stay_finite(kind, dtype, n, c, d):
    head = head_of(kind, "variational", c, d, dtype, learn_scale=True)
    z = head.place(latents(n, d, scale=1e4, dtype=dtype).requires_grad_())
    y = torch.zeros(n, dtype=torch.int64)  # other classes absent
    loss = head.loss(z, y)
    critic = head.critic_terms(z.detach(), y, generator=torch.Generator().manual_seed(0))
    assert all(term.isfinite() and term.dtype == dtype for term in loss.terms.values())
    assert critic.total.isfinite()
    grads = torch.autograd.grad(loss.total, [z, *head.law.parameters()], allow_unused=True)
    assert all(g.isfinite().all() for g in grads if g is not None)
    log_probs = head.log_probs(z)
    assert log_probs.dtype == dtype
    torch.testing.assert_close(log_probs.logsumexp(1), torch.zeros(n, dtype=dtype))


@pytest.mark.parametrize("law", [n for n in LAWS if n != "von_mises_fisher"])
@pytest.mark.parametrize("c", [2, 4])
def test_one_dimension_and_one_row(law, c):
    head = build_head("variational", latent_dim=1, n_classes=c, law=law, learn_scale=True)
    z, y = torch.tensor([[0.7]]), torch.tensor([1])
    assert head.loss(z, y).total.isfinite()
    assert head.critic_terms(z, y).total.isfinite()
    prior = head.prior()
    np.testing.assert_allclose(prior.log_prob(z), head.law.log_prob(z).detach(), rtol=1e-6)


@pytest.mark.parametrize(
    ("law", "options", "reach"),
    [
        ("student_t", {"df": 400.0}, 400),
        ("student_t", {"df": 1e4}, 200),
        ("laplace", {}, 3000),
        ("von_mises_fisher", {"concentration": 9e4}, 0.9),
    ],
)
def test_residuals_far_out_keep_their_order(law, options, reach):
    """Where the mass beyond a latent is no longer a number, its residual goes on smoothly."""
    prior = build_law(law, latent_dim=4, n_classes=2, **options).prior(torch.zeros(2))
    side = np.eye(4)[3] - prior.mean[0] * prior.mean[0, 3]
    z = prior.mean[0] + reach * np.linspace(0, 1, 4000)[:, None] * side
    length = np.linalg.norm(prior.whiten(z, np.zeros(4000, int)), axis=1)
    step = np.diff(length)[100:]
    assert np.isfinite(length).all()
    assert length[-1] > 40
    assert (step > 0).all()
    np.testing.assert_allclose(step[1:], step[:-1], rtol=0.1)
    assert np.isfinite(prior.whiten(1e6 * z, np.zeros(4000, int))).all()


@pytest.mark.parametrize("kind", ["isotropic", "student_t", "laplace", "von_mises_fisher"])
def test_a_collapsing_scale_stops_at_its_floor_and_can_rise_again(kind):
    head = head_of(kind, learn_scale=True)
    name = "log_concentration" if kind == "von_mises_fisher" else "log_scale"
    parameter = getattr(head.law, name)
    with torch.no_grad():
        parameter.fill_(50 if kind == "von_mises_fisher" else -50)
    prior = head.prior()
    if kind == "von_mises_fisher":
        np.testing.assert_allclose(prior.concentration, 1e6)
    else:
        np.testing.assert_allclose(prior.scale, 1e-3)
    head.likelihood(latents(), labels()).backward()
    assert parameter.grad.ne(0).all()  # the minimiser's step leads back
    assert ((parameter.grad < 0) == (kind != "von_mises_fisher")).all()


@each_kind
def test_draws_repeat_and_leave_the_global_state_alone(kind):
    law = head_of(kind).law
    state = torch.get_rng_state()
    one, two = (law.sample(labels(), generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, law.sample(labels(), generator=torch.Generator().manual_seed(5)))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("law", "options", "distance"),
    [
        ("gaussian", {}, 6.0),
        ("laplace", {}, 11.83),
        ("student_t", {"df": 5.0}, 2 * st.t(5).isf(st.norm.sf(3))),
        ("student_t", {"df": 1e7}, 6.0),
    ],
)
def test_neighbours_overlap_alike_in_every_family(law, options, distance):
    built = build_law(law, latent_dim=1, n_classes=2, initial_scale=2.0, **options)
    assert (built.mean[1] - built.mean[0]).item() / 2 == pytest.approx(distance, abs=0.01)
    z, y = built.prior(torch.zeros(2)).sample(np.arange(400_000) % 2, np.random.default_rng(0))
    wrong = (built.prior(torch.zeros(2)).log_prob(z).argmax(1) != y).mean()
    assert wrong == pytest.approx(st.norm.sf(3), rel=0.15)


@pytest.mark.parametrize(("c", "d"), [(2, 2), (10, 2), (10, 3), (10, 16), (4, 64)])
def test_neighbours_on_the_sphere_lie_six_standard_deviations_apart(c, d):
    law = build_law("von_mises_fisher", latent_dim=d, n_classes=c)
    prior = law.prior(torch.zeros(c))
    cosine = prior.mean @ prior.mean.T - 3 * np.eye(c)
    i, j = np.unravel_index(cosine.argmax(), cosine.shape)
    apart = prior.mean[i] - prior.mean[j]
    length = mean_length(prior.concentration[0], d) * np.linalg.norm(apart)
    axis = apart / np.linalg.norm(apart)
    assert length / np.sqrt(axis @ prior.covariance[i] @ axis) == pytest.approx(6, rel=1e-3)


# ---------------------------------------------------------------- the user's own


def distributions(c=C, d=D):
    loc = torch.arange(c * d, dtype=torch.float32).reshape(c, d)
    tril = torch.eye(d).expand(c, d, d) + 0.3 * torch.ones(d, d).tril(-1)
    return {
        "normal": td.Normal(loc, 1.5),
        "independent": td.Independent(td.Laplace(loc, torch.ones(c, d)), 1),
        "student": td.StudentT(torch.full((c, d), 4.0), loc, 0.7),
        "cauchy": td.Cauchy(loc, torch.ones(c, d)),
        "full": td.MultivariateNormal(loc, scale_tril=tril),
        "low rank": td.LowRankMultivariateNormal(loc, torch.ones(c, d, 1), torch.ones(c, d)),
        "gumbel": td.Gumbel(loc, torch.ones(c, d)),
        "mixture": own(c, d),
    }


@pytest.mark.parametrize("name", distributions())
def test_a_distribution_goes_through_json_and_back(name):
    law = distributions()[name]
    described = describe(law)
    again = from_description(json.loads(json.dumps(described)))
    assert type(again) is type(law)
    one = build_law(law, latent_dim=D, n_classes=C)
    two = build_law(json.loads(json.dumps(described)), latent_dim=D, n_classes=C)
    torch.testing.assert_close(
        one.log_prob(latents()), two.log_prob(latents()), rtol=1e-5, atol=1e-5
    )
    z = law.sample((6,))
    expected = law.log_prob(z)
    expected = expected.sum(-1) if expected.ndim == 3 else expected
    found = torch.stack([one.log_prob(z[:, k])[:, k] for k in range(C)], dim=1)
    torch.testing.assert_close(found.float(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", distributions())
@pytest.mark.parametrize(("mean", "scale"), [(True, True), (True, False), (False, False)])
def test_learned_parameters_of_a_distribution_keep_their_constraints(name, mean, scale):
    law = build_law(
        distributions()[name], latent_dim=D, n_classes=C, learn_mean=mean, learn_scale=scale
    )
    learned = {n for n, _ in law.named_parameters()}
    locs = {n for n in law.state_dict() if n.endswith("loc")}
    assert locs
    assert learned == (locs if mean else set()) | (set(law.state_dict()) - locs if scale else set())
    before = law.log_prob(latents())
    for step in (0.3, 3.0):
        with torch.no_grad():
            for parameter in law.parameters():
                parameter.add_(step * torch.randn(parameter.shape))
        found = law.log_prob(latents())
        # Far out in a tail a log-density is below what a float can be, which is still a number.
        assert not found.isnan().any()
        assert step > 1 or found.isfinite().all()
    assert not learned or not torch.equal(law.log_prob(latents()), before)
    from_description(describe(law.distribution()))  # torch itself checks the values


class Shifted(td.Distribution):
    """A class of the user's own that torch does not know."""

    arg_constraints: ClassVar = {}
    support = td.constraints.real_vector

    def __init__(self) -> None:
        super().__init__(torch.Size([C]), torch.Size([D]), validate_args=False)

    def log_prob(self, value):
        at = torch.arange(C, dtype=value.dtype)[:, None]
        return td.Normal(0.0, 1.0).log_prob(value - at).sum(-1)

    def sample(self, sample_shape=()):
        return torch.randn(*sample_shape, C, D) + torch.arange(C)[:, None]


def test_a_class_of_the_users_own_is_kept_as_it_is():
    head = build_head("variational", latent_dim=D, n_classes=C, law=Shifted())
    assert list(head.law.state_dict()) == []
    assert head.loss(latents(dtype=torch.float32), labels()).total.isfinite()
    prior = head.prior()
    np.testing.assert_allclose(prior.mean, np.repeat([[0], [1], [2]], 2, 1), atol=0.1)
    np.testing.assert_allclose(prior.scale, 1, atol=0.1)
    with pytest.raises(InputError, match="Shifted is not made of these alone"):
        describe(Shifted())


class Mute(Shifted):
    def log_prob(self, value):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "gausian"}, "unknown law 'gausian'; did you mean 'gaussian'"),
        ({"law": 3}, "law must be one of gaussian, .* or a torch.distributions object, got 3"),
        ({"law": "laplace", "covariance": "full"}, "unknown covariance 'full'"),
        ({"law": "laplace", "law_options": {"df": 3}}, "unknown option of law 'laplace'.*df"),
        ({"law": "student_t", "law_options": {"dff": 3}}, "did you mean 'df'"),
        ({"law": "student_t", "law_options": {"df": 0.5}}, "df must be a number of at least 1"),
        ({"law": "von_mises_fisher", "initial_scale": 2.0}, "has no initial_scale; leave it out"),
        ({"law": "von_mises_fisher", "covariance": "full"}, "has no covariance; leave it out"),
        (
            {"law": "von_mises_fisher", "separation": 3, "law_options": {"concentration": 3}},
            "give concentration or separation, not both",
        ),
        (
            {"law": "von_mises_fisher", "law_options": {"concentration": 0}},
            "must be a number above 0",
        ),
        ({"law": "von_mises_fisher", "latent_dim": 1}, "needs latent_dim of at least 2, got 1"),
        ({"law": td.Normal(torch.zeros(4, 2), 1.0)}, r"batch_shape \(3, 2\); Normal has \(4, 2\)"),
        ({"law": td.Normal(torch.zeros(3), 1.0)}, r"law must have batch_shape \(3,\)"),
        ({"law": td.LogNormal(torch.zeros(3, 2), 1.0)}, "density on all of R.2, that of LogNormal"),
        ({"law": td.Poisson(torch.ones(3, 2))}, "that of Poisson is limited to"),
        ({"law": Mute()}, "needs log_prob and sample, Mute lacks one"),
        ({"law": {"loc": 1}}, "described by its class under 'distribution'"),
        ({"law": {"distribution": "Normel"}}, "unknown distribution 'Normel'; did you mean"),
        ({"law": {"distribution": "TransformedDistribution"}}, "unknown distribution"),
        ({"law": {"distribution": "Normal", "lok": 1}}, "unknown parameter of Normal.*'loc'"),
        ({"law": {"distribution": "Normal", "loc": [[1], [1, 2]]}}, "loc must be a rectangular"),
        ({"law": {"distribution": "Normal", "loc": 0.0, "scale": -1.0}}, "Normal cannot be built"),
        ({"law": td.Normal(torch.zeros(3, 2), 1.0), "separation": 3}, "has no separation"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(options, message):
    options = {"latent_dim": D, "n_classes": C} | options
    with pytest.raises(InputError, match=message) as caught:
        build_head("variational", **options)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize("kind", ["full", "student_t", "laplace", "von_mises_fisher", "custom"])
def test_a_run_gives_its_law_back_at_every_epoch(kind, tmp_path):
    options = {"learn_scale": True} | KINDS[kind]
    if kind == "custom":
        options["law"] = own(10)
    # Of a point encoder, whose prediction is the posterior at the latent and no mean over draws.
    quick = {"epochs": 2, "n_train": 60, "probe_size": 20, "device": "cpu", "stochastic": False}
    run = vcviz.train(
        head="variational", head_options=options, out=tmp_path, progress=False, **quick
    )
    law, model = run.prior(), run.model()
    assert law.family == (kind if kind != "full" else "gaussian")
    z = run.latents("test").z
    np.testing.assert_allclose(law.log_prob(z), model.head.prior().log_prob(z), rtol=1e-6)
    first = run.prior(0)
    assert not np.allclose(first.log_prob(z), law.log_prob(z))
    stored = run.latents("test")
    np.testing.assert_allclose(law.log_posterior(z), stored.log_probs, rtol=1e-3, atol=2e-3)
    if kind == "von_mises_fisher":
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    # The settings hold the law as JSON: the same object finds the same run.
    again = vcviz.train(
        head="variational", head_options=options, out=tmp_path, progress=False, **quick
    )
    assert again.path == run.path
    assert run.anticipates == "stated"


def test_a_law_that_is_no_json_is_refused_before_training(tmp_path):
    with pytest.raises(InputError, match="Shifted is not made of these alone"):
        vcviz.train(head="variational", head_options={"law": Shifted()}, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_titles_name_the_law_where_heads_are_alike():
    def run(head="variational", d=2, **options):
        config = SimpleNamespace(head=head, latent_dim=d, head_options=options, stochastic=False)
        run = FakeRun(head, d)
        run.name, run.config = str(options), config
        return run

    described = describe(td.Independent(td.Cauchy(torch.zeros(3, 2), 1.0), 1))
    alike = [
        run(),
        run(law="student_t"),
        run(law=described),
        run(law="gaussian", covariance="full"),
    ]
    assert run_titles(alike) == [
        "variational, Gaussian",
        "variational, Student-t",
        "variational, Cauchy",
        "variational, Gaussian, full",
    ]
    assert run_titles([run(), run("softmax", law="laplace")]) == ["variational", "softmax"]
    assert run_titles([run(law="laplace"), run(), run(law="laplace", d=3)])[2].endswith("D = 3")


def test_training_under_several_laws_and_rates(tmp_path):
    quick = {"epochs": 1, "n_train": 60, "probe_size": 20, "device": "cpu", "out": tmp_path}
    heavy = {"law": "student_t", "law_options": {"df": 3.0}}
    runs = vcviz.training.train_grid(
        {"head_options": [{}, heavy, {"covariance": "full"}]},
        head="gaussian_mixture",
        progress=False,
        **quick,
    )
    assert [run.prior().family for run in runs] == ["gaussian", "student_t", "gaussian"]
    assert runs[0].config.head_options == {}
    np.testing.assert_allclose(runs[1].prior().df, 3, rtol=1e-5)
    table = vcviz.summarise(runs, rows=0)
    assert list(table["law"]) == ["Gaussian", "Student-t", "Gaussian, full"]
    bottleneck = vcviz.training.train_grid(
        {"rate_weight": [0.0, 0.01]}, stochastic=True, progress=False, **quick
    )
    assert [run.config.rate_weight for run in bottleneck] == [0.0, 0.01]
    assert run_titles(bottleneck) == ["softmax, rate weight 0", "softmax, rate weight 0.01"]
    table = vcviz.summarise(bottleneck, rows=0)
    assert list(table["law"]) == ["implied", "implied"]
    assert list(table["rate weight"]) == [0.0, 0.01]
    assert np.isnan(table["rate"].iloc[0])
    assert table["rate"].iloc[1] == bottleneck[1].history[-1]["train/rate"] > 0
    assert "rate" not in vcviz.summarise(runs, rows=0)


# ---------------------------------------------------------------- how far apart means start


@pytest.mark.parametrize(("c", "d"), [(2, 1), (3, 1), (10, 2), (10, 16), (150, 32)])
def test_the_separation_by_overlap_is_the_union_bound_of_the_error(c, d):
    error = 0.05
    means = spread_means(c, d, separation_for(c, d, error)).numpy()
    apart = np.linalg.norm(means[:, None] - means, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert st.norm.sf(apart / 2).sum() / c == pytest.approx(error, rel=1e-8)


def test_bayes_rule_errs_less_than_the_overlap_says_and_not_much_less():
    head = build_head("variational", latent_dim=2, n_classes=10, overlap=0.05)
    y = torch.arange(20_000) % 10
    z = head.law.sample(y, generator=torch.Generator().manual_seed(0))
    error = (head.log_probs(z).argmax(1) != y).double().mean().item()
    assert 0.03 < error < 0.055


@pytest.mark.parametrize("law", ["gaussian", "student_t", "laplace", "von_mises_fisher"])
def test_the_law_of_vc_starts_nearer_than_that_of_the_mixture(law):
    near, far = (
        build_head(head, latent_dim=2, n_classes=10, law=law).prior()
        for head in ("variational", "gaussian_mixture")
    )
    rng = np.random.default_rng(0)
    errors = []
    for prior in (near, far):
        y = np.arange(20_000) % 10
        z, _ = prior.sample(y, rng)
        errors.append(np.mean(prior.log_posterior(z).argmax(1) != y))
    assert errors[0] > 4 * errors[1]


@each_kind
def test_the_frozen_density_is_the_density_without_its_gradient(kind):
    law = head_of(kind).law
    z, y = law.place(latents()).requires_grad_(), torch.arange(N) % C
    torch.testing.assert_close(law.frozen_log_prob(z, y), law.log_prob(z, y))
    value = law.frozen_log_prob(z, y).sum()
    reached = torch.autograd.grad(value, [z, *law.parameters()], allow_unused=True)
    assert reached[0].any()
    assert all(g is None for g in reached[1:])


@pytest.mark.parametrize("shared_scale", [False, True])
@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_distances_without_gradients_are_the_same(covariance, shared_scale):
    options = {"covariance": covariance, "separation": 3.0, "shared_scale": shared_scale}
    law = build_law("gaussian", latent_dim=4, n_classes=5, initial_scale=0.7, **options)
    with torch.no_grad():
        law.log_scale += 0.1 * torch.arange(law.log_scale.numel()).view_as(law.log_scale)
    z = 3 * torch.randn(23, 4, generator=torch.Generator().manual_seed(0))
    z[0] = law.mean[1]  # on a centre
    with torch.no_grad():
        found = law.squared_distance(z)
    torch.testing.assert_close(found, law.squared_distance(z), rtol=1e-14, atol=1e-14)
