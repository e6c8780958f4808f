"""The DropMax head: identities, who learns from what, masks enumerated, and where rho settles."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch.distributions import Bernoulli, kl_divergence
from torch.nn import functional as F

import vcviz.models.heads.masks as masks
from vcviz.base.errors import InputError
from vcviz.models.heads import build_head
from vcviz.models.heads.dropmax import VARIANTS
from vcviz.models.heads.masks import mask_divergence, mask_entropy, relaxed_log_mask

N, C, D = 7, 3, 2


def dropmax(c=C, d=D, seed=0, dtype=torch.float64, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_head("dropmax", latent_dim=d, n_classes=c, **options).to(dtype)


def batch(n=N, c=C, d=D, scale=2.0, dtype=torch.float64):
    z = scale * torch.randn(n, d, generator=seeded(0), dtype=dtype)
    return z.requires_grad_(), torch.arange(n) % c


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def keep_all(head, logit=800.0):
    """Make rho 1 everywhere, also given the label."""
    with torch.no_grad():
        for layer in (head.gate, *([head.residual] if hasattr(head, "residual") else [])):
            layer.weight.zero_()
            layer.bias.zero_()
        head.gate.bias.fill_(logit)


def scores_of(head, z):
    return (z @ head.scores.weight.T + head.scores.bias).detach()


# ---------------------------------------------------------------- limit identities


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("draws", [1, 4])
@pytest.mark.parametrize(("n", "c", "d"), [(1, 2, 1), (7, 3, 2), (5, 1000, 4)])
def test_with_every_class_retained_it_is_the_softmax_head(variant, draws, n, c, d):
    head = dropmax(c, d, variant=variant, draws=draws, retain=1.0)
    softmax = build_head("softmax", latent_dim=d, n_classes=c).double()
    softmax.linear.load_state_dict(head.scores.state_dict())
    if variant != "random":
        keep_all(head)
    z, y = batch(n, c, d)
    torch.testing.assert_close(head.log_probs(z), softmax.log_probs(z), rtol=0, atol=1e-12)
    if variant != "deterministic":
        sampled = dropmax(c, d, variant=variant, retain=1.0, predict="monte_carlo", predict_draws=3)
        sampled.load_state_dict(head.state_dict())
        torch.testing.assert_close(sampled.log_probs(z), softmax.log_probs(z), rtol=0, atol=1e-12)
    loss, plain = head.loss(z, y), softmax.loss(z, y).total
    torch.testing.assert_close(loss["cross_entropy"], plain, rtol=1e-12, atol=0)
    for name in ("divergence", "entropy"):
        if name in loss.keys():  # noqa: SIM118
            assert loss[name].item() == 0
    (ours,) = torch.autograd.grad(loss.total, z, retain_graph=True)
    (theirs,) = torch.autograd.grad(plain, z)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_the_variants_differ_in_what_they_learn():
    names = {v: {n for n, _ in dropmax(variant=v).named_parameters()} for v in VARIANTS}
    both = {f"{layer}.{p}" for layer in ("scores", "gate") for p in ("weight", "bias")}
    assert names["variational"] == both | {"residual.weight", "residual.bias"}
    assert names["prior"] == names["deterministic"] == both
    assert names["random"] == {"scores.weight", "scores.bias"}
    z, y = batch()
    terms = {v: dropmax(variant=v).loss(z, y).keys() for v in VARIANTS}
    assert terms["variational"] == ["cross_entropy", "divergence", "entropy", "auxiliary"]
    assert terms["prior"] == ["cross_entropy", "divergence", "entropy"]
    assert terms["random"] == terms["deterministic"] == ["cross_entropy"]


# ---------------------------------------------------------------- the terms against oracles


def test_terms_agree_with_torch_distributions():
    head = dropmax(kl_weight=0.7, entropy_weight=0.3, auxiliary_weight=0.2)
    z, y = batch()
    loss = head.loss(z, y, generator=seeded())
    gate, residual = (layer(z).detach() for layer in (head.gate, head.residual))
    rho, g = Bernoulli(logits=gate), Bernoulli(logits=gate + residual)
    target = F.one_hot(y, C).bool()
    divergence = kl_divergence(g, rho).masked_fill(target, 0).sum(1) - rho.probs[target].log()
    auxiliary = F.binary_cross_entropy(residual.sigmoid(), target.double(), reduction="sum") / N
    torch.testing.assert_close(loss["divergence"], divergence.mean())
    torch.testing.assert_close(loss["entropy"], rho.entropy().sum(1).mean())
    torch.testing.assert_close(loss["auxiliary"], auxiliary)
    total = loss["cross_entropy"] + 0.7 * divergence.mean()
    total = total - 0.3 * rho.entropy().sum(1).mean() + 0.2 * auxiliary
    torch.testing.assert_close(loss.total, total)


def test_the_prior_variant_pays_for_the_target_alone():
    head = dropmax(variant="prior")
    z, y = batch()
    rho = head.retain_probs(z)
    own = -rho[torch.arange(N), y].log().mean()
    torch.testing.assert_close(head.loss(z, y)["divergence"], own)


@pytest.mark.parametrize("draws", [1, 5])
def test_cross_entropy_agrees_with_the_authors_formula(draws):
    head = dropmax(draws=draws, temperature=0.4)
    z, y = batch()
    u = torch.rand((draws, N, C), generator=seeded(), dtype=torch.float64)
    logit = head.gate(z) + head.residual(z)
    mask = torch.sigmoid((logit + (u / (1 - u)).log()) / 0.4)
    mask[:, torch.arange(N), y] = 1
    weight = mask * scores_of(head, z).exp()
    expected = -(weight[:, torch.arange(N), y] / weight.sum(2)).log().mean()
    got = head.loss(z, y, generator=seeded())["cross_entropy"]
    torch.testing.assert_close(got, expected)


def test_relaxed_masks_round_to_draws_of_the_retain_probability():
    logit = torch.tensor([[-1.5, 0.0, 2.0]], dtype=torch.float64)
    log_mask = relaxed_log_mask(logit, torch.tensor([1]), 40_000, 0.1, seeded())
    share = (log_mask > math.log(0.5)).double().mean(0)[0]
    assert share[1] == 1
    expected = logit.sigmoid()[0]
    torch.testing.assert_close(share[[0, 2]], expected[[0, 2]], atol=0.01, rtol=0)


def test_expected_prediction_weighs_each_class_by_its_retain_probability():
    z, _ = batch()
    for variant in ("variational", "prior", "deterministic"):
        head = dropmax(variant=variant)
        weight = head.retain_probs(z) * scores_of(head, z).exp()
        torch.testing.assert_close(head.log_probs(z).exp(), weight / weight.sum(1, keepdim=True))
    head = dropmax(variant="random", retain=0.3)
    torch.testing.assert_close(head.log_probs(z), scores_of(head, z).log_softmax(1))


def test_deterministic_attention_trains_what_it_predicts():
    head = dropmax(variant="deterministic")
    z, y = batch()
    torch.testing.assert_close(head.loss(z, y).total, F.nll_loss(head.log_probs(z), y))


def test_random_masks_drop_other_classes_at_their_rate():
    head = dropmax(c=2, variant="random", retain=0.3, draws=4000)
    z, y = batch(3, 2)
    plain = F.cross_entropy(scores_of(head, z), y)
    # With two classes the other one is there or not: the loss is the softmax's, or zero.
    loss = head.loss(z, y, generator=seeded()).total
    assert loss.item() == pytest.approx(0.3 * plain.item(), rel=0.05)


# ---------------------------------------------------------------- gradients


def reached(head, term, z):
    """Return which of the encoder, o, theta and r learn from a term."""
    layers = [head.scores, head.gate, head.residual]
    found = []
    for inputs in ([z], *(list(layer.parameters()) for layer in layers)):
        grads = torch.autograd.grad(term, inputs, allow_unused=True, retain_graph=True)
        found.append(any(g is not None and bool(g.any()) for g in grads))
    return found


@pytest.mark.parametrize(
    ("term", "who"),
    [
        ("cross_entropy", [True, True, False, True]),
        ("divergence", [True, False, True, True]),
        ("entropy", [True, False, True, False]),
        ("auxiliary", [True, False, False, True]),
    ],
)
def test_who_learns_from_what(term, who):
    head = dropmax(temperature=1.0)
    z, y = batch()
    assert reached(head, head.loss(z, y, generator=seeded())[term], z) == who


def test_the_prior_variant_trains_theta_by_the_cross_entropy():
    head = dropmax(variant="prior", temperature=1.0)
    z, y = batch()
    grads = torch.autograd.grad(
        head.loss(z, y, generator=seeded())["cross_entropy"], head.gate.weight
    )
    assert grads[0].any()


def with_stopped(head, z, y, stopped):
    """Return the loss of the variational variant, written anew with stop(theta) a constant."""
    scores, gate, residual = head.scores(z), head.gate(z), head.residual(z)
    posterior = stopped + residual
    log_mask = relaxed_log_mask(posterior, y, 1, head.temperature, seeded())
    label = F.one_hot(y, C).double()
    auxiliary = F.binary_cross_entropy_with_logits(residual, label, reduction="sum") / len(z)
    return (
        F.cross_entropy(scores + log_mask[0], y)
        + mask_divergence(gate, posterior, y).mean()
        - mask_entropy(gate).mean()
        + auxiliary
    )


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_gradients_agree_with_finite_differences_but_for_the_stop(scale):
    head = dropmax()
    z, y = batch(scale=scale)
    stopped = head.gate(z).detach()
    inputs = (z, *head.parameters())
    written = with_stopped(head, z, y, stopped)
    loss = head.loss(z, y, generator=seeded()).total
    torch.testing.assert_close(loss, written)
    for ours, theirs in zip(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(written, inputs), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(lambda z, *_: with_stopped(head, z, y, stopped), inputs)


@pytest.mark.parametrize("variant", ["prior", "random", "deterministic"])
@pytest.mark.parametrize("draws", [1, 3])
def test_gradients_of_the_other_variants_agree_with_finite_differences(variant, draws):
    head = dropmax(variant=variant, draws=draws)
    z, y = batch(scale=1.0)
    assert torch.autograd.gradcheck(
        lambda z, *_: head.loss(z, y, generator=seeded()).total, (z, *head.parameters())
    )


# ---------------------------------------------------------------- masks and predictions


def enumerated(scores, rho):
    """Return the mean of p(y|z, m) over all 2^C masks, in NumPy, one row after another."""
    scores, rho = scores.numpy(), rho.detach().numpy()
    total = np.zeros_like(scores)
    for mask in itertools.product([False, True], repeat=scores.shape[1]):
        m = np.array(mask)
        chance = np.where(m, rho, 1 - rho).prod(1, keepdims=True)
        weight = np.exp(scores) * (m if m.any() else True)
        total += chance * weight / weight.sum(1, keepdims=True)
    return torch.from_numpy(total)


@pytest.mark.parametrize(
    ("variant", "c"),
    [
        ("variational", 2),
        ("random", 3),
        ("variational", 5),
        *(
            pytest.param(*rest, marks=pytest.mark.slow)
            for rest in (("random", 2), ("variational", 3), ("random", 5))
        ),
    ],
)
def test_monte_carlo_prediction_is_unbiased_and_its_error_falls_with_the_root(variant, c):
    z, _ = batch(4, c)
    head = dropmax(c, variant=variant, predict="monte_carlo", retain=0.4)
    exact = enumerated(scores_of(head, z), head.retain_probs(z))

    def errors(draws, repeats):
        head.predict_draws = draws
        with torch.no_grad():
            found = [head.log_probs(z, generator=seeded(s)).exp() for s in range(repeats)]
        return torch.stack(found) - exact

    few, many = errors(8, 300), errors(128, 300)
    # The mean of 300 estimates lies within 4.5 of its own standard errors.
    assert (few.mean(0).abs() < 4.5 * few.std(0) / math.sqrt(300)).all()
    ratio = few.square().mean().sqrt() / many.square().mean().sqrt()
    assert ratio.item() == pytest.approx(4, rel=0.15)


def test_the_expected_prediction_is_not_the_mean_of_the_masks():
    z, _ = batch(4)
    head = dropmax()
    exact = enumerated(scores_of(head, z), head.retain_probs(z))
    assert (head.log_probs(z).exp() - exact).abs().max() > 0.01


def test_a_mask_gives_the_softmax_over_what_it_retains():
    head = dropmax()
    z, _ = batch()
    kept = torch.tensor([[[True, False, True]], [[False, False, False]], [[False, True, False]]])
    log_probs = head.masked_log_probs(z, kept)
    assert log_probs.shape == (3, N, C)
    scores = scores_of(head, z)
    torch.testing.assert_close(log_probs[0][:, [0, 2]], scores[:, [0, 2]].log_softmax(1))
    assert (log_probs[0][:, 1] < -700).all()
    torch.testing.assert_close(log_probs[1], scores.log_softmax(1))
    torch.testing.assert_close(log_probs[2].exp(), torch.eye(C).double()[[1]].expand(N, C))


def test_what_the_label_adds_to_the_retain_probabilities():
    head = dropmax()
    z, y = batch()
    g = head.posterior_retain_probs(z, y)
    assert (g[torch.arange(N), y] == 1).all()
    others = ~F.one_hot(y, C).bool()
    torch.testing.assert_close(g[others], (head.gate(z) + head.residual(z)).sigmoid()[others])
    fixed = dropmax(variant="random", retain=0.3)
    assert fixed.posterior_retain_probs(z, y)[0].tolist() == pytest.approx([1, 0.3, 0.3])
    attention = dropmax(variant="deterministic")
    torch.testing.assert_close(attention.posterior_retain_probs(z, y), attention.retain_probs(z))


def test_draws_follow_the_generator():
    head = dropmax(predict="monte_carlo", predict_draws=5)
    z, y = batch()
    assert torch.equal(
        head.log_probs(z, generator=seeded(1)), head.log_probs(z, generator=seeded(1))
    )
    assert not torch.equal(
        head.log_probs(z, generator=seeded(1)), head.log_probs(z, generator=seeded(2))
    )
    first = head.loss(z, y, generator=seeded(1)).total
    assert head.loss(z, y, generator=seeded(1)).total == first
    assert head.loss(z, y, generator=seeded(2)).total != first


# ---------------------------------------------------------------- where rho settles


def test_the_regulariser_alone_holds_rho_at_its_fixed_points():
    gate = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    never = torch.full((1, 4), -200.0, dtype=torch.float64)  # g of the other classes at 0
    y = torch.tensor([2])
    optimizer = torch.optim.LBFGS([gate], max_iter=100, tolerance_grad=1e-12)

    def closure():
        optimizer.zero_grad()
        value = (mask_divergence(gate, never, y) - mask_entropy(gate)).sum()
        value.backward()
        return value

    optimizer.step(closure)
    root = brentq(lambda p: math.log(p / (1 - p)) - 1 / p, 0.5, 0.99)
    assert root == pytest.approx(0.782, abs=5e-4)
    rho = gate.detach().sigmoid()[0].tolist()
    assert rho == pytest.approx([1 - root, 1 - root, root, 1 - root], abs=1e-5)


def test_retain_probabilities_stay_within_their_band_on_digits():
    from vcviz.data import load_data
    from vcviz.models.classifier import Classifier
    from vcviz.models.encoders import build_encoder

    train, _ = load_data("digits", seed=0, n_train=300)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build_encoder("mlp", kind="image", input_shape=train.x.shape[1:], latent_dim=16)
        model = Classifier(encoder, build_head("dropmax", latent_dim=16, n_classes=10))
    x, y = torch.as_tensor(train.x.copy()), torch.as_tensor(train.y.copy())
    optimizer, noise = torch.optim.Adam(model.parameters(), 3e-3), seeded()
    for _ in range(600):
        loss = model.head.loss(model.encode(x), y, generator=noise)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    rho = model.head.retain_probs(model.encode(x)).detach()
    own = rho[torch.arange(len(y)), y].mean().item()
    others = rho[~F.one_hot(y, 10).bool()].mean().item()
    # Measured beforehand: 0.70 to 0.72 and 0.23 to 0.24; the regulariser's own are 0.782, 0.218.
    assert 0.65 < own < 0.8
    assert 0.2 < others < 0.3
    assert model.head.log_probs(model.encode(x)).argmax(1).eq(y).float().mean() > 0.99


@pytest.mark.slow
def test_it_errs_less_than_softmax_on_thirty_digits_a_class(tmp_path):
    # Measured beforehand with 1500 epochs and 8 seeds: 5.21 -> 4.53 %, NLL 0.176 -> 0.154.
    from vcviz.training import train

    def scores(head, seed):
        run = train(
            dataset="digits",
            n_train=300,
            head=head,
            latent_dim=64,
            encoder_options={"hidden": [128]},
            epochs=500,
            batch_size=100,
            lr=1e-3,
            weight_decay=1e-4,
            schedule="step",
            schedule_options={"milestones": [1 / 3, 2 / 3], "gamma": 0.1},
            probe_size=20,
            probe_every=500,
            seed=seed,
            out=tmp_path,
            progress=False,
        )
        return 100 * (1 - run.metrics["accuracy"]), run.metrics["nll"]

    seeds = range(100, 105)
    gain = np.array([np.subtract(scores("softmax", s), scores("dropmax", s)) for s in seeds])
    mean, error = gain.mean(0), gain.std(0, ddof=1) / len(gain) ** 0.5
    assert (mean - 2 * error > 0).all(), gain


# ---------------------------------------------------------------- extremes


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "c"), [(1, 2), (6, 2), (4, 1000)])
def test_logits_of_ten_thousand_stay_finite(variant, dtype, n, c):
    head = dropmax(c, 1, variant=variant, draws=2, dtype=dtype)
    with torch.no_grad():
        for name, p in head.named_parameters():
            p.copy_(torch.linspace(-1, 1, p.numel()).reshape(p.shape))
            if name.startswith("gate"):
                p.neg_()
    z = torch.linspace(-1e4, 1e4, n, dtype=dtype)[:, None].requires_grad_()
    y = torch.zeros(n, dtype=torch.int64)  # the other classes are absent
    loss = head.loss(z, y)
    loss.total.backward()
    assert all(term.isfinite() for term in loss.terms.values())
    assert z.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in head.parameters())
    assert head.log_probs(z).isfinite().all()
    if variant != "deterministic":
        head.prediction, head.predict_draws = "monte_carlo", 4
        z.grad = None
        log_probs = head.log_probs(z)
        torch.testing.assert_close(log_probs.logsumexp(1), torch.zeros(n, dtype=dtype))
        assert log_probs.isfinite().all()
        log_probs.sum().backward()
        assert z.grad.isfinite().all()


@pytest.mark.parametrize("edge", [torch.zeros, torch.ones])
def test_noise_at_its_very_edge_does_no_harm(edge, monkeypatch):
    monkeypatch.setattr(masks, "uniform", lambda shape, like, generator: edge(shape).to(like))
    logit = torch.tensor([[-3.0, 0.0, 2.0]])
    log_mask = relaxed_log_mask(logit, torch.tensor([1]), 2, 0.1)
    # u within [1e-6, 1 - 1e-6], as in the authors' code
    assert (log_mask.abs() < (3 + math.log(1e6)) / 0.1 + 1).all()


def test_small_probabilities_do_not_round_to_nothing_in_float32():
    gate = torch.tensor([[40.0, -40.0, 0.0]])
    posterior = torch.tensor([[60.0, -60.0, 0.0]])
    y = torch.tensor([2])
    wide = mask_divergence(gate.double(), posterior.double(), y)
    torch.testing.assert_close(mask_divergence(gate, posterior, y).double(), wide)
    swapped = mask_divergence(-gate, posterior, y)
    torch.testing.assert_close(swapped.item(), 80.0 + math.log(2), rtol=1e-5, atol=0)
    assert mask_entropy(gate).item() == pytest.approx(math.log(2))


def test_weight_decay_spares_rho_and_r():
    head = dropmax()
    spared = {id(p) for p in head.undecayed_parameters()}
    assert {n for n, p in head.named_parameters() if id(p) not in spared} == {
        "scores.weight",
        "scores.bias",
    }
    assert dropmax(variant="random").undecayed_parameters() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "variatonal"}, "unknown variant 'variatonal'; did you mean 'variational'"),
        ({"predict": "mc"}, "unknown predict 'mc'"),
        ({"variant": "deterministic", "predict": "monte_carlo"}, "draws no masks"),
        ({"temperature": 0}, "temperature must be a number above 0"),
        ({"draws": 0}, "draws must be a whole number of at least 1"),
        ({"predict_draws": 1.5}, "predict_draws must be a whole number"),
        ({"retain": 1.2}, r"retain must be a probability in \(0, 1\], got 1.2"),
        ({"retain": 0}, "retain must be a number above 0"),
        ({"kl_weight": -1}, "kl_weight must be a number of at least 0"),
        ({"entropy_weight": math.inf}, "entropy_weight must be a number"),
        ({"auxiliary_weight": "1"}, "auxiliary_weight must be a number"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        dropmax(**options)
