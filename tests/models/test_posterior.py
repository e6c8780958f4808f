"""Stochastic encoders: the law of their latents, its rate, and what a classifier makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

import vcviz
from vcviz.base.errors import InputError
from vcviz.latents import extract_latents
from vcviz.models.classifier import Classifier
from vcviz.models.heads import HEADS, build_head
from vcviz.models.posterior import SMALLEST_SCALE, LatentPosterior
from vcviz.training.step import TrainingStep

N, C, D, F = 7, 3, 2, 5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def inputs(n=N, seed=0):
    return torch.randn(n, F, generator=generator(seed))


def classifier(head="softmax", *, stochastic=True, predict_draws=16):
    torch.manual_seed(0)
    encoder = nn.Linear(F, 2 * D if stochastic else D)
    return Classifier(
        encoder,
        build_head(head, latent_dim=D, n_classes=C),
        stochastic=stochastic,
        predict_draws=predict_draws,
    )


def test_rate_is_the_divergence_from_the_standard_normal():
    q = LatentPosterior(torch.randn(N, D), torch.rand(N, D) + 0.1)
    law = Independent(Normal(q.mean, q.scale), 1)
    standard = Independent(Normal(torch.zeros(D), torch.ones(D)), 1)
    torch.testing.assert_close(q.rate(), kl_divergence(law, standard).mean())
    assert LatentPosterior(q.mean).rate() == math.inf


def test_entropy_is_that_of_the_gaussians():
    q = LatentPosterior(torch.randn(N, D), torch.rand(N, D) + 0.1)
    law = Independent(Normal(q.mean, q.scale), 1)
    torch.testing.assert_close(q.entropy(), law.entropy().mean())
    assert LatentPosterior(q.mean).entropy() == -math.inf


@pytest.mark.parametrize("head", HEADS)
def test_the_rate_of_a_head_is_against_its_own_law_or_the_standard_normal(head):
    model, draws = classifier(head), 40_000
    q = LatentPosterior(torch.randn(N, D, generator=generator()), torch.full((N, D), 0.4))
    y = torch.arange(N) % C
    law = Independent(Normal(q.mean, q.scale), 1)
    prior = model.head.prior()
    mean = torch.zeros(N, D) if prior is None else torch.tensor(prior.mean, dtype=torch.float32)[y]
    exact = kl_divergence(law, Independent(Normal(mean, torch.ones(D)), 1)).mean()
    z = q.draw(draws, generator())
    found = model.head.rate(q, z, y.repeat(draws))
    torch.testing.assert_close(found, exact, rtol=2e-3, atol=0)


def test_the_rate_teaches_the_encoder_and_not_the_law():
    model = classifier("variational")
    q, y = model.posterior(inputs()), torch.arange(N) % C
    rate = model.head.rate(q, q.draw(1, generator()), y)
    parameters = [*model.encoder.parameters(), *model.head.law.parameters()]
    reached = torch.autograd.grad(rate, parameters, allow_unused=True)
    assert [g is not None and bool(g.any()) for g in reached] == [True, True, False]


@pytest.mark.parametrize("rate_to", ["law", "normal"])
def test_the_loss_of_a_step_has_the_rate_that_was_asked_for(rate_to):
    config = vcviz.RunConfig(head="variational", latent_dim=D, rate_weight=0.3, rate_to=rate_to)
    model, y = classifier("variational"), torch.arange(N) % C
    loss, _, z, _ = TrainingStep(model, config)(inputs(), y, generator())
    q = model.posterior(inputs())
    expected = q.rate() if rate_to == "normal" else model.head.rate(q, z, y)
    torch.testing.assert_close(loss["rate"], expected)
    own = ("cross_entropy", "likelihood", "critic")
    others = sum(loss[k] * loss.weights.get(k, 1.0) for k in own)
    torch.testing.assert_close(loss.total, others + 0.3 * expected)


@pytest.mark.parametrize(("c", "scale"), [(2, 1.0), (10, 1.0), (40, 0.5), (150, (1 / 15) ** 0.5)])
def test_the_rate_of_vc_weighs_less_with_many_classes(c, scale):
    head = build_head("variational", latent_dim=D, n_classes=c)
    assert head.rate_scale == pytest.approx(scale)
    model = Classifier(nn.Linear(F, 2 * D), head, stochastic=True)
    config = vcviz.RunConfig(head="variational", latent_dim=D, rate_weight=0.3)
    loss, *_ = TrainingStep(model, config)(inputs(), torch.arange(N) % 2, generator())
    assert loss.weights["rate"] == pytest.approx(0.3 * scale)
    assert build_head("gaussian_mixture", latent_dim=D, n_classes=c).rate_scale == 1.0


def test_draws_have_the_stated_mean_and_scale():
    q = LatentPosterior(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 2.0]]))
    z = q.draw(200_000, generator())
    torch.testing.assert_close(z.mean(0), q.mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(z.std(0), q.scale[0], atol=0.02, rtol=0)


def test_draws_come_batch_after_batch_and_carry_gradients():
    q = LatentPosterior(torch.arange(6.0).reshape(3, 2).requires_grad_(), torch.full((3, 2), 1e-6))
    z = q.draw(4, generator())
    torch.testing.assert_close(z, q.mean.repeat(4, 1), atol=1e-4, rtol=0)
    z.sum().backward()
    torch.testing.assert_close(q.mean.grad, torch.full((3, 2), 4.0))
    torch.testing.assert_close(LatentPosterior(q.mean).draw(2), q.mean.repeat(2, 1))


def test_features_give_positive_scales_however_small():
    q = LatentPosterior.from_features(torch.tensor([[0.0, 1.0, -1e4, 0.0]]))
    assert q.scale[0, 0] == pytest.approx(SMALLEST_SCALE)
    assert q.scale[0, 1] == pytest.approx(math.log1p(math.exp(-2)) + SMALLEST_SCALE, rel=1e-5)
    assert q.rate().isfinite()


@pytest.mark.parametrize("head", HEADS)
def test_without_noise_a_stochastic_classifier_is_the_plain_one(head):
    noisy = classifier(head)
    with torch.no_grad():
        noisy.encoder.weight[D:] = 0
        noisy.encoder.bias[D:] = -1e4
    plain = classifier(head, stochastic=False)
    plain.head.load_state_dict(noisy.head.state_dict())
    with torch.no_grad():
        plain.encoder.weight.copy_(noisy.encoder.weight[:D])
        plain.encoder.bias.copy_(noisy.encoder.bias[:D])
    x = inputs()
    torch.testing.assert_close(noisy.encode(x), plain.encode(x))
    if head not in ("heteroscedastic",):  # its own noise is drawn in another order
        got = noisy(x, generator=generator())
        torch.testing.assert_close(got, plain(x), atol=5e-3, rtol=0)


@pytest.mark.parametrize("head", HEADS)
def test_the_output_of_draws_is_normalised(head):
    model = classifier(head)
    log_probs = model(inputs(), generator=generator())
    torch.testing.assert_close(log_probs.logsumexp(1), torch.zeros(N), atol=1e-5, rtol=0)


def test_prediction_averages_probabilities_over_draws():
    x, model = inputs(), classifier(predict_draws=20_000)
    q = model.posterior(x)
    few = torch.stack(
        [model.head.log_probs(q.draw(1, generator(s))).exp() for s in range(2000)]
    ).mean(0)
    torch.testing.assert_close(model(x, generator=generator()).exp(), few, atol=0.01, rtol=0)


def test_error_of_the_prediction_shrinks_with_the_root_of_the_draws():
    x = inputs()
    exact = classifier(predict_draws=200_000)(x, generator=generator(99)).exp().detach()

    def error(draws):
        model = classifier(predict_draws=draws)
        errors = [model(x, generator=generator(s)).exp().detach() - exact for s in range(60)]
        return torch.stack(errors).square().mean().sqrt()

    assert float(error(4) / error(64)) == pytest.approx(4, rel=0.25)


def test_energy_of_a_law_is_its_negative_log_evidence():
    model = classifier("gaussian_mixture", stochastic=False)
    lat = extract_latents(model, (inputs().numpy(), np.arange(N) % C))
    evidence = model.head.prior().log_marginal(lat.z)
    np.testing.assert_allclose(lat.energy, -evidence, rtol=1e-5)


def test_extracted_latents_are_draws_that_repeat_by_their_seed():
    model, data = classifier(), (inputs().numpy(), np.arange(N) % C)
    one, same, other = (extract_latents(model, data, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.z, same.z)
    assert np.abs(one.z - other.z).max() > 0.01
    q = model.posterior(inputs())
    assert np.abs((one.z - q.mean.detach().numpy()) / q.scale.detach().numpy()).max() < 5


def test_training_keeps_the_rate_and_repeats_itself(tmp_path):
    settings = {
        "dataset": "digits",
        "n_train": 200,
        "epochs": 2,
        "stochastic": True,
        "draws": 3,
        "rate_weight": 0.01,
        "head": "variational",
        "progress": False,
    }
    one = vcviz.train(**settings, out=tmp_path / "a")
    two = vcviz.train(**settings, out=tmp_path / "b")
    assert one.history[-1]["train/rate"] > 0
    assert one.history[-1] == two.history[-1]
    np.testing.assert_array_equal(one.latents().z, two.latents().z)
    assert one.latents().energy.shape == (len(one.latents()),)
    _, test = one.splits()
    again = extract_latents(one.model(), test, seed=one.config.seed, progress=False)
    np.testing.assert_allclose(again.z, one.latents().z, atol=1e-5)


def test_options_of_a_stochastic_encoder_need_one():
    with pytest.raises(InputError, match="add stochastic=true"):
        vcviz.RunConfig(draws=4)
    with pytest.raises(InputError, match="add stochastic=true"):
        vcviz.RunConfig(rate_weight=0.1)
    with pytest.raises(InputError, match="predict_draws must be a whole number"):
        Classifier(
            nn.Linear(F, D), build_head("softmax", latent_dim=D, n_classes=C), predict_draws=0
        )
