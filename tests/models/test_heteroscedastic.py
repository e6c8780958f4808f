"""The heteroscedastic head and noisy_log_softmax against exact probabilities and identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

import vcviz.models.heads.noisy_softmax as noisy_softmax
from vcviz.base.errors import InputError
from vcviz.metrics.calibration import mean_kl
from vcviz.models import build_head, noisy_log_softmax
from vcviz.models.classifier import Classifier
from vcviz.models.encoders.mlp import MLPEncoder
from vcviz.training import train

N, C, D, R = 7, 3, 2, 4
COVARIANCES = ("diagonal", "low_rank", "low_rank_efficient")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def head64(seed=1, **options):
    torch.manual_seed(seed)
    return build_head("heteroscedastic", latent_dim=D, n_classes=C, **options).double()


def latents(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape or (N, D), generator=seeded(seed), dtype=dtype)


def t64(values):
    return torch.tensor(values, dtype=torch.float64)


# ---------------------------------------------------------------- exact limits


def test_two_classes_without_temperature_are_the_exact_probit():
    mean, scale = t64([[0.4, -0.3], [2.0, 0.5], [-1.0, 0.0]]), t64([[1.0, 0.5], [2.0, 0.1], [3, 1]])
    found = noisy_log_softmax(mean, scale, temperature=1e-4, draws=400_000, generator=seeded())
    exact = norm.cdf((mean[:, 0] - mean[:, 1]) / scale.square().sum(1).sqrt())
    np.testing.assert_allclose(found.exp()[:, 0], exact, atol=0.004)


@pytest.mark.parametrize("rank", [0, 2])
def test_three_classes_are_orthant_probabilities(rank):
    mean, scale = t64([[0.3, 0.0, -0.5]]), t64([[1.0, 0.4, 2.0]])
    factor = t64([[[1.0, 0.2], [-0.7, 0.1], [0.3, 1.5]]]) if rank else None
    covariance = np.diag(scale[0].numpy() ** 2)
    if factor is not None:
        covariance = covariance + (factor[0] @ factor[0].T).numpy()
    exact = []
    for k in range(3):
        others = [j for j in range(3) if j != k]
        # u_j - u_k < 0 for both others
        contrast = np.eye(3)[others] - np.eye(3)[k]
        law = multivariate_normal(contrast @ mean[0].numpy(), contrast @ covariance @ contrast.T)
        exact.append(law.cdf(np.zeros(2)))
    found = noisy_log_softmax(
        mean, scale, factor, temperature=1e-4, draws=400_000, generator=seeded()
    )
    assert sum(exact) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found.exp()[0], exact, atol=0.004)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_gumbel_noise_of_one_scale_is_a_softmax(scale):
    mean = t64([[1.0, 0.0, -0.5], [0.2, 0.1, 3.0]])
    options = {"noise": "gumbel", "temperature": 1e-4, "draws": 400_000, "generator": seeded()}
    found = noisy_log_softmax(mean, scale, **options)
    np.testing.assert_allclose(found.exp(), (mean / scale).softmax(1), atol=0.004)


def test_logistic_noise_on_one_class_alone_is_a_sigmoid():
    mean, scale = t64([[0.7, 0.0]]), t64([[0.5, 0.0]])
    options = {"noise": "logistic", "temperature": 1e-4, "draws": 400_000, "generator": seeded()}
    found = noisy_log_softmax(mean, scale, **options)
    assert found.exp()[0, 0].item() == pytest.approx(1 / (1 + math.exp(-1.4)), abs=0.004)


@pytest.mark.parametrize("noise", ["normal", "logistic", "gumbel"])
def test_standard_noise_has_the_moments_of_its_law(noise):
    e = noisy_softmax._standard(noise, (400_000,), torch.float64, torch.device("cpu"), seeded())
    mean, variance = {
        "normal": (0, 1),
        "logistic": (0, math.pi**2 / 3),
        "gumbel": (np.euler_gamma, math.pi**2 / 6),
    }[noise]
    assert e.mean().item() == pytest.approx(mean, abs=0.01)
    assert e.var().item() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("draws", [1, 10, 1000])
@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_without_noise_it_is_a_softmax_for_any_number_of_draws(draws, temperature):
    head = head64(smallest_scale=0.0, temperature=temperature, predict_draws=draws)
    with torch.no_grad():
        head.scale.bias.fill_(-1e3)
    softmax = build_head("softmax", latent_dim=D, n_classes=C).double()
    with torch.no_grad():
        softmax.linear.weight.copy_(head.mean.weight / temperature)
        softmax.linear.bias.copy_(head.mean.bias / temperature)
    z, y = latents(), torch.arange(N) % C
    torch.testing.assert_close(head.log_probs(z), softmax.log_probs(z))
    torch.testing.assert_close(head.loss(z, y).total, softmax.loss(z, y).total)
    torch.testing.assert_close(head.logits(z), softmax.logits(z))


def test_far_below_the_scale_of_the_noise_temperature_changes_nothing_more():
    head = head64(predict_draws=4000)
    at = [head.log_probs(latents(), generator=seeded(), temperature=t) for t in (1e-3, 1e-4)]
    torch.testing.assert_close(at[0].exp(), at[1].exp(), rtol=0, atol=2e-3)
    other = head.log_probs(latents(), generator=seeded(), temperature=10.0)
    assert (other.exp() - 1 / C).abs().max() < 0.1


# ---------------------------------------------------------------- invariances


@pytest.mark.parametrize("c", [1e-3, 7.0, 1e3])
def test_mean_noise_and_temperature_have_no_common_scale(c):
    mean, scale, factor = latents(N, C), latents(N, C, seed=1).exp(), latents(N, C, R, seed=2)

    def at(c):
        options = {"temperature": 0.3 * c, "draws": 50, "generator": seeded()}
        return noisy_log_softmax(c * mean, c * scale, c * factor, **options)

    torch.testing.assert_close(at(c), at(1.0))


def test_what_all_classes_share_changes_nothing():
    mean, scale, factor = latents(N, C), latents(N, C, seed=1).exp(), latents(N, C, R, seed=2)
    shift, common = latents(N, 1, seed=3), latents(N, 1, R, seed=4)
    kept = {"temperature": 0.3, "draws": 50}
    found = noisy_log_softmax(mean + shift, scale, factor + common, **kept, generator=seeded())
    plain = noisy_log_softmax(mean, scale, factor, **kept, generator=seeded())
    torch.testing.assert_close(found, plain)


def test_labels_alone_give_the_same_numbers():
    mean, scale = latents(N, C), latents(N, C, seed=1).exp()
    y = torch.arange(N) % C
    whole = noisy_log_softmax(mean, scale, draws=50, generator=seeded())
    own = noisy_log_softmax(mean, scale, draws=50, y=y, generator=seeded())
    torch.testing.assert_close(own, whole[torch.arange(N), y])


def test_blocks_of_draws_give_the_mean_over_all_of_them(monkeypatch):
    mean, scale = latents(N, C), t64(0.0)
    monkeypatch.setattr(noisy_softmax, "_BLOCK", 3 * N * C)
    torch.testing.assert_close(
        noisy_log_softmax(mean, scale, draws=10), mean.log_softmax(1), rtol=1e-12, atol=1e-12
    )
    blocked = noisy_log_softmax(mean, 1.0, draws=30_000, generator=seeded())
    monkeypatch.undo()
    once = noisy_log_softmax(mean, 1.0, draws=30_000, generator=seeded(1))
    torch.testing.assert_close(blocked.exp(), once.exp(), rtol=0, atol=0.015)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_maps_are_classified_place_by_place(covariance):
    head = head64(covariance=covariance, rank=R, scale_width=5, draws=1000, predict_draws=20_000)
    z = latents(2, D, 4, 3)
    y = torch.randint(C, (2, 4, 3), generator=seeded())
    rows, labels = z.movedim(1, -1).reshape(-1, D), y.reshape(-1)
    for dense, row in zip(head.logit_law(z), head.logit_law(rows), strict=True):
        if dense is not None:
            torch.testing.assert_close(dense.movedim(1, 3).reshape(row.shape), row)
    found = head.log_probs(z, generator=seeded()).movedim(1, -1).reshape(-1, C)
    torch.testing.assert_close(
        found.exp(), head.log_probs(rows, generator=seeded(1)).exp(), rtol=0, atol=0.02
    )
    loss, row_loss = head.loss(z, y, generator=seeded()), head.loss(rows, labels)
    torch.testing.assert_close(loss.total, row_loss.total, rtol=0, atol=0.05)
    # Without noise nothing is left to chance.
    mean, _, _ = head.logit_law(z)
    exact = noisy_log_softmax(mean, 0.0, draws=3).movedim(1, -1).reshape(-1, C)
    torch.testing.assert_close(exact, head.mean(rows).log_softmax(1))


def test_a_softmax_head_classifies_maps_too():
    head = build_head("softmax", latent_dim=D, n_classes=C).double()
    z, y = latents(2, D, 4, 3), torch.randint(C, (2, 4, 3), generator=seeded())
    rows = z.movedim(1, -1).reshape(-1, D)
    torch.testing.assert_close(
        head.log_probs(z).movedim(1, -1).reshape(-1, C), head.log_probs(rows)
    )
    torch.testing.assert_close(head.loss(z, y).total, head.loss(rows, y.reshape(-1)).total)
    assert head.predict(z)[1].shape == (2, 4, 3)


def test_the_classes_may_stand_on_any_axis():
    mean, scale = latents(N, 5, C), latents(N, 5, C, seed=1).exp()
    last = noisy_log_softmax(mean, scale, draws=20_000, generator=seeded(), dim=-1)
    first = noisy_log_softmax(
        mean.movedim(-1, 0), scale.movedim(-1, 0), draws=20_000, generator=seeded(1), dim=0
    )
    torch.testing.assert_close(last.movedim(-1, 0).exp(), first.exp(), rtol=0, atol=0.02)


# ---------------------------------------------------------------- Monte-Carlo error


def spread_of(draws, repeats=300):
    mean, scale = t64([[0.5, 0.0, -0.5]]).expand(repeats, -1), t64([1.0, 0.5, 2.0])
    options = {"temperature": 0.3, "generator": seeded()}
    return noisy_log_softmax(mean, scale, draws=draws, **options)[:, 0]


def test_the_error_shrinks_with_the_root_of_the_draws():
    few, many = spread_of(25).exp().std().item(), spread_of(400).exp().std().item()
    assert few / many == pytest.approx(4, rel=0.2)


def test_the_probability_has_no_bias_and_its_log_the_predicted_one():
    draws = 20
    single = spread_of(1, repeats=100_000).exp()
    log_p = spread_of(draws, repeats=200_000)
    p = log_p.exp().mean().item()
    assert single.mean().item() == pytest.approx(p, abs=5e-3)
    bias = log_p.mean().item() - math.log(p)
    assert bias < 0
    assert bias == pytest.approx(-single.var().item() / (2 * p**2 * draws), rel=0.1)


def test_more_draws_and_another_temperature_need_no_training():
    head = head64(predict_draws=5)
    z = latents()
    before = {k: v.clone() for k, v in head.state_dict().items()}
    exact = head.log_probs(z, generator=seeded(), draws=100_000).exp()
    few = (head.log_probs(z, generator=seeded(1)).exp() - exact).abs().mean()
    many = (head.log_probs(z, generator=seeded(1), draws=5000).exp() - exact).abs().mean()
    assert many < few / 5
    fitted = head64(temperature=0.2)
    torch.testing.assert_close(
        head.log_probs(z, generator=seeded(), temperature=0.2, draws=300),
        fitted.log_probs(z, generator=seeded()),
        rtol=0,
        atol=0,
    )
    assert all(torch.equal(v, before[k]) for k, v in head.state_dict().items())


def test_a_classifier_repeats_its_output_for_one_state_of_the_generator():
    head = build_head("heteroscedastic", latent_dim=D, n_classes=C, predict_draws=5)
    model = Classifier(MLPEncoder((4,), D), head)
    x = latents(N, 4, dtype=torch.float32)
    assert torch.equal(model(x, generator=seeded()), model(x, generator=seeded()))
    assert not torch.equal(model(x, generator=seeded()), model(x, generator=seeded(1)))


# ---------------------------------------------------------------- covariances


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_utilities_have_the_stated_covariance(covariance):
    head = head64(covariance=covariance, rank=R, scale_width=3)
    mean, factor, scale = head.logit_law(latents(2, D))
    assert mean.shape == scale.shape == (2, C)
    if factor is None:
        assert covariance == "diagonal"
        return
    assert factor.shape == (2, C, R)
    e = noisy_softmax._shared(factor.detach(), 200_000, 1, seeded())
    for row in range(2):
        found = torch.cov(e[row])
        torch.testing.assert_close(found, factor[row] @ factor[row].T, rtol=0.05, atol=0.01)
    assert e.mean(-1).abs().max() < 0.01


def test_the_efficient_factor_is_one_matrix_times_a_function_of_the_input():
    head = head64(covariance="low_rank_efficient", rank=R)
    _, factor, _ = head.logit_law(latents())
    ratio = factor / head.directions.weight
    torch.testing.assert_close(ratio, ratio[..., :1].expand_as(ratio))
    full = head64(covariance="low_rank", rank=R)
    sizes = [sum(p.numel() for p in h.factor.parameters()) for h in (head, full)]
    assert sizes == [(D + 1) * C, (D + 1) * C * R]


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_gradients_agree_with_finite_differences(covariance, temperature):
    options = {"rank": 2, "draws": 5, "temperature": temperature, "scale_width": 2}
    head = head64(covariance=covariance, **options)
    z, y = latents().requires_grad_(), torch.arange(N) % C

    def total(z, *_):
        return head.loss(z, y, generator=seeded()).total

    assert torch.autograd.gradcheck(total, (z, *head.main_parameters()))


@pytest.mark.parametrize("noise", ["logistic", "gumbel"])
def test_other_noises_have_gradients_too(noise):
    head = head64(noise=noise, draws=5)
    z, y = latents().requires_grad_(), torch.arange(N) % C
    assert torch.autograd.gradcheck(lambda z: head.loss(z, y, generator=seeded()).total, (z,))


# ---------------------------------------------------------------- extremes


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("temperature", [0.01, 100.0])
@pytest.mark.parametrize(("n", "c"), [(1, 2), (5, 3), (2, 1000)])
def test_extreme_logits_stay_finite(covariance, temperature, n, c):
    options = {"covariance": covariance, "temperature": temperature, "draws": 20, "rank": 2}
    head = build_head("heteroscedastic", latent_dim=D, n_classes=c, **options)
    z = (1e4 * latents(n, D, dtype=torch.float32)).requires_grad_()
    loss = head.loss(z, torch.zeros(n, dtype=torch.int64), generator=seeded())
    loss.total.backward()
    assert loss.total.isfinite()
    assert z.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in head.parameters())
    log_probs = head.log_probs(z, generator=seeded())
    assert log_probs.isfinite().all()
    torch.testing.assert_close(log_probs.logsumexp(1), torch.zeros(n))


def test_noise_is_not_rounded_away_beside_large_logits():
    # In float32 numbers near 8192 are 1e-3 apart.
    scale = t64([[0.0, 1e-4, 3e-4]]).float()
    options = {"temperature": 1e-6, "draws": 10_000}
    far = noisy_log_softmax(torch.full((1, 3), 8192.0), scale, **options, generator=seeded())
    near = noisy_log_softmax(torch.zeros(1, 3), scale, **options, generator=seeded())
    torch.testing.assert_close(far, near)
    assert far.exp()[0, 0].item() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_gives_no_nan(half):
    head = build_head("heteroscedastic", latent_dim=D, n_classes=C, temperature=0.01, rank=2)
    encoder = MLPEncoder((4,), D)
    x, y = 100 * latents(N, 4, dtype=torch.float32), torch.arange(N) % C
    with torch.autocast("cpu", dtype=half):
        z = encoder(x)
        assert z.dtype == half
        loss = head.loss(z, y, generator=seeded())
        free = noisy_log_softmax(z, z.abs(), draws=10, temperature=0.01)
    loss.total.backward()
    assert loss.total.isfinite()
    assert loss.total.dtype == free.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


# ---------------------------------------------------------------- the trade-off in temperature


@pytest.mark.slow
def test_the_distance_from_the_truth_is_u_shaped_in_temperature(tmp_path):
    # Of five seeds; benchmarks/claims/utilities.md has the whole sweep and the controls.
    def distance(tau, seed):
        run = train(
            dataset="utilities",
            encoder=torch.nn.Flatten(),
            latent_dim=2,
            head="heteroscedastic",
            head_options={"temperature": tau, "scale_width": 32, "predict_draws": 1000},
            epochs=60,
            lr=5e-3,
            schedule="constant",
            seed=seed,
            probe_every=60,
            out=tmp_path,
            progress=False,
        )
        return mean_kl(run.split("test").label_probs, run.latents("test").log_probs)

    kl = {tau: np.array([distance(tau, s) for s in range(5)]) for tau in (0.01, 0.05, 0.5)}
    assert kl[0.05].mean() < kl[0.01].mean()
    assert (kl[0.05] < kl[0.5]).all()
    assert kl[0.05].mean() < 0.02


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": "lowrank"}, "did you mean 'low_rank'"),
        ({"rank": 0}, "rank must be a whole number of at least 1"),
        ({"noise": "gauss"}, "unknown noise 'gauss'"),
        ({"noise": "gumbel", "covariance": "low_rank"}, "gumbel noise has covariance='diagonal'"),
        ({"temperature": 0}, "temperature must be a number above 0, got 0"),
        ({"draws": 0}, "draws must be a whole number of at least 1"),
        ({"predict_draws": 1.5}, "predict_draws must be a whole number"),
        ({"smallest_scale": -1}, "smallest_scale must be a number of at least 0"),
        ({"scale_width": -1}, "scale_width must be a whole number of at least 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        build_head("heteroscedastic", latent_dim=D, n_classes=C, **options)


def test_bad_calls_are_refused():
    head = head64()
    with pytest.raises(InputError, match="draws must be a whole number of at least 1, got 0"):
        head.log_probs(latents(), draws=0)
    with pytest.raises(InputError, match="temperature must be a number above 0, got -1"):
        head.log_probs(latents(), temperature=-1)
    with pytest.raises(InputError, match=r"z must have shape \(B, 2\) or \(B, 2, …\), got \(2, 3"):
        head.log_probs(latents(2, 3, 4))
    with pytest.raises(InputError, match=r"y must be int64 labels of shape \(2, 4\), one per plac"):
        head.loss(latents(2, D, 4), torch.zeros(2, dtype=torch.int64))
    mean = latents(N, C)
    for dim in (2, -3, 1.0, "x"):
        with pytest.raises(InputError, match="dim must be an axis of 2, got"):
            noisy_log_softmax(torch.zeros(7, 3), torch.ones(7, 3), dim=dim)
    with pytest.raises(InputError, match=r"scale must broadcast to the shape \(7, 3\) of mean"):
        noisy_log_softmax(mean, torch.ones(4))
    with pytest.raises(InputError, match="factor must have the shape"):
        noisy_log_softmax(mean, 1.0, latents(N, R))
    with pytest.raises(InputError, match="leave out factor for gumbel noise"):
        noisy_log_softmax(mean, 1.0, latents(N, C, R), noise="gumbel")
    with pytest.raises(InputError, match=r"y must be int64 labels of shape \(7,\), got \(7, 1\)"):
        noisy_log_softmax(mean, 1.0, y=torch.zeros(N, 1, dtype=torch.int64))
