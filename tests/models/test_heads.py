"""Every head against identities and oracles; the mixture's law; initial means; bad options."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import multivariate_normal
from torch.nn import functional as F

import vcviz.models.laws.location_scale as location_scale
from vcviz.base.errors import InputError
from vcviz.models.heads import HEADS, build_head
from vcviz.models.laws.gaussian import GaussianLaw
from vcviz.models.laws.location_scale import SMALLEST_SCALE
from vcviz.models.laws.means import spread_means

N, C, D = 7, 3, 2
MIXTURES = ("gaussian_mixture", "variational")


def latents(n=N, d=D, scale=4.0, dtype=torch.float32, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype) * scale


def seeded():
    return torch.Generator().manual_seed(3)


def labels(n=N, c=C):
    return torch.arange(n) % c


def head64(name, **options):
    """Return a float64 head, its law made uneven so that no symmetry hides a mistake."""
    torch.manual_seed(1)
    head = build_head(name, latent_dim=D, n_classes=C, **options).double()
    head.set_class_counts(torch.tensor([5, 1, 2]))
    if name in MIXTURES:
        with torch.no_grad():
            head.law.mean.add_(torch.randn(C, D, dtype=torch.float64))
            head.law.log_scale.add_(0.3 * torch.randn(head.law.log_scale.shape))
    return head


# ---------------------------------------------------------------- identities and oracles


def test_softmax_is_cross_entropy_of_a_linear_layer():
    head = build_head("softmax", latent_dim=D, n_classes=C)
    z, y = latents(), labels()
    logits = z @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head.log_probs(z), logits.log_softmax(1))
    torch.testing.assert_close(head.loss(z, y).total, F.cross_entropy(logits, y))
    assert head.prior() is None
    assert head.critic is None


@pytest.mark.parametrize("name", MIXTURES)
def test_one_shared_isotropic_covariance_is_a_softmax_layer(name):
    head = build_head(name, latent_dim=D, n_classes=C, initial_scale=1.7, separation=2.0).double()
    head.set_class_counts(torch.tensor([5, 1, 2]))
    softmax = build_head("softmax", latent_dim=D, n_classes=C).double()
    mean, variance = head.law.mean.detach(), 1.7**2
    with torch.no_grad():
        softmax.linear.weight.copy_(mean / variance)
        softmax.linear.bias.copy_(head.log_class_prior - mean.square().sum(1) / (2 * variance))
    z = latents(dtype=torch.float64)
    torch.testing.assert_close(head.log_probs(z), softmax.log_probs(z), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
@pytest.mark.parametrize("direct_size", [4096, 0])
def test_log_density_agrees_with_scipy(covariance, direct_size, monkeypatch):
    monkeypatch.setattr(location_scale, "_DIRECT_SIZE", direct_size)
    head = head64("gaussian_mixture", covariance=covariance)
    z = latents(dtype=torch.float64)
    mean, scale = head.prior().mean, head.prior().scale
    expected = np.stack(
        [multivariate_normal(mean[k], np.diag(scale[k] ** 2)).logpdf(z) for k in range(C)], axis=1
    )
    np.testing.assert_allclose(head.law.log_prob(z).detach(), expected, rtol=1e-12)
    own = head.law.log_prob(z, labels()).detach()
    np.testing.assert_allclose(own, expected[np.arange(N), labels()], rtol=1e-12)
    np.testing.assert_allclose(head.prior().log_prob(z), expected, rtol=1e-12)


def test_margin_loss_agrees_with_the_formula_written_out():
    alpha, lam = 0.7, 0.25
    head = head64("gaussian_mixture", margin=alpha, likelihood_weight=lam, covariance="diagonal")
    z, y = latents(dtype=torch.float64), labels()
    prior = head.prior()
    cross_entropy, likelihood = [], []
    for row, label in zip(z.numpy(), y.numpy(), strict=True):
        d = 0.5 * (((row - prior.mean) / prior.scale) ** 2).sum(1)
        log_det = np.log(prior.scale).sum(1)
        logit = prior.log_weight - log_det - d
        logit[label] -= alpha * d[label]
        cross_entropy.append(np.log(np.exp(logit).sum()) - logit[label])
        likelihood.append(d[label] + log_det[label] + D / 2 * math.log(2 * math.pi))
    loss = head.loss(z, y)
    assert loss["cross_entropy"].item() == pytest.approx(np.mean(cross_entropy), rel=1e-7)
    assert loss["likelihood"].item() == pytest.approx(np.mean(likelihood), rel=1e-12)
    assert loss.total.item() == pytest.approx(
        np.mean(cross_entropy) + lam * np.mean(likelihood), rel=1e-7
    )


def test_margin_acts_in_the_training_loss_only():
    plain, margin = head64("gaussian_mixture"), head64("gaussian_mixture", margin=0.5)
    z, y = latents(dtype=torch.float64), labels()
    torch.testing.assert_close(plain.log_probs(z), margin.log_probs(z), rtol=0, atol=0)
    plain_loss, margin_loss = plain.loss(z, y), margin.loss(z, y)
    assert margin_loss["cross_entropy"] > plain_loss["cross_entropy"] + 0.1
    assert margin_loss["likelihood"] == plain_loss["likelihood"]


def test_unit_covariance_likelihood_is_half_the_squared_distance():
    head = build_head("gaussian_mixture", latent_dim=D, n_classes=C).double()
    z, y = latents(dtype=torch.float64), labels()
    distance = (z - head.law.mean[y]).square().sum(1).mean() / 2
    torch.testing.assert_close(head.loss(z, y)["likelihood"], distance + math.log(2 * math.pi))


@pytest.mark.parametrize("name", HEADS)
def test_gradients_agree_with_finite_differences(name):
    options = {"learn_scale": True, "covariance": "diagonal"} if name in MIXTURES else {}
    options |= {"margin": 0.3} if name == "gaussian_mixture" else {}
    # The critic term is detached from the law, and without this flag likelihood from z.
    options |= {"mle_to_encoder": True, "critic_weight": 0.0} if name == "variational" else {}
    # Its other variant stops a gradient on purpose: see test_dropmax.py.
    options |= {"variant": "prior"} if name == "dropmax" else {}
    head, y = head64(name, **options), labels()
    z = latents(scale=1.0, dtype=torch.float64).requires_grad_()
    parameters = tuple(head.main_parameters())
    assert parameters
    assert torch.autograd.gradcheck(
        lambda z, *_: head.loss(z, y, generator=seeded()).total, (z, *parameters)
    )


# ---------------------------------------------------------------- properties


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "c", "d"), [(1, 2, 1), (7, 3, 2), (4, 5, 9)])
def test_rows_are_normalised_and_terms_are_finite_scalars(name, dtype, n, c, d):
    head = build_head(name, latent_dim=d, n_classes=c).to(dtype)
    z, y = latents(n, d, dtype=dtype), torch.zeros(n, dtype=torch.int64)  # other classes absent
    log_probs = head.log_probs(z)
    assert log_probs.shape == (n, c)
    assert log_probs.dtype == dtype
    torch.testing.assert_close(log_probs.logsumexp(1), torch.zeros(n, dtype=dtype))
    loss = head.loss(z, y)
    assert all(term.shape == () and term.dtype == dtype for term in loss.terms.values())
    assert loss.total.isfinite()


@pytest.mark.parametrize("name", HEADS)
def test_permuting_the_classes_permutes_the_columns(name):
    # Noise is drawn class by class, so that only its mean over many draws can agree.
    options = {"predict_draws": 100_000} if name == "heteroscedastic" else {}
    head, permuted = head64(name, **options), head64(name, **options)
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        for key, value in head.state_dict().items():
            if not key.startswith("critic.") and len(value) == C:
                permuted.state_dict()[key].copy_(value[order])
    z = latents(dtype=torch.float64)
    found, expected = (
        permuted.log_probs(z, generator=seeded()),
        head.log_probs(z, generator=seeded()),
    )
    if options:
        torch.testing.assert_close(found.exp(), expected.exp()[:, order], rtol=0, atol=0.01)
    else:
        torch.testing.assert_close(found, expected[:, order])


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("direct_size", [4096, 0])
def test_far_latents_keep_their_posterior_in_float32(name, direct_size, monkeypatch):
    monkeypatch.setattr(location_scale, "_DIRECT_SIZE", direct_size)
    head = build_head(name, latent_dim=D, n_classes=C)
    # Half way between classes 1 and 2, 1e4 away: the posterior is moderate there.
    mean = head.law.mean.detach()
    away = (mean[1] + mean[2]) / (mean[1] + mean[2]).norm()
    z = (1e4 * away)[None] + 0.1 * mean[1]
    wide = head.double().log_probs(z.double())
    narrow = head.float().log_probs(z)
    # An input at 1e4 is itself rounded to 1e-3 in float32; nothing more may be lost.
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-3, atol=1e-3)
    assert wide[0, 1:].min() > -10


@pytest.mark.parametrize("name", HEADS)
def test_huge_latents_give_finite_values_and_gradients(name):
    options = {"learn_scale": True, "initial_scale": 0.0011} if name in MIXTURES else {}
    head = build_head(name, latent_dim=D, n_classes=C, **options)
    z = latents(scale=1e4).requires_grad_()
    loss = head.loss(z, labels())
    loss.total.backward()
    assert loss.total.isfinite()
    assert z.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)
    assert not head.log_probs(z).isnan().any()


@pytest.mark.parametrize("name", HEADS)
def test_half_precision_ends_at_the_head(name):
    head = build_head(name, latent_dim=D, n_classes=C)
    z, y = latents(), labels()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = head.log_probs(z, generator=seeded())
        loss = head.loss(z.bfloat16(), y)
    torch.testing.assert_close(inside, head.log_probs(z, generator=seeded()), rtol=0, atol=0)
    assert all(term.dtype == torch.float32 for term in loss.terms.values())


@pytest.mark.parametrize("name", HEADS)
def test_nothing_is_remembered_between_calls(name):
    head = build_head(name, latent_dim=D, n_classes=C)
    z, y = latents(), labels()
    before = {k: v.clone() for k, v in head.state_dict().items()}
    first = head.loss(z, y, generator=seeded()).total
    head.loss(latents(seed=5), y)
    head.log_probs(latents(seed=6))
    assert head.loss(z, y, generator=seeded()).total == first
    assert all(torch.equal(v, before[k]) for k, v in head.state_dict().items())


@pytest.mark.parametrize("name", MIXTURES)
def test_prior_is_the_law_that_the_posterior_uses(name):
    head = head64(name, covariance="diagonal")
    z = latents(dtype=torch.float64)
    np.testing.assert_allclose(
        head.prior().log_posterior(z), head.log_probs(z).detach(), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(np.exp(head.prior().log_weight), [5 / 8, 1 / 8, 2 / 8], rtol=1e-6)


@pytest.mark.parametrize("name", MIXTURES)
def test_class_prior_is_optional(name):
    head = build_head(name, latent_dim=D, n_classes=C, use_class_prior=False)
    before = head.log_probs(latents())
    head.set_class_counts(torch.tensor([90, 9, 1]))
    torch.testing.assert_close(head.log_probs(latents()), before, rtol=0, atol=0)
    np.testing.assert_allclose(np.exp(head.prior().log_weight), 1 / 3, rtol=1e-6)


def test_a_class_without_rows_keeps_a_finite_weight():
    head = build_head("gaussian_mixture", latent_dim=D, n_classes=C)
    head.set_class_counts([3, 0, 1])
    assert head.log_class_prior.exp().tolist() == pytest.approx([3 / 4.5, 0.5 / 4.5, 1 / 4.5])


def test_draws_follow_the_law():
    head = head64("gaussian_mixture", covariance="diagonal")
    y = labels(60_000)
    z = head.law.sample(y, generator=torch.Generator().manual_seed(0)).detach()
    scale = torch.tensor(head.prior().scale)
    for k in range(C):
        torch.testing.assert_close(z[y == k].mean(0), head.law.mean[k].detach(), atol=0.05, rtol=0)
        torch.testing.assert_close(z[y == k].std(0), scale[k], rtol=0.03, atol=0)
    white = head.law.whiten(z, y).detach()
    assert white.mean().abs() < 0.01
    assert white.std().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("mean", "scale"), [(True, False), (False, True), (False, False)])
def test_learned_and_fixed_parts_of_the_law(mean, scale):
    law = GaussianLaw(D, C, learn_mean=mean, learn_scale=scale)
    learned = {name for name, _ in law.named_parameters()}
    assert learned == {n for n, used in (("mean", mean), ("log_scale", scale)) if used}
    assert set(law.state_dict()) == {"mean", "log_scale"}


def test_a_collapsing_scale_stops_at_its_floor_and_can_rise_again():
    law = GaussianLaw(D, C, learn_scale=True)
    with torch.no_grad():
        law.log_scale.fill_(-50)
    np.testing.assert_allclose(law.prior(torch.zeros(C)).scale, SMALLEST_SCALE, rtol=1e-5)
    # Latents a whole unit from their mean ask for a larger scale.
    (-law.log_prob(law.mean.detach() + 1, labels(C)).mean()).backward()
    assert (law.log_scale.grad < 0).all()


# ---------------------------------------------------------------- initial means


@pytest.mark.parametrize("c", [2, 3, 4, 5, 10, 30])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 9, 16, 40])
def test_smallest_distance_between_initial_means_is_as_asked(c, d):
    means = spread_means(c, d, 6.5)
    assert means.shape == (c, d)
    assert pdist(means).min() == pytest.approx(6.5, rel=1e-12)
    np.testing.assert_allclose(means.mean(0), 0, atol=1e-9)
    if d >= c - 1:
        assert pdist(means).max() == pytest.approx(6.5, rel=1e-12)
    torch.testing.assert_close(means, spread_means(c, d, 6.5), rtol=0, atol=0)


def test_ten_means_in_the_plane_lie_on_the_circle_of_radius_ten():
    radius = spread_means(10, 2, 20 * math.sin(math.pi / 10)).norm(dim=1)
    np.testing.assert_allclose(radius, 10)


@pytest.mark.parametrize(("c", "d", "best"), [(6, 3, 1.414), (12, 3, 1.051), (10, 4, 1.291)])
def test_repelled_means_come_close_to_the_best_known_packings(c, d, best):
    radius = spread_means(c, d, 1.0).norm(dim=1).max().item()
    assert 1 / radius > 0.97 * best


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("softmx", {}, "unknown head 'softmx'; did you mean 'softmax'"),
        ("gaussian_mixture", {"margins": 1}, "option of head.*did you mean 'margin'"),
        ("softmax", {"margin": 1}, "unknown option"),
        ("gaussian_mixture", {"margin": -1}, "margin must be a number of at least 0, got -1"),
        ("gaussian_mixture", {"likelihood_weight": float("nan")}, "likelihood_weight must be"),
        ("gaussian_mixture", {"separation": 0}, "separation must be a number above 0"),
        ("gaussian_mixture", {"initial_scale": 0.0}, "initial_scale must be a number above 0.001"),
        ("gaussian_mixture", {"covariance": "diag"}, "did you mean 'diagonal'"),
        ("gaussian_mixture", {"learn_mean": "false"}, "learn_mean must be true or false"),
        ("variational", {"use_class_prior": 1}, "use_class_prior must be true or false"),
        ("variational", {"critic_weight": "1"}, "critic_weight must be a number"),
        ("variational", {"critic": "perclass"}, "did you mean 'per_class'"),
        ("variational", {"critic": "per_class", "critic_layers": 3}, "must be 1 or 2"),
        ("variational", {"critic": "per_class", "critic_width": 9}, "a linear critic has no width"),
        ("variational", {"critic_layers": 0}, "critic_layers must be a whole number of at least 1"),
        ("variational", {"critic_width": 2.5}, "critic_width must be a whole number"),
        ("variational", {"law_options": {"covariance": "full"}}, "covariance belongs beside law_o"),
        ("gaussian_mixture", {"law_options": {"n_classes": 2}}, "n_classes belongs beside"),
        (
            "gaussian_mixture",
            {"law_options": [1]},
            r"must be a mapping of names to values, got \[1",
        ),
        ("gaussian_mixture", {"law_options": {1: 2}}, r"mapping of names to values, got \{1: 2"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        build_head(name, latent_dim=D, n_classes=C, **options)


@pytest.mark.parametrize("name", HEADS)
def test_bad_shapes_are_refused(name):
    with pytest.raises(InputError, match="n_classes must be a whole number of at least 2, got 1"):
        build_head(name, latent_dim=D, n_classes=1)
    head = build_head(name, latent_dim=D, n_classes=C)
    with pytest.raises(InputError, match=r"z must have shape \(B, 2\).*, got \(7, 3\)"):
        head.log_probs(torch.zeros(7, 3))
    with pytest.raises(InputError, match=r"y must be 7 int64 labels.*got \(7, 1\)"):
        head.loss(latents(), labels()[:, None])
    with pytest.raises(InputError, match="counts must have shape"):
        head.set_class_counts([1, 2])
