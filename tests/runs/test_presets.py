"""The papers' settings: losses and steps against the released code, written anew from its source.

What is transcribed here is the authors' arithmetic, in NumPy or plain autograd and in float64;
nothing of `vcviz` computes an expected value.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vcviz
from vcviz import InputError, RunConfig, Split
from vcviz.models.heads import build_head
from vcviz.models.heads.critics import LinearCritics, TanhCritics
from vcviz.runs.presets import PRESETS
from vcviz.runs.settings import build_model
from vcviz.training.jobs import describe
from vcviz.training.loop import Trainer, epoch_seed
from vcviz.training.schedules import optimizers_of, schedule

N, C, D = 12, 4, 3
PAPER = PRESETS["paper"]
EXACT = {"rtol": 1e-10, "atol": 0.0}


def head_of(name: str, *, c: int = C, d: int = D, seed: int = 0, **options):
    """Return the head of the preset in float64, its parameters away from their special values."""
    settings = RunConfig(head=name, preset="paper", head_options=options).head_options
    torch.manual_seed(seed)
    head = build_head(name, latent_dim=d, n_classes=c, **settings).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    head.set_class_counts(torch.tensor([7, 2, 1, 4][:c]))
    return head


def batch(n: int = N, c: int = C, d: int = D):
    z = 2 * torch.randn(n, d, generator=seeded(0), dtype=torch.float64)
    return z, (torch.arange(n) * 7) % c


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def log_sum_exp(a: np.ndarray) -> np.ndarray:
    top = a.max(-1, keepdims=True)
    return np.log(np.exp(a - top).sum(-1)) + top[..., 0]


# ---------------------------------------------------------------- what a preset is


@pytest.mark.parametrize("head", PAPER)
def test_a_preset_is_filled_in_and_remembered(head: str) -> None:
    config = RunConfig(head=head, preset="paper")
    for name, value in PAPER[head].items():
        assert getattr(config, name) == value
    assert config.differences() == {"head": head, "preset": "paper"}
    assert RunConfig(**config.differences()) == config
    assert config.key != RunConfig(head=head).key
    # Nothing of data and encoder, which a preset leaves to its user.
    assert not PAPER[head].keys() & {"dataset", "encoder", "latent_dim", "augment", "seed"}


def test_what_is_given_goes_before_the_preset() -> None:
    config = RunConfig(
        head="variational", preset="paper", epochs=3, head_options={"critic_weight": 1.0}
    )
    assert (config.epochs, config.lr) == (3, 0.1)
    assert config.head_options == PAPER["variational"]["head_options"] | {"critic_weight": 1.0}
    assert RunConfig(head="dropmax", preset="paper", schedule="cosine").schedule_options == {}
    config.head_options["law_options"]["initial_means"] = "spread"
    assert RunConfig(head="variational", preset="paper").head_options["law_options"] == {
        "initial_means": "normal",
        "learn_log_variance": True,
    }


def test_heads_without_a_paper_say_so() -> None:
    message = "preset 'paper' has no settings for head 'softmax'; it has some for: variational,"
    with pytest.raises(InputError, match=message):
        RunConfig(head="softmax", preset="paper")
    assert set(PAPER) == set(vcviz.HEADS) - {"softmax"}


def test_learning_rates_follow_the_authors_epochs() -> None:
    """Of the first epoch and those before and after every change, as their schedulers give it."""
    for head, epochs in {
        "variational": {0: 0.1, 29: 0.1, 30: 0.01, 59: 0.01, 60: 0.001, 89: 0.001},
        "gaussian_mixture": {0: 0.1, 153: 0.1, 154: 0.01, 230: 0.01, 231: 0.001},
        "dropmax": {0: 1e-3, 66: 1e-3, 67: 1e-4, 133: 1e-4, 134: 1e-5},
        "heteroscedastic": {1: 0.4, 59: 0.4, 60: 0.08, 119: 0.08, 120: 0.016, 160: 0.0032},
        "pc_softmax": {0: 0.01, 7: 0.01},
    }.items():
        config = RunConfig(head=head, preset="paper")
        for epoch, rate in epochs.items():
            factor = schedule(config.schedule, epoch / config.epochs, **config.schedule_options)
            assert config.lr * factor == pytest.approx(rate), (head, epoch)
    warm = PAPER["heteroscedastic"]["schedule_options"]
    assert schedule("step", 0.5 / 200, **warm) == pytest.approx(0.5)


# ---------------------------------------------------------------- variational


def vc_loss(z, y, centers, log_covs, w, b):
    """Return loss and T of imagenet/loss.py; the critic's weights come detached."""
    covs = log_covs.exp()
    dist = ((z[:, None] - centers) ** 2 / covs).sum(-1)
    logits = -0.5 * (log_covs.sum(-1) + dist)
    own = logits[torch.arange(len(y)), y]
    cross_entropy = (logits.logsumexp(1) - own).mean()
    likelihood = -own
    treal = (w[y] * z).sum(-1) + b[y]
    return cross_entropy + 0.01 * likelihood.mean() + 0.01 * treal.mean()


