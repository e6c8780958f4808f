"""The variational head: its limit identity, who learns from what, and its critics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from vcviz.models.heads import build_head
from vcviz.models.heads.critics import TanhCritics

N, C, D = 7, 3, 2
CRITICS = (
    {"critic": "shared"},
    {"critic": "shared", "critic_layers": 1, "critic_width": 5},
    {"critic": "per_class"},
    {"critic": "per_class", "critic_layers": 2, "critic_width": 6},
)
critics = pytest.mark.parametrize("options", CRITICS)


def variational(c=C, d=D, **options):
    torch.manual_seed(0)
    return build_head("variational", latent_dim=d, n_classes=c, **options)


def batch(n=N, c=C, d=D, seed=0):
    z = 4 * torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return z.requires_grad_(), torch.arange(n) % c


def gradients(head, value, z):
    """Return the gradients of `value` to z, the law and the critic; None where there is no path."""
    law, critic = list(head.law.parameters()), list(head.critic.parameters())
    grads = torch.autograd.grad(value, [z, *law, *critic], allow_unused=True)
    reached = [g is not None and bool(g.any()) for g in grads]
    return reached[0], any(reached[1 : 1 + len(law)]), any(reached[1 + len(law) :])


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
@pytest.mark.parametrize("learn_scale", [False, True])
def test_without_critic_it_is_the_mixture(covariance, learn_scale):
    shared = {
        "likelihood_weight": 0.3,
        "covariance": covariance,
        "learn_scale": learn_scale,
        "separation": 3.0,
        "initial_scale": 0.8,
    }
    head = variational(critic_weight=0.0, mle_to_encoder=True, **shared)
    mixture = build_head("gaussian_mixture", latent_dim=D, n_classes=C, **shared)
    for module in (head, mixture):
        module.set_class_counts(torch.tensor([4, 1, 2]))
    z, y = batch()
    a, b = head.loss(z, y), mixture.loss(z, y)
    for term in ("cross_entropy", "likelihood"):
        assert torch.equal(a[term], b[term])
    assert torch.equal(a.total, b.total)
    assert torch.equal(head.log_probs(z), mixture.log_probs(z))
    for p, q in zip(
        torch.autograd.grad(a.total, [z, *head.law.parameters()]),
        torch.autograd.grad(b.total, [z, *mixture.law.parameters()]),
        strict=True,
    ):
        assert torch.equal(p, q)
    assert [n for n, _ in mixture.named_parameters()] == [
        n for n, _ in head.named_parameters() if not n.startswith("critic.")
    ]


def test_the_recommended_settings_are_the_defaults():
    head = variational()
    assert (head.likelihood_weight, head.critic_weight, head.mle_to_encoder) == (0.3, 0.3, False)
    shapes = [tuple(p.shape) for p in head.critic.parameters() if p.ndim == 2]
    assert shapes == [(64, D + C), (1, 64)]
    slopes = [m.negative_slope for m in head.critic.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2]
    assert [p.shape for p in variational(critic="per_class").critic.parameters()] == [(C, D), (C,)]
    two = variational(critic="per_class", critic_layers=2).critic
    assert two.hidden_weight.shape == (C, 512, D)


@critics
def test_each_term_reaches_whom_it_should(options):
    head = variational(learn_scale=True, **options)
    z, y = batch()
    loss = head.loss(z, y)
    assert gradients(head, loss["cross_entropy"], z) == (True, True, False)
    with pytest.raises(RuntimeError, match=r"not have been used|does not require grad"):
        torch.autograd.grad(loss["likelihood"], z)
    likelihood = head.loss(z, y)["likelihood"]
    assert gradients(head, likelihood, z) == (False, True, False)
    assert gradients(head, loss["critic"], z) == (True, False, False)
    assert gradients(head, head.critic_loss(z, y), z) == (False, False, True)
    both = variational(learn_scale=True, mle_to_encoder=True, **options)
    assert gradients(both, both.loss(z, y)["likelihood"], z) == (True, True, False)


@critics
def test_terms_and_weights_of_the_loss(options):
    head = variational(likelihood_weight=0.25, critic_weight=0.5, **options)
    z, y = batch()
    loss = head.loss(z, y)
    assert loss.keys() == ["cross_entropy", "likelihood", "critic"]
    torch.testing.assert_close(loss["cross_entropy"], F.nll_loss(head.log_probs(z), y))
    torch.testing.assert_close(loss["critic"], head.log_ratio(z, y).mean())
    expected = loss["cross_entropy"] + 0.25 * loss["likelihood"] + 0.5 * loss["critic"]
    torch.testing.assert_close(loss.total, expected)


@critics
def test_critic_loss_is_the_binary_cross_entropy_of_real_and_drawn(options):
    head = variational(**options)
    z, y = batch()
    loss = head.critic_loss(z, y, generator=torch.Generator().manual_seed(4))
    drawn = head.law.sample(y, generator=torch.Generator().manual_seed(4))
    real, fake = head.log_ratio(z, y), head.log_ratio(drawn, y)
    expected = F.binary_cross_entropy_with_logits(
        real, torch.ones(N)
    ) + F.binary_cross_entropy_with_logits(fake, torch.zeros(N))
    torch.testing.assert_close(loss, expected)
    again = head.critic_loss(z, y, generator=torch.Generator().manual_seed(4))
    assert torch.equal(loss, again)


@critics
def test_critic_gradients_agree_with_finite_differences(options):
    small = {"critic_layers": 2, "critic_width": 4} if options == CRITICS[0] else {}
    head = variational(**options | small).double()
    z, y = batch()
    z = z.detach().double().requires_grad_()
    draw = torch.Generator()
    assert torch.autograd.gradcheck(
        lambda *_: head.critic_loss(z, y, generator=draw.manual_seed(3)),
        tuple(head.critic.parameters()),
    )
    assert torch.autograd.gradcheck(lambda z: head.loss(z, y)["critic"], (z,))


@pytest.mark.parametrize("layers", [1, 2])
def test_per_class_critics_agree_with_one_network_a_class(layers):
    """Unsorted labels, one class absent: the grouping must put every value back in its place."""
    width = {"critic_width": 6} if layers == 2 else {}
    head = variational(c=4, critic="per_class", critic_layers=layers, **width)
    critic = head.critic
    torch.nn.init.normal_(critic.bias)
    y = torch.tensor([3, 0, 3, 1, 0, 3, 1])
    z = batch()[0]
    expected = []
    for row, k in zip(z, y, strict=True):
        if layers == 1:
            expected.append(critic.weight[k] @ row + critic.bias[k])
        else:
            hidden = torch.tanh(critic.hidden_weight[k] @ row + critic.hidden_bias[k])
            expected.append(critic.weight[k] @ hidden + critic.bias[k])
    torch.testing.assert_close(head.log_ratio(z, y), torch.stack(expected))


def test_shared_critic_sees_the_whitened_residual():
    head = variational(initial_scale=2.0)
    z, y = batch()
    shift = torch.tensor([3.0, -1.0])
    before = head.log_ratio(z, y)
    with torch.no_grad():
        head.law.mean += shift
    torch.testing.assert_close(head.log_ratio(z + shift, y), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dim", [4, 2048])
@critics
def test_an_untrained_critic_starts_small(dim, options):
    """The authors' weights from N(0, 1) start T at the length of z, 45 here for D = 2048."""
    head = variational(d=dim, **options)
    z, y = batch(d=dim, seed=5)
    assert head.log_ratio(head.law.mean[y] + z / 4, y).abs().max() < 3


