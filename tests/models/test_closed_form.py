"""What is written out equals automatic differentiation, in float64 to 1e-10."""

from __future__ import annotations

import pytest
import torch

from vcviz.models.heads import build_head
from vcviz.models.heads.base import Head
from vcviz.models.heads.critics import Critic
from vcviz.models.posterior import LatentPosterior

N, C, D = 23, 4, 3
DRAWS = 2


def variational(**options):
    torch.manual_seed(0)
    head = build_head("variational", latent_dim=D, n_classes=C, **options).double()
    head.set_class_counts(torch.tensor([9, 1, 5, 8]))
    return head


def rows(n=N, dim=D):
    generator = torch.Generator().manual_seed(1)
    draw = torch.randn(n, dim, generator=generator, dtype=torch.float64)
    return 3 * draw, torch.arange(n) % (C - 1)  # none of the last class


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("penalty", [1.0, 0.3, 0.0])
@pytest.mark.parametrize(
    "options",
    [
        {"critic_width": 64},
        {"critic_width": 5},
        {"critic": "per_class", "critic_layers": 2, "critic_width": 6},
    ],
)
def test_the_critics_terms_and_gradients(penalty, options):
    head = variational(**options, critic_penalty=penalty)
    critic, weights = head.critic, [*head.critic.parameters()]
    u, y = rows(2 * N)
    found, expected = critic.terms(u, y, penalty), Critic.terms(critic, u, y, penalty)
    assert found.gradients
    assert not expected.gradients
    same(dict(found.terms), dict(expected.terms))
    same(found.total, expected.total)
    for ours, theirs in zip(
        torch.autograd.grad(0.7 * found.total, weights),
        torch.autograd.grad(0.7 * expected.total, weights),
        strict=True,
    ):
        same(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"initial_scale": 0.4, "shared_scale": True},
        {"likelihood_weight": 0.0, "critic_weight": 2.0, "use_class_prior": False},
        {"learn_mean": False, "critic_width": 7, "covariance": "diagonal"},
    ],
)
def test_the_encoders_terms_and_gradients(options):
    head = variational(**options)
    features, y = rows(N, 2 * D)
    features.requires_grad_()
    leaves = [features, *head.law.parameters()]

    def step(kind):
        q = LatentPosterior.from_features(features)
        z = q.draw(DRAWS, torch.Generator().manual_seed(2))
        loss = kind.training_loss(head, q, z, y.repeat(DRAWS), 0.05, None)
        return loss, torch.autograd.grad(0.7 * loss.total, leaves)

    (found, ours), (expected, theirs) = step(type(head)), step(Head)
    assert found.gradients
    assert not expected.gradients
    assert found.keys() == expected.keys()
    assert found.weights == expected.weights
    same(dict(found.terms), dict(expected.terms))
    same(found.total, expected.total)
    same(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"learn_scale": True},
        {"covariance": "full"},
        {"law": "student_t"},
        {"mle_to_encoder": True},
        {"critic_weight": 0.0},
        {"critic_layers": 2},
        {"critic": "per_class"},
    ],
)
def test_what_is_of_another_form_takes_the_general_way(options):
    head = variational(**options)
    features, y = rows(N, 2 * D)
    q = LatentPosterior.from_features(features)
    assert not head.training_loss(q, q.draw(1), y, 0.05, None).gradients


def test_scales_that_were_set_by_hand_are_seen():
    head = variational()
    assert head.law.inverse_scale == 1
    with torch.no_grad():
        head.law.log_scale.fill_(0.5)
    assert head.law.inverse_scale == pytest.approx(0.6065306597)
    with torch.no_grad():
        head.law.log_scale[0] = 0.6
    assert head.law.inverse_scale is None