def test_variational_is_the_released_loss_with_its_routing() -> None:
    head = head_of("variational")
    z, y = batch()
    z = head.place(z).requires_grad_()
    ours = head.loss(z, y).total
    # Theirs leaves out the constant of the density.
    constant = 0.01 * 0.5 * D * math.log(2 * math.pi)
    leaves = [z.detach().clone(), head.law.mean.detach().clone(), head.law.log_variance.detach()]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    critic = [p.detach().clone() for p in head.critic.parameters()]
    theirs = vc_loss(leaves[0], y, leaves[1], leaves[2], *critic)
    np.testing.assert_allclose(ours.item() - constant, theirs.item(), **EXACT)
    trained = [z, head.law.mean, head.law.log_variance]
    for mine, other in zip(
        torch.autograd.grad(ours, trained, retain_graph=True),
        torch.autograd.grad(theirs, leaves),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-14)
    reached = torch.autograd.grad(ours, list(head.critic.parameters()), allow_unused=True)
    assert reached == (None, None)


def test_variational_critic_is_the_released_one() -> None:
    head = head_of("variational")
    z, y = batch()
    ours = head.critic_terms(z, y, generator=seeded())
    noise = numpy(torch.randn(N, D, generator=seeded(), dtype=torch.float64))
    label, w, b = y.numpy(), *map(numpy, head.critic.parameters())
    centers, log_covs = numpy(head.law.mean), numpy(head.law.log_variance)
    sampled = noise * np.sqrt(np.exp(log_covs[label])) + centers[label]
    real, fake = ((w[label] * part).sum(1) + b[label] for part in (z.numpy(), sampled))
    # Binary cross-entropy with logits, of ones and of zeros; no penalty.
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
    np.testing.assert_allclose(ours.total.item(), expected, **EXACT)
    assert ours.keys() == ["loss"]


def test_variational_latents_are_rectified_wherever_they_are_seen() -> None:
    head = head_of("variational")
    z, y = batch()
    placed = head.place(z)
    assert torch.equal(placed, z.clamp(min=0))
    assert (placed == 0).any()
    model = vcviz.models.Classifier(torch.nn.Identity(), head)
    assert torch.equal(model.encode(z), placed)
    assert torch.equal(model(z), head.log_probs(placed))
    with pytest.raises(InputError, match="rectified latents have no density"):
        head.rate(model.posterior(z), placed, y)
    with pytest.raises(InputError, match="has a place of its own"):
        build_head("variational", latent_dim=D, n_classes=C, rectified=True, law="von_mises_fisher")