# ---------------------------------------------------------------- a trained critic


def train_critic(head, draw, steps, lr=5e-3):
    optimizer = torch.optim.Adam(head.critic.parameters(), lr=lr, betas=(0.5, 0.9))
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    noise = torch.Generator().manual_seed(1)
    y = torch.arange(300) % C
    for _ in range(steps):
        loss = head.critic_loss(draw(y, noise), y, generator=noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()


@critics
def test_critic_cannot_tell_equal_laws_apart(options):
    head = variational(**options)
    train_critic(head, lambda y, noise: head.law.sample(y, generator=noise), 150)
    noise = torch.Generator().manual_seed(7)
    y = torch.arange(6000) % C
    real, fake = (head.law.sample(y, generator=noise).detach() for _ in range(2))
    loss = head.critic_loss(real, y, generator=noise)
    assert loss.item() == pytest.approx(2 * math.log(2), abs=0.02)
    right = (head.log_ratio(real, y) > 0).float().mean() + (
        head.log_ratio(fake, y) < 0
    ).float().mean()
    assert right.item() / 2 == pytest.approx(0.5, abs=0.03)


def test_critic_learns_the_log_ratio_of_two_gaussians():
    """q(z|y) = N(mu_y + shift_y, 0.8^2 I) against p(z|y) = N(mu_y, I)."""
    head = variational()
    shift = torch.tensor([[0.6, 0.0], [0.0, -0.8], [-0.5, 0.5]])

    def draw(y, noise):
        return head.law.mean[y].detach() + shift[y] + 0.8 * torch.randn(len(y), D, generator=noise)

    train_critic(head, draw, 500)
    y = torch.arange(3000) % C
    z = draw(y, torch.Generator().manual_seed(9))
    u = z - head.law.mean[y].detach()
    truth = u.square().sum(1) / 2 - ((u - shift[y]) / 0.8).square().sum(1) / 2 - D * math.log(0.8)
    estimate = head.log_ratio(z, y).detach()
    assert torch.corrcoef(torch.stack([estimate, truth]))[0, 1] > 0.95
    # The term of the loss is an estimate of the KL divergence, here within 0.1 nats.
    assert head.loss(z, y)["critic"].item() == pytest.approx(truth.mean().item(), abs=0.1)


def test_linear_critic_sees_a_shift_and_not_a_scale():
    head = variational(critic="per_class")
    wide = 2 * torch.eye(D)

    def draw(y, noise):
        return head.law.mean[y].detach() + torch.randn(len(y), D, generator=noise) @ wide

    train_critic(head, draw, 150)
    y = torch.arange(3000) % C
    assert head.critic_loss(
        draw(y, torch.Generator().manual_seed(2)), y, generator=torch.Generator().manual_seed(3)
    ).item() == pytest.approx(2 * math.log(2), abs=0.05)


def test_slope_of_linear_critics_is_their_weight():
    head = variational(critic="per_class", critic_penalty=0.7)
    z, y = batch()
    draws = [torch.Generator().manual_seed(3) for _ in range(2)]
    terms = head.critic_terms(z, y, generator=draws[0])
    assert torch.equal(terms["loss"], head.critic_loss(z, y, generator=draws[1]))
    slope = 0.5 * head.critic.weight[y].square().sum(1).mean()
    torch.testing.assert_close(terms["slope"], slope)
    torch.testing.assert_close(terms.total, terms["loss"] + 0.7 * slope)


@critics
def test_slope_is_the_derivative_along_the_latents(options):
    head = variational(**options).double()
    y = torch.arange(N) % C
    z = batch()[0].detach().double()
    draws = [torch.Generator().manual_seed(3) for _ in range(2)]
    slope = head.critic_terms(z, y, generator=draws[0])["slope"].item()
    inputs, labels = head._real_and_drawn(z, y, draws[1])
    step = 1e-6
    with torch.no_grad():
        partial = [
            (head.critic(inputs + e, labels) - head.critic(inputs - e, labels)) / (2 * step)
            for e in step * torch.eye(D, dtype=torch.float64)
        ]
    assert slope == pytest.approx(0.5 * sum(p.square() for p in partial).mean().item(), rel=1e-5)


def test_penalty_teaches_the_critic_only_and_zero_leaves_it_out():
    head = variational()
    z, y = batch()
    assert gradients(head, head.critic_terms(z, y).total, z) == (False, False, True)
    assert variational(critic_penalty=0.0).critic_terms(z, y).keys() == ["loss"]


def test_each_row_is_multiplied_by_the_matrix_of_its_class():
    torch.manual_seed(0)
    critic = TanhCritics(latent_dim=5, n_classes=4, width=3).double()
    z = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 3, 3, 1, 0, 3, 1])  # none of class 2

    def values(z, matrices):
        return functional_call(critic, {"hidden_weight": matrices}, (z, y))

    gathered = torch.einsum("bwd,bd->bw", critic.hidden_weight[y], z) + critic.hidden_bias[y]
    expected = (critic.weight[y] * gathered.tanh()).sum(1) + critic.bias[y]
    torch.testing.assert_close(critic(z, y), expected)
    assert torch.autograd.gradcheck(values, (z, critic.hidden_weight))
    assert torch.autograd.gradgradcheck(values, (z, critic.hidden_weight))
