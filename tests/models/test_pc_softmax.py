"""PC-softmax: limits, the paper's identities, extreme scores, and what a run keeps of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.latents import last_linear
from vcviz.models.classifier import Classifier
from vcviz.models.heads import build_head
from vcviz.records import Split
from vcviz.training import train

N, C, D = 7, 3, 2
COUNTS = torch.tensor([5, 1, 2])


def pc_head(c=C, d=D, counts=COUNTS, dtype=torch.float64, **options):
    torch.manual_seed(1)
    head = build_head("pc_softmax", latent_dim=d, n_classes=c, **options).to(dtype)
    if counts is not None:
        head.set_class_counts(counts)
    return head


def batch(n=N, c=C, d=D, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=dtype) * 3, torch.arange(n) % c


# ---------------------------------------------------------------- limits and identities


@pytest.mark.parametrize("predict_prior", ["uniform", "train"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("c", [2, 3, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_equal_class_frequencies_make_it_a_softmax_up_to_log_c(predict_prior, dtype, c, seed):
    head = pc_head(c, counts=torch.full((c,), 4), dtype=dtype, predict_prior=predict_prior)
    softmax = build_head("softmax", latent_dim=D, n_classes=c).to(dtype)
    softmax.linear.load_state_dict(head.linear.state_dict())
    z, y = batch(c=c, dtype=dtype, seed=seed)
    torch.testing.assert_close(head.log_probs(z), softmax.log_probs(z))
    torch.testing.assert_close(head.loss(z, y).total, softmax.loss(z, y).total)
    own = head.log_ratio(z)[torch.arange(N), y]
    torch.testing.assert_close(-own.mean(), softmax.loss(z, y).total - math.log(c))


def test_gradient_is_that_of_logit_adjusted_cross_entropy_and_of_the_papers_loss():
    head = pc_head()
    z, y = batch()
    z.requires_grad_()
    wanted = (z, head.linear.weight, head.linear.bias)
    log_pi = (COUNTS / COUNTS.sum()).log()
    adjusted = F.cross_entropy(z @ head.linear.weight.T + head.linear.bias + log_pi, y)
    papers = -head.log_ratio(z)[torch.arange(N), y].mean()
    ours = torch.autograd.grad(head.loss(z, y).total, wanted)
    for other in (adjusted, papers):
        for mine, theirs in zip(ours, torch.autograd.grad(other, wanted), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
    # The loss itself differs by the constant log pi_y of the batch.
    assert (head.loss(z, y).total - papers).item() == pytest.approx(-log_pi[y].mean().item())


def test_log_ratio_is_the_posterior_over_the_prior():
    """As the paper writes it: exp f_y / sum_k pi_k exp f_k, which sums to one only pi-weighted."""
    head = pc_head(predict_prior="train")
    z, _ = batch()
    pi = COUNTS / COUNTS.sum()
    scores = (z @ head.linear.weight.T + head.linear.bias).detach()
    written_out = (scores.exp() / (pi * scores.exp()).sum(1, keepdim=True)).log()
    found = head.log_ratio(z)
    torch.testing.assert_close(found, written_out, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found, head.log_probs(z) - pi.log(), rtol=1e-6, atol=1e-7)
    weighted = (found.exp() * pi).sum(1)
    torch.testing.assert_close(weighted, torch.ones_like(weighted), rtol=1e-6, atol=0)
    assert (found.exp().sum(1) - 1).abs().max() > 0.1


def test_the_two_predictions_differ_by_the_class_frequencies():
    uniform, train_prior = pc_head(), pc_head(predict_prior="train")
    z, y = batch()
    torch.testing.assert_close(uniform.log_probs(z).argmax(1), uniform.scores(z).argmax(1))
    moved = (uniform.log_probs(z) + uniform.log_class_prior).log_softmax(1)
    torch.testing.assert_close(train_prior.log_probs(z), moved)
    assert uniform.loss(z, y).total == train_prior.loss(z, y).total
    torch.testing.assert_close(uniform.log_ratio(z), train_prior.log_ratio(z), rtol=0, atol=0)
    assert uniform.label_prior.tolist() == pytest.approx([1 / 3] * 3)
    assert train_prior.label_prior.tolist() == pytest.approx([5 / 8, 1 / 8, 2 / 8])


@pytest.mark.parametrize("predict_prior", ["uniform", "train"])
def test_the_linear_layer_given_has_the_heads_posterior(predict_prior):
    head = pc_head(predict_prior=predict_prior)
    z, _ = batch()
    layer = last_linear(Classifier(torch.nn.Identity(), head))
    torch.testing.assert_close(layer(z).log_softmax(1), head.log_probs(z))


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("predict_prior", ["uniform", "train"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "c"), [(1, 2), (7, 3), (5, 1000)])
def test_scores_of_ten_thousand_stay_finite(predict_prior, dtype, n, c):
    head = pc_head(c, counts=torch.arange(c), dtype=dtype, predict_prior=predict_prior)
    with torch.no_grad():
        head.linear.weight.copy_(torch.linspace(-1e4, 1e4, c)[:, None].expand(c, D))
    y = torch.arange(n) % c
    z = torch.ones(n, D, dtype=dtype, requires_grad=True)
    assert head.scores(z).abs().max() >= 1e4
    loss = head.loss(z, y)
    loss.total.backward()
    ratio = head.log_ratio(z)
    for value in (loss.total, z.grad, head.linear.weight.grad, ratio, head.log_probs(z)):
        assert value.isfinite().all()
    assert ratio.max() <= -head.log_class_prior.min() + 1e-2


def test_a_class_that_no_batch_and_no_count_has_leaves_finite_gradients():
    head = pc_head(counts=torch.tensor([6, 0, 2]))
    z, _ = batch()
    head.loss(z, torch.zeros(N, dtype=torch.int64)).total.backward()
    assert head.linear.bias.grad.isfinite().all()
    assert head.log_ratio(z).isfinite().all()


@pytest.mark.parametrize("c", [2, 5])
@pytest.mark.parametrize("n", [1, 4])
def test_gradients_agree_with_finite_differences(n, c):
    head = pc_head(c, counts=torch.arange(c) + 1)
    z, y = batch(n, c)
    arguments = (z.requires_grad_(), head.linear.weight, head.linear.bias)
    assert torch.autograd.gradcheck(lambda z, *_: head.loss(z, y).total, arguments)
    assert torch.autograd.gradcheck(lambda z, *_: head.log_ratio(z), arguments)


# ---------------------------------------------------------------- in a run


@pytest.mark.parametrize("predict_prior", ["uniform", "train"])
def test_a_run_keeps_the_law_that_its_posterior_implies(tmp_path, rng, predict_prior):
    y = np.repeat([0, 1, 2], [40, 12, 8])
    split = Split((np.eye(3)[y] * 2 + rng.standard_normal((60, 3))).astype(np.float32), y)
    run = train(
        splits=(split, split),
        head="pc_softmax",
        head_options={"predict_prior": predict_prior},
        epochs=3,
        out=tmp_path,
        progress=False,
    )
    lat = run.latents("test")
    np.testing.assert_allclose(run.prior().log_posterior(lat.z), lat.log_probs, atol=1e-4)
    frequencies = {"uniform": [1 / 3] * 3, "train": [40 / 60, 12 / 60, 8 / 60]}[predict_prior]
    for lat in (run.latents("test"), run.latents("train"), run.latents("train", epoch=0)):
        np.testing.assert_allclose(lat.label_prior, frequencies, rtol=1e-6)
    np.testing.assert_allclose(run.label_frequencies, [40 / 60, 12 / 60, 8 / 60], rtol=1e-6)


def test_unknown_prior_is_refused():
    with pytest.raises(InputError, match=r"unknown predict_prior 'test'.*train, uniform"):
        pc_head(predict_prior="test")