def test_variational_starts_as_released() -> None:
    """randn centres and critics, log-variances and biases of 0: of many, the moments show it."""
    options = RunConfig(head="variational", preset="paper").head_options
    torch.manual_seed(0)
    head = build_head("variational", latent_dim=200, n_classes=100, **options)
    for drawn in (head.law.mean, head.critic.weight):
        assert drawn.shape == (100, 200)
        assert abs(drawn.mean()) < 4 / 20000**0.5
        assert abs(drawn.var() - 1) < 4 * (2 / 20000) ** 0.5
        assert abs((drawn**4).mean() - 3) < 4 * (96 / 20000) ** 0.5
    assert not head.law.log_variance.any()
    assert not head.critic.bias.any()
    assert isinstance(head.critic, LinearCritics)
    two = build_head("variational", latent_dim=20, n_classes=9, **options | {"critic_layers": 2})
    assert isinstance(two.critic, TanhCritics)
    assert two.critic.hidden_weight.shape == (9, 512, 20)
    assert abs(two.critic.hidden_weight.var() - 1) < 0.02
    with pytest.raises(InputError, match="critic_init='normal' is for critic='per_class'"):
        build_head("variational", latent_dim=2, n_classes=3, critic_init="normal")


def test_means_that_are_drawn_have_no_separation() -> None:
    with pytest.raises(InputError, match="initial_means='he' draws the means"):
        build_head(
            "gaussian_mixture",
            latent_dim=2,
            n_classes=3,
            separation=5.0,
            law_options={"initial_means": "he"},
        )
    with pytest.raises(InputError, match="initial_means"):
        build_head(
            "gaussian_mixture", latent_dim=2, n_classes=3, law_options={"initial_means": "x"}
        )


def test_the_law_is_the_same_whether_its_scale_or_its_variance_is_learned() -> None:
    shared = {"latent_dim": D, "n_classes": C, "covariance": "diagonal", "learn_scale": True}
    plain, squared = (
        build_head("variational", **shared, law_options={"learn_log_variance": v}).double()
        for v in (False, True)
    )
    with torch.no_grad():
        plain.law.log_scale.normal_(generator=seeded())
        squared.law.log_variance.copy_(2 * plain.law.log_scale)
    z, y = batch()
    torch.testing.assert_close(plain.log_probs(z), squared.log_probs(z), rtol=1e-12, atol=0)
    slopes = [
        torch.autograd.grad(head.likelihood(z, y), parameter)[0]
        for head, parameter in ((plain, plain.law.log_scale), (squared, squared.law.log_variance))
    ]
    torch.testing.assert_close(slopes[0], 2 * slopes[1], rtol=1e-10, atol=1e-14)


# ---------------------------------------------------------------- large-margin mixture


def lgm_gradients(z, y, weight, alpha):
    """Return cross-entropy and the gradients of class_distance_layer.cu to latents and centres.

    Its sigma is 1 (they add 1e-4 to it, left out here) and its centre_coef 0.1.
    """
    n, c = len(z), len(weight)
    label = np.eye(c)[y]
    top = -0.5 * ((z[:, None] - weight) ** 2).sum(-1)
    top = top + label * top * alpha
    prob = np.exp(top - log_sum_exp(top)[:, None])
    loss = -np.log(prob[np.arange(n), y]).mean()
    top_diff = (prob - label) / n
    coefficient = np.where(label, (1 + alpha) * top_diff - 0.1 / n, top_diff)
    off = weight[None] - z[:, None]
    return loss, (coefficient[..., None] * off).sum(1), -(coefficient[..., None] * off).sum(0)


@pytest.mark.parametrize(
    ("iteration", "alpha"),
    [(0, 0.1), (4999, 0.1), (5000, 0.2), (9999, 0.2), (10000, 0.3), (119999, 0.3)],
)
def test_mixture_is_the_released_loss_as_its_margin_grows(iteration: int, alpha: float) -> None:
    head = head_of("gaussian_mixture")
    z, y = batch()
    z.requires_grad_()
    head.begin_step(iteration / 120000)
    loss = head.loss(z, y)
    entropy, *slopes = lgm_gradients(numpy(z), y.numpy(), numpy(head.law.mean), alpha)
    np.testing.assert_allclose(loss["cross_entropy"].item(), entropy, **EXACT)
    distance = 0.5 * ((numpy(z) - numpy(head.law.mean)[y.numpy()]) ** 2).sum(1).mean()
    constant = 0.5 * D * math.log(2 * math.pi)
    np.testing.assert_allclose(loss.total.item(), entropy + 0.1 * (distance + constant), **EXACT)
    found = torch.autograd.grad(loss.total, [z, head.law.mean])
    for mine, other in zip(found, slopes, strict=True):
        np.testing.assert_allclose(mine.numpy(), other, rtol=1e-10, atol=1e-14)


def test_mixture_starts_as_released_and_its_scale_is_fixed() -> None:
    """Caffe's filler "msra": normal with variance 2 / D."""
    options = RunConfig(head="gaussian_mixture", preset="paper").head_options
    torch.manual_seed(0)
    head = build_head("gaussian_mixture", latent_dim=200, n_classes=100, **options)
    assert abs(head.law.mean.var() * 100 - 1) < 4 * (2 / 20000) ** 0.5
    assert [name for name, _ in head.named_parameters()] == ["law.mean"]
    assert not head.law.log_scale.any()
    # Outside of training, the margin that training ends with.
    assert head.margin_now == head.margin == 0.3


def test_growing_margins_are_checked() -> None:
    shared = {"latent_dim": 2, "n_classes": 3}
    steady = build_head("gaussian_mixture", **shared, margin=0.3)
    steady.begin_step(0.0)
    assert steady.margin_now == 0.3
    fast = build_head(
        "gaussian_mixture", **shared, margin=0.3, initial_margin=1e-300, margin_doubling=1e-320
    )
    fast.begin_step(0.9)
    assert fast.margin_now == 0.3
    with pytest.raises(InputError, match="grows from initial_margin to margin, got 0"):
        build_head("gaussian_mixture", **shared, margin=0.1, initial_margin=0.2)
    with pytest.raises(InputError, match="initial_margin must be"):
        build_head("gaussian_mixture", **shared, margin=0.1, initial_margin=0.0)
    with pytest.raises(InputError, match="margin_doubling must lie between 0 and 1"):
        build_head("gaussian_mixture", **shared, margin=0.1, margin_doubling=0.0)


# ---------------------------------------------------------------- DropMax


def dropmax_loss(z, y, u, scores, gate, residual):
    """Return the loss of layers.py and lenet.py but for its weight decay, their 1e-20 included."""

    def log(value):
        return torch.log(value + 1e-20)

    def logit(value):
        return log(value) - log(1 - value)

    label = F.one_hot(y, C).bool()
    o, ph, rh = (z @ w.T + b for w, b in (scores, gate, residual))
    p, r, q = ph.sigmoid(), rh.sigmoid(), (ph.detach() + rh).sigmoid()
    mask = ((logit(q) + logit(u)) / 0.1).sigmoid()
    mask = torch.where(label, torch.ones_like(mask), mask)
    expo = (mask + 1e-20) * o.exp()
    entropy = -(log((expo * label).sum(1)) - log(expo.sum(1))).mean()
    kept = q * (log(q) - log(p)) + (1 - q) * (log(1 - q) - log(1 - p))
    kl = torch.where(label, -log(p), kept).mean(0).sum()
    aux = torch.where(label, -log(r), -log(1 - r)).mean(0).sum()
    ent = (p * log(p) + (1 - p) * log(1 - p)).mean(0).sum()
    return entropy + kl + aux + ent


def test_dropmax_is_the_released_loss_with_its_routing() -> None:
    head = head_of("dropmax")
    z, y = batch()
    layers = [head.scores, head.gate, head.residual]
    trained = [z.requires_grad_(), *(p for layer in layers for p in (layer.weight, layer.bias))]
    ours = head.loss(z, y, generator=seeded()).total
    u = torch.rand(1, N, C, generator=seeded(), dtype=torch.float64)[0]
    assert 1e-6 < u.min() < u.max() < 1 - 1e-6
    leaves = [t.detach().clone().requires_grad_() for t in trained]
    theirs = dropmax_loss(leaves[0], y, u, leaves[1:3], leaves[3:5], leaves[5:7])
    np.testing.assert_allclose(ours.item(), theirs.item(), **EXACT)
    for mine, other in zip(
        torch.autograd.grad(ours, trained), torch.autograd.grad(theirs, leaves), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-13)


def test_dropmax_predicts_and_decays_as_released() -> None:
    head = head_of("dropmax")
    z, _ = batch()
    o, p = numpy(head.scores(z)), 1 / (1 + np.exp(-numpy(head.gate(z))))
    weight = (p + 1e-20) * np.exp(o)
    expected = np.log(weight / weight.sum(1, keepdims=True))
    np.testing.assert_allclose(numpy(head.log_probs(z)), expected, rtol=1e-10, atol=1e-14)
    config = RunConfig(head="dropmax", preset="paper")
    main = optimizers_of(config, head.main_parameters(), [], undecayed=head.undecayed_parameters())[
        "main"
    ]
    decay = {id(p): g["weight_decay"] for g in main.param_groups for p in g["params"]}
    names = {name: decay[id(p)] for name, p in head.named_parameters()}
    assert names == {n: 1e-4 if n.startswith("scores") else 0.0 for n in names}
    assert type(main).__name__ == "Adam"
    assert main.defaults["betas"] == (0.9, 0.999)


# ---------------------------------------------------------------- heteroscedastic


def test_heteroscedastic_is_the_released_loss() -> None:
    draws, rank = 40, 6
    c = 7  # they ask for no more factors than classes
    settings = RunConfig(head="heteroscedastic", preset="paper").head_options
    assert (settings["rank"], settings["draws"]) == (rank, 10000)
    torch.manual_seed(1)
    options = {**settings, "draws": draws, "predict_draws": draws}
    head = build_head("heteroscedastic", latent_dim=D, n_classes=c, **options).double()
    z, y = batch(c=c)
    loss = head.loss(z, y, generator=seeded())
    draw = seeded()
    diagonal = numpy(torch.empty(N, c, draws, dtype=torch.float64).normal_(generator=draw))
    shared = numpy(torch.empty(N, rank, draws, dtype=torch.float64).normal_(generator=draw))
    layers = ((head.mean, "locs"), (head.scale, "diag"), (head.factor, "factors"))
    out = {name: numpy(z) @ numpy(m.weight).T + numpy(m.bias) for m, name in layers}
    scale = np.log1p(np.exp(out["diag"])) + 1e-3
    loadings = out["factors"].reshape(N, c, rank)
    u = out["locs"][..., None] + np.einsum("ijk,ika->ija", loadings, shared)
    u = (u + scale[..., None] * diagonal) / 1.3
    probs = np.exp(u - log_sum_exp(u.transpose(0, 2, 1))[:, None]).mean(2)
    # They clip at 1e-5, which is not reached.
    assert probs.min() > 1e-5
    expected = -np.log(np.clip(probs, 1e-5, 1))[np.arange(N), y.numpy()].mean()
    np.testing.assert_allclose(loss.total.item(), expected, **EXACT)
    again = numpy(head.log_probs(z, generator=seeded()))
    np.testing.assert_allclose(again, np.log(probs), rtol=1e-10, atol=1e-13)


# ---------------------------------------------------------------- PC-softmax


def test_pc_softmax_is_the_released_loss() -> None:
    head = head_of("pc_softmax")
    z, y = batch()
    z.requires_grad_()
    ours = head.loss(z, y).total
    share = np.array([7, 2, 1, 4]) / 14
    f = numpy(z) @ numpy(head.linear.weight).T + numpy(head.linear.bias)
    exponential = np.exp(f)
    ratio = exponential / (exponential * share).sum(1, keepdims=True)
    own = y.numpy()
    theirs = -np.log(ratio)[np.arange(N), own].mean()
    # Theirs leaves out the constant log pi_y.
    np.testing.assert_allclose(ours.item() + np.log(share)[own].mean(), theirs, **EXACT)
    weights = share * exponential / (exponential * share).sum(1, keepdims=True)
    slope = (weights - np.eye(C)[own]) @ numpy(head.linear.weight) / N
    (found,) = torch.autograd.grad(ours, z)
    np.testing.assert_allclose(found.numpy(), slope, rtol=1e-10, atol=1e-14)
    assert np.array_equal(numpy(head.log_probs(z)).argmax(1), ratio.argmax(1))


# ---------------------------------------------------------------- training steps


def table(rows: int = 24, seed: int = 0) -> tuple[Split, Split]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    split = Split(x, np.arange(rows) % C)
    return split, split


def hand_sgd(state, gradients, lr, *, momentum, decay, nesterov):
    """Take a step of SGD as torch and Caffe define it, of every parameter with its own rate."""
    for name, (value, buffer) in state.items():
        slope = gradients[name] + decay * value
        buffer = slope if buffer is None else momentum * buffer + slope
        step = slope + momentum * buffer if nesterov else buffer
        state[name] = (value - lr(name) * step, buffer)


def hand_adamw(state, gradients, count, *, lr=1e-3, decay=1e-2, betas=(0.9, 0.999), eps=1e-8):
    """Take a step of AdamW (Loshchilov and Hutter, ICLR 2019) with the defaults of torch."""
    for name, (value, first, second) in state.items():
        slope = gradients[name]
        first = betas[0] * first + (1 - betas[0]) * slope
        second = betas[1] * second + (1 - betas[1]) * slope**2
        size = (first / (1 - betas[0] ** count)) / ((second / (1 - betas[1] ** count)).sqrt() + eps)
        state[name] = (value * (1 - lr * decay) - lr * size, first, second)


def hand_loss(head, values, x, y, alpha, share):
    """Return the loss of an MLP of one hidden layer and a head, and its latents."""
    hidden = (x @ values["encoder.net.1.weight"].T + values["encoder.net.1.bias"]).relu()
    z = hidden @ values["encoder.net.3.weight"].T + values["encoder.net.3.bias"]
    if head == "variational":
        law = values["head.law.mean"], values["head.law.log_variance"]
        critic = values["head.critic.weight"], values["head.critic.bias"]
        return vc_loss(z.relu(), y, *law, *(p.detach() for p in critic)), z.relu()
    if head == "gaussian_mixture":
        distance = 0.5 * ((z[:, None] - values["head.law.mean"]) ** 2).sum(-1)
        own = distance[torch.arange(len(y)), y]
        logits = -distance - alpha * F.one_hot(y, C) * own[:, None]
        return F.cross_entropy(logits, y) + 0.1 * own.mean(), z
    f = z @ values["head.linear.weight"].T + values["head.linear.bias"]
    return F.cross_entropy(f + share.log(), y), z


@pytest.mark.parametrize("head", ["variational", "gaussian_mixture", "pc_softmax"])
def test_training_takes_the_authors_steps(head: str, tmp_path) -> None:
    """Three steps by hand, in float64, as the learning rate falls and the margin grows."""
    train, test = table()
    changes = {"epochs": 1, "batch_size": 8, "latent_dim": D, "encoder_options": {"hidden": [6]}}
    if head == "gaussian_mixture":
        changes["head_options"] = {"margin_doubling": 0.3}
    settings = {"head": head, "preset": "paper", "encoder": "mlp", **changes}
    run = vcviz.train(splits=(train, test), out=tmp_path, progress=False, **settings)
    trained = {name: p.detach().double() for name, p in run.model().named_parameters()}

    torch.manual_seed(run.config.seed)
    model = build_model(run.config, describe(train, test))
    before = {name: p.detach().double() for name, p in model.named_parameters()}
    main = {n: (p, None) for n, p in before.items() if not n.startswith("head.critic.")}
    critic = {
        n: (p, torch.zeros_like(p), torch.zeros_like(p))
        for n, p in before.items()
        if n.startswith("head.critic.")
    }
    x, y = torch.as_tensor(train.x.copy()).double(), torch.as_tensor(train.y.copy())
    share = torch.bincount(y, minlength=C) / len(y)
    seed = epoch_seed(run.config.seed, 1)
    order, noise = torch.randperm(len(y), generator=seeded(seed)), seeded(seed)
    rates = {
        "variational": (0.1, 0.01, 0.001),
        "gaussian_mixture": (0.1, 0.1, 0.01),
        "pc_softmax": (0.01, 0.01, 0.01),
    }[head]
    of_law = {"variational": 0.1, "gaussian_mixture": 2.0}.get(head, 1.0)
    kind = {
        "variational": {"momentum": 0.9, "decay": 1e-3, "nesterov": True},
        "gaussian_mixture": {"momentum": 0.9, "decay": 5e-4, "nesterov": True},
        "pc_softmax": {"momentum": 0.5, "decay": 0.0, "nesterov": False},
    }[head]
    for step, lr in enumerate(rates):
        rows = order[8 * step : 8 * step + 8]
        values = {n: part[0].clone().requires_grad_() for n, part in {**main, **critic}.items()}
        alpha = (0.1, 0.2, 0.3)[step]
        loss, z = hand_loss(head, values, x[rows], y[rows], alpha, share)
        slopes = torch.autograd.grad(loss, [values[n] for n in main])
        hand_sgd(
            main,
            dict(zip(main, slopes, strict=True)),
            lambda name, lr=lr: lr * (of_law if name.startswith("head.law.") else 1.0),
            **kind,
        )
        if critic:
            label, (w, b) = y[rows], (values[n] for n in critic)
            mean, spread = main["head.law.mean"][0], (main["head.law.log_variance"][0] / 2).exp()
            e = torch.randn(8, D, generator=noise)
            drawn = (mean[label] + spread[label] * e).detach()
            real, fake = ((w[label] * part.detach()).sum(1) + b[label] for part in (z, drawn))
            cost = F.softplus(-real).mean() + F.softplus(fake).mean()
            slopes = torch.autograd.grad(cost, [w, b])
            hand_adamw(critic, dict(zip(critic, slopes, strict=True)), step + 1)
    for name, (after, *_) in {**main, **critic}.items():
        moved, expected = trained[name] - before[name], after - before[name]
        assert expected.abs().max() > 0
        error = (moved - expected).abs().max() / expected.abs().max()
        assert error < 2e-4, (name, error)


def test_a_growing_margin_resumes_bit_identically(tmp_path, monkeypatch) -> None:
    """Stopped between two doublings: what follows is as if it had not been."""
    settings = {
        "head": "gaussian_mixture",
        "preset": "paper",
        "dataset": "digits",
        "n_train": 200,
        "epochs": 9,
        "probe_size": 20,
        "head_options": {"margin_doubling": 0.3},
        "progress": False,
    }
    whole = vcviz.train(out=tmp_path / "whole", **settings)
    real = Trainer.keep_probe

    def interrupted(self, epoch):
        if epoch == 5:
            raise KeyboardInterrupt
        return real(self, epoch)

    monkeypatch.setattr(Trainer, "keep_probe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vcviz.train(out=tmp_path / "part", checkpoint_every=0, **settings)
    monkeypatch.undo()
    margins = []
    real_loss = vcviz.models.heads.gaussian_mixture.GaussianMixtureHead.loss

    def watched(self, z, y, **how):
        margins.append(self.margin_now)
        return real_loss(self, z, y, **how)

    monkeypatch.setattr(vcviz.models.heads.gaussian_mixture.GaussianMixtureHead, "loss", watched)
    resumed = vcviz.train(out=tmp_path / "part", **settings)
    # Epochs 5 to 9 of two steps each; the margin doubles at 0.3 and reaches its end at 0.6.
    assert margins == [0.2] * 3 + [0.3] * 7
    assert resumed.history == whole.history
    name = "weights.safetensors"
    assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()
