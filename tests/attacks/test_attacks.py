"""Attacks keep every step, stay in the ball, and leave the model as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.attacks import ATTACKS, LOSSES, attack
from vcviz.attacks.ball import L2
from vcviz.attacks.methods.apgd import checkpoints
from vcviz.attacks.objectives import CrossEntropy, LogitsRatio
from vcviz.base.errors import InputError
from vcviz.latents import extract_latents
from vcviz.metrics.robustness import attack_gates
from vcviz.models.classifier import Classifier
from vcviz.models.encoders import build_encoder
from vcviz.models.heads import build_head
from vcviz.models.heads.softmax import SoftmaxHead
from vcviz.records import Split

FEATURES, D, C = 5, 4, 3


def seeded(make, *args, **kwargs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(*args, **kwargs)


def network(*shape: int) -> nn.Sequential:
    size = int(np.prod(shape))
    return nn.Sequential(
        nn.Flatten(), nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, D), nn.Linear(D, C)
    )


@pytest.fixture
def image_model() -> nn.Module:
    return seeded(network, 1, 8, 8)


@pytest.fixture
def table_model() -> nn.Module:
    return seeded(network, FEATURES)


def distances(path, norm: str) -> np.ndarray:
    delta = (path.x_adv.astype(np.float64) - path.x).reshape(len(path), -1)
    return np.abs(delta).max(1) if norm == "linf" else np.linalg.norm(delta, axis=1)


def loss(model: nn.Module, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return F.cross_entropy(model(torch.tensor(x)), torch.tensor(y), reduction="none").numpy()


# ---------------------------------------------------------------- identities


def test_step_zero_is_the_clean_input(image_model, image_split):
    path = attack(image_model, image_split, steps=3)
    clean = extract_latents(image_model, image_split)
    np.testing.assert_allclose(path.z[0], clean.z, atol=1e-6)
    np.testing.assert_allclose(path.log_probs[0], clean.log_probs, atol=1e-6)
    np.testing.assert_array_equal(path.x, image_split.x / np.float32(255))
    assert (path.distance[0] == 0).all()
    assert path.class_names == image_split.class_names


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("method", ATTACKS)
def test_epsilon_zero_changes_nothing(image_model, image_split, norm, random_start, method):
    options = {"norm": norm, "random_start": random_start, "method": method}
    path = attack(image_model, image_split, epsilon=0, steps=2, **options)
    np.testing.assert_array_equal(path.x_adv, path.x)
    np.testing.assert_array_equal(path.z, path.z[:1].repeat(len(path.z), axis=0))
    assert (path.distance == 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_one_step_of_the_whole_radius_is_fgsm(image_model, image_split, norm):
    options = {"norm": norm, "epsilon": 0.07}
    one = attack(image_model, image_split, steps=1, step_size=0.07, **options)
    fgsm = attack(image_model, image_split, method="fgsm", **options)
    np.testing.assert_array_equal(one.x_adv, fgsm.x_adv)
    assert (fgsm.steps, fgsm.method) == (1, "fgsm")


def test_fgsm_follows_the_sign_of_the_gradient(table_model, table_split):
    x = torch.tensor(table_split.x, requires_grad=True)
    F.cross_entropy(table_model(x), torch.tensor(table_split.y)).backward()
    path = attack(table_model, table_split, method="fgsm", epsilon=0.3)
    np.testing.assert_allclose(path.x_adv, table_split.x + 0.3 * x.grad.sign().numpy(), atol=1e-6)


def test_an_l2_step_follows_the_gradient(table_model, table_split):
    x = torch.tensor(table_split.x, requires_grad=True)
    F.cross_entropy(table_model(x), torch.tensor(table_split.y)).backward()
    unit = (x.grad / x.grad.norm(dim=1, keepdim=True)).numpy()
    path = attack(table_model, table_split, norm="l2", epsilon=0.3, steps=1)
    np.testing.assert_allclose(path.x_adv, table_split.x + 0.075 * unit, atol=1e-6)


def test_the_record_is_what_the_model_says_of_the_final_input(image_model, image_split):
    path = attack(image_model, image_split, steps=5, batch_size=5)
    final = extract_latents(image_model, (path.x_adv, path.y))
    np.testing.assert_allclose(path.z[-1], final.z, atol=1e-6)
    np.testing.assert_allclose(path.log_probs[-1], final.log_probs, atol=1e-6)


# ---------------------------------------------------------------- the ball


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("epsilon", [1 / 255, 0.1, 0.7])
@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("method", ATTACKS)
def test_images_stay_in_the_ball_and_in_range(
    image_model, image_split, norm, epsilon, random_start, method
):
    options = {"norm": norm, "random_start": random_start, "method": method}
    path = attack(image_model, image_split, epsilon=epsilon, steps=9, **options)
    assert (path.distance <= epsilon * (1 + 1e-6)).all()
    assert (distances(path, norm) <= epsilon * (1 + 1e-6)).all()
    np.testing.assert_allclose(distances(path, norm), path.distance[-1], rtol=1e-6)
    assert path.x_adv.min() >= 0
    assert path.x_adv.max() <= 1
    assert path.distance[-1].max() > 0.9 * epsilon


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_rounding_of_large_values_does_not_leave_the_ball(table_model, table_split, norm):
    far = replace(table_split, x=table_split.x + 1000)
    with torch.no_grad():
        table_model[1].bias -= 1000 * table_model[1].weight.sum(1)
    path = attack(table_model, far, norm=norm, epsilon=1e-3, steps=6)
    assert path.distance[-1].max() > 5e-4
    assert (distances(path, norm) <= 1e-3 * (1 + 1e-6)).all()


def test_tables_have_no_bounds_but_the_ball(table_model, table_split):
    path = attack(table_model, table_split, epsilon=3.0, steps=8)
    assert path.x_adv.max() > 1
    np.testing.assert_allclose(path.distance[-1], 3, rtol=1e-5)


def test_more_steps_and_larger_balls_raise_the_loss(table_model, table_split):
    start = loss(table_model, table_split.x, table_split.y)
    small, large = (
        loss(
            table_model, attack(table_model, table_split, epsilon=e, steps=20).x_adv, table_split.y
        )
        for e in (0.1, 0.5)
    )
    assert (start < small).all()
    assert (small < large).all()


def test_random_starts_fill_the_ball_evenly():
    radius = L2(torch.zeros(4000, 3), 2.0, image=False).random_start(0).norm(dim=1).numpy()
    # Within half the radius lies an eighth of a ball in three dimensions.
    assert abs((radius < 1).mean() - 1 / 8) < 0.02
    assert radius.max() <= 2 * (1 + 1e-6)


def test_a_random_start_repeats_by_its_seed_whatever_the_batch_size(table_model, table_split):
    for norm in ("linf", "l2"):
        options = {"norm": norm, "steps": 1, "random_start": True}
        one = attack(table_model, table_split, seed=3, **options)
        batched = attack(table_model, table_split, seed=3, batch_size=4, **options)
        other = attack(table_model, table_split, seed=4, **options)
        np.testing.assert_allclose(one.x_adv, batched.x_adv, atol=1e-6)
        assert np.abs(one.x_adv - other.x_adv).max() > 1e-3


def test_a_sample_without_gradient_stays_where_it_is(table_split):
    class Clipped(nn.Module):
        """Nothing below a threshold in the first column reaches the output."""

        def __init__(self) -> None:
            super().__init__()
            self.fc = seeded(nn.Linear, FEATURES, C)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x * (x[:, :1] > 0))

    dead = table_split.x[:, 0] <= 0
    for norm in ("linf", "l2"):
        path = attack(Clipped(), table_split, norm=norm, steps=2, epsilon=1e-3)
        assert (path.distance[:, dead] == 0).all()
        assert (path.distance[-1, ~dead] > 0).all()
        assert attack_gates(path)["has a gradient"].value == pytest.approx(dead.mean())
        assert not attack_gates(path)["has a gradient"].passed


def test_a_tiny_gradient_gives_a_whole_step(table_split):
    class Faint(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = seeded(nn.Linear, FEATURES, C)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x * 1e-25)

    path = attack(Faint(), table_split, norm="l2", method="fgsm", epsilon=0.5)
    np.testing.assert_allclose(path.distance[1], 0.5, rtol=1e-5)


# ---------------------------------------------------------------- APGD


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss_name", ["ce", "dlr"])
def test_apgd_stays_in_the_ball_and_ends_at_its_worst_point(
    image_model, image_split, norm, loss_name
):
    options = {"norm": norm, "epsilon": 0.1, "steps": 20, "loss": loss_name}
    path = attack(image_model, image_split, method="apgd", **options)
    assert (path.distance <= 0.1 * (1 + 1e-6)).all()
    assert path.x_adv.min() >= 0
    assert path.x_adv.max() <= 1
    final = extract_latents(image_model, (path.x_adv, path.y))
    np.testing.assert_allclose(path.log_probs[-1], final.log_probs, atol=1e-6)
    y, objective = torch.tensor(path.y), LOSSES[loss_name]()
    values = np.stack([objective(torch.tensor(p), y, y).numpy() for p in path.log_probs])
    wrong = path.log_probs.argmax(2) != path.y
    np.testing.assert_array_equal(wrong[-1], wrong.any(0))
    among = np.where(wrong == wrong[-1], values, -np.inf)
    np.testing.assert_allclose(values[-1], among.max(0), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_finds_what_pgd_finds(table_model, table_split, norm):
    options = {"norm": norm, "epsilon": 0.3, "steps": 30}
    by_pgd = attack(table_model, table_split, **options)
    by_apgd = attack(table_model, table_split, method="apgd", **options)
    one, other = (loss(table_model, p.x_adv, p.y) for p in (by_apgd, by_pgd))
    assert (one > other - 1e-3).all()


def test_apgd_climbs_a_linear_loss_to_the_corner(table_split):
    linear = seeded(nn.Linear, FEATURES, 2)
    two = Split(table_split.x, table_split.y % 2)
    path = attack(linear, two, method="apgd", epsilon=0.3, steps=10)
    slope = (linear.weight[1] - linear.weight[0]).detach().numpy()
    corner = two.x + 0.3 * np.where(two.y == 0, 1, -1)[:, None] * np.sign(slope)
    np.testing.assert_allclose(path.x_adv, corner, atol=1e-6)


def test_checkpoints_are_those_of_the_paper():
    # p = 0, .22, .41, .57, .70, .80, .87, .93, .99 (Croce and Hein, section 3.1)
    assert sorted(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_the_ratio_of_logits_is_that_of_the_definition(rng):
    logits = rng.standard_normal((6, 5))
    y, t = np.arange(6) % 5, (np.arange(6) + 2) % 5
    ordered = -np.sort(-logits, axis=1)
    own, wanted = (logits[np.arange(6), k] for k in (y, t))
    others = logits.copy()
    others[np.arange(6), y] = -np.inf
    plain = -(own - others.max(1)) / (ordered[:, 0] - ordered[:, 2])
    aimed = -(own - wanted) / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2)
    for targeted, goal, want in ((False, y, plain), (True, t, aimed)):
        objective = LogitsRatio(targeted)
        found = objective(torch.tensor(logits), torch.tensor(goal), torch.tensor(y))
        scaled = objective(torch.tensor(9 * logits + 3), torch.tensor(goal), torch.tensor(y))
        np.testing.assert_allclose(found, want, rtol=1e-9)
        np.testing.assert_allclose(scaled, want, rtol=1e-9)


def test_the_loss_grows_with_the_cross_entropy_and_points_the_same_way(rng):
    y = torch.arange(6) % 5
    for targeted, averaged in ((False, False), (True, False), (False, True), (True, True)):
        logits = torch.tensor(rng.standard_normal((6, 5)), requires_grad=True)
        value = CrossEntropy(targeted, averaged)(logits.log_softmax(1), y, y)
        entropy = F.cross_entropy(logits, y, reduction="none")
        want = entropy if averaged else torch.expm1(entropy).log()
        torch.testing.assert_close(value, -want if targeted else want)
        (slope,) = torch.autograd.grad(value.sum(), logits, retain_graph=True)
        (other,) = torch.autograd.grad(-entropy.sum() if targeted else entropy.sum(), logits)
        torch.testing.assert_close(F.normalize(slope), F.normalize(other))


@pytest.mark.parametrize("loss_name", ["ce", "dlr"])
def test_a_saturated_softmax_hides_no_gradient(table_model, table_split, loss_name):
    options = {"method": "apgd", "loss": loss_name, "epsilon": 3.0, "steps": 20}
    y = extract_latents(table_model, table_split).log_probs.argmax(1)
    plain = attack(table_model, replace(table_split, y=y), **options)
    with torch.no_grad():
        table_model[4].weight *= 1e3
        table_model[4].bias *= 1e3
    sure = attack(table_model, replace(table_split, y=y), **options)
    assert (sure.log_probs[0, np.arange(11), y] == 0).any()
    assert attack_gates(sure)["has a gradient"].passed
    assert sure.accuracy[-1] <= plain.accuracy[-1] < 1


# ---------------------------------------------------------------- MI-FGSM


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_mi_fgsm_follows_the_sum_of_its_normalised_gradients(table_model, table_split, norm):
    x, y = torch.tensor(table_split.x), torch.tensor(table_split.y)
    momentum, at = torch.zeros_like(x), x
    for _ in range(4):
        at = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(table_model(at), y, reduction="sum"), at)
        momentum = momentum + slope / slope.abs().sum(1, keepdim=True)
        unit = momentum.sign() if norm == "linf" else F.normalize(momentum)
        at = at + 0.2 * unit  # four of them never leave the ball
    path = attack(table_model, table_split, method="mi_fgsm", norm=norm, epsilon=0.8, steps=4)
    np.testing.assert_allclose(path.x_adv, at.detach(), atol=1e-5)
    plain = attack(table_model, table_split, norm=norm, epsilon=0.8, steps=4, step_size=0.2)
    assert np.abs(plain.x_adv - path.x_adv).max() > 1e-2


# ---------------------------------------------------------------- options


@pytest.mark.parametrize("method", ATTACKS)
@pytest.mark.parametrize("loss_name", ["ce", "dlr"])
def test_every_attack_can_have_a_target(method, loss_name, table_split):
    model = seeded(lambda: nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, 4)))
    four = Split(table_split.x, table_split.y, tuple("abcd"))
    options = {"method": method, "loss": loss_name, "epsilon": 0.2, "steps": 10}
    path = attack(model, four, targeted=3, **options)
    y, goal = torch.tensor(path.y), torch.full((11,), 3)
    objective = LOSSES[loss_name](targeted=True)
    before, *_, after = (objective(torch.tensor(p), goal, y) for p in path.log_probs)
    assert (after > before).all()
    np.testing.assert_array_equal(path.target, np.full(11, 3))
    np.testing.assert_allclose(path.reached, (path.log_probs.argmax(2) == 3).mean(1))


def test_the_least_likely_class_can_be_the_target(table_model, table_split):
    path = attack(table_model, table_split, targeted="least_likely", epsilon=0.5, batch_size=4)
    least = extract_latents(table_model, table_split).log_probs.argmin(1)
    np.testing.assert_array_equal(path.target, least)
    each = attack(table_model, table_split, targeted=least, epsilon=0.5)
    np.testing.assert_allclose(path.x_adv, each.x_adv, atol=1e-6)


def test_inputs_of_every_step_are_kept_if_asked_for(image_model, image_split):
    path = attack(image_model, image_split, keep_inputs=True, steps=3, batch_size=5)
    assert path.change.shape == (4, *path.x.shape)
    assert (path.change[0] == 0).all()
    np.testing.assert_allclose(path.change[-1], path.x_adv - path.x, atol=1e-4)
    largest = np.abs(path.change.astype(float)).reshape(4, 12, -1).max(2)
    np.testing.assert_allclose(largest, path.distance, atol=1e-4)
    assert attack(image_model, image_split, steps=1).change is None


def test_steps_are_reported_as_they_are_made(table_model, table_split):
    told = []
    attack(table_model, table_split, steps=3, batch_size=6, report=lambda *now: told.append(now))
    assert told == [(t, 6) for t in range(1, 7)]


def test_a_target_becomes_more_probable(table_model, table_split):
    path = attack(table_model, table_split, targeted=2, epsilon=0.5, steps=10)
    assert (path.log_probs[-1, :, 2] > path.log_probs[0, :, 2]).all()
    np.testing.assert_array_equal(path.y, table_split.y)
    assert path.method == "targeted pgd"
    each = attack(table_model, table_split, targeted=np.full(11, 2), epsilon=0.5, steps=10)
    np.testing.assert_array_equal(each.x_adv, path.x_adv)


@pytest.mark.parametrize("head", ["softmax", "gaussian_mixture", "variational"])
def test_every_head_can_be_attacked(image_split, head):
    encoder = seeded(build_encoder, "mlp", kind="image", input_shape=(1, 8, 8), latent_dim=D)
    model = Classifier(encoder, seeded(build_head, head, latent_dim=D, n_classes=C))
    path = attack(model, image_split, epsilon=0.05, steps=5)
    np.testing.assert_allclose(path.z[0], extract_latents(model, image_split).z, atol=1e-5)
    assert attack_gates(path).passed


class NoisyHead(SoftmaxHead):
    """Draws the weights of each pass, around a mean."""

    def log_probs(self, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        weight = torch.eye(D)[:C] + torch.randn(C, D, generator=generator)
        return F.log_softmax(z @ weight.T, 1)


def noisy_model() -> Classifier:
    return Classifier(seeded(nn.Linear, FEATURES, D), NoisyHead(latent_dim=D, n_classes=C))


def test_draws_of_a_stochastic_head_are_averaged(table_split):
    model = noisy_model()
    options = {"method": "fgsm", "norm": "l2", "epsilon": 1.0}
    many = attack(model, table_split, draws=400, **options)
    again = attack(model, table_split, draws=400, **options)
    np.testing.assert_array_equal(many.x_adv, again.x_adv)
    x = torch.tensor(table_split.x, requires_grad=True)
    noise = torch.Generator().manual_seed(99)
    z, y = model.encode(x), torch.tensor(table_split.y)
    total = sum(F.nll_loss(model.head.log_probs(z, generator=noise), y) for _ in range(400))
    total.backward()
    want = F.normalize(x.grad).numpy()
    cosine = ((many.x_adv - many.x) * want).sum(1)
    one = ((attack(model, table_split, draws=1, **options).x_adv - many.x) * want).sum(1)
    assert cosine.min() > 0.95
    assert one.min() < 0.9


def test_noise_is_the_same_at_every_recorded_step(table_split):
    path = attack(noisy_model(), table_split, epsilon=0, steps=3)
    np.testing.assert_array_equal(path.log_probs, path.log_probs[:1].repeat(4, axis=0))


def test_a_deterministic_model_is_passed_once_a_step(table_model, table_split):
    calls = []
    table_model.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    attack(table_model, table_split, steps=6, draws=50)
    # One of each to find the latent, in a pass with a graph and in one without.
    assert calls.count(True) == 6 + 1
    assert calls.count(False) == 3 + 1


# ---------------------------------------------------------------- the model stays as it was


def test_the_model_and_its_gradients_are_left_alone(image_model, image_split):
    image_model.train()
    image_model[3].eval()
    image_model[1].weight.requires_grad_(False)
    for parameter in image_model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    flags = [m.training for m in image_model.modules()]
    noise = torch.get_rng_state()
    with torch.no_grad():
        attack(image_model, image_split, steps=2, random_start=True)
    assert [m.training for m in image_model.modules()] == flags
    assert all((p.grad == 7).all() for p in image_model.parameters())
    assert [p.requires_grad for p in image_model.parameters()] == [False, *[True] * 5]
    assert torch.equal(torch.get_rng_state(), noise)
    assert not any(m._forward_pre_hooks for m in image_model.modules())


def test_a_model_may_work_in_place_on_its_input(table_model, table_split):
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = table_model

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.mul_(1.0).add_(0.5))

    shifted = replace(table_split, x=table_split.x + 0.5)
    path, want = attack(InPlace(), table_split, steps=3), attack(table_model, shifted, steps=3)
    np.testing.assert_allclose(path.z, want.z, atol=1e-5)


def test_an_attack_runs_inside_inference_mode(table_model, table_split):
    want = attack(table_model, table_split, steps=2)
    with torch.inference_mode():
        np.testing.assert_array_equal(attack(table_model, table_split, steps=2).z, want.z)


@pytest.mark.gpu
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_attack_on_another_device_gives_the_same_path(image_model, image_split, norm):
    options = {"norm": norm, "epsilon": 0.1, "steps": 5, "random_start": True}
    here = attack(image_model, image_split, **options)
    there = attack(image_model, image_split, device="cuda", **options)
    np.testing.assert_allclose(there.log_probs, here.log_probs, atol=1e-3)
    assert attack_gates(there)["stays in the ball"].passed
    assert {p.device.type for p in image_model.parameters()} == {"cpu"}


# ---------------------------------------------------------------- oracle


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("method", "norm", "name"),
    [
        ("fgsm", "linf", "LinfFastGradientAttack"),
        ("fgsm", "l2", "L2FastGradientAttack"),
        ("pgd", "linf", "LinfPGD"),
        ("pgd", "l2", "L2PGD"),
    ],
)
def test_foolbox_finds_the_same_adversaries(image_model, image_split, method, norm, name):
    foolbox = pytest.importorskip("foolbox")
    epsilon, steps = 0.1 if norm == "linf" else 0.6, 10
    options = {"random_start": False}
    if method == "pgd":
        options |= {"steps": steps, "abs_stepsize": epsilon / 4}
    peer = foolbox.PyTorchModel(image_model.eval(), bounds=(0, 1), device="cpu")
    x = torch.tensor(image_split.x / np.float32(255))
    _, want, _ = getattr(foolbox.attacks, name)(**options)(
        peer, x, torch.tensor(image_split.y), epsilons=epsilon
    )
    path = attack(image_model, image_split, method=method, norm=norm, epsilon=epsilon, steps=steps)
    np.testing.assert_allclose(path.x_adv, want.numpy(), atol=2e-6)
    np.testing.assert_allclose(
        loss(image_model, path.x_adv, path.y), loss(image_model, want.numpy(), path.y), atol=1e-5
    )


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "pdg"}, r"unknown method 'pdg'; did you mean 'pgd'\?"),
        ({"norm": "linff"}, r"unknown norm 'linff'; did you mean 'linf'\?"),
        ({"epsilon": -0.1}, "epsilon must be a radius of 0 or more, got -0.1"),
        ({"epsilon": "0.1"}, "epsilon must be a number, got '0.1'"),
        ({"steps": None}, "steps must be a whole number of at least 1, got None"),
        ({"epsilon": float("nan")}, "epsilon must be a radius"),
        ({"epsilon": 8}, "did you mean 8/255"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"draws": 0}, "draws must be a whole number"),
        ({"step_size": 0.0}, "step_size must be a number above 0, got 0.0"),
        ({"random_start": "no"}, "random_start must be true or false"),
        ({"drws": 3}, "unknown option of an attack 'drws'; did you mean 'draws'"),
        ({"method": "fgsm", "step_size": 0.1}, "step_size is for pgd"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"targeted": 3}, r"targeted must lie in \[0, 3\)"),
        ({"targeted": [0, 1]}, r"targeted must have shape \(12,\)"),
        ({"layer": "9"}, "unknown layer '9'"),
        ({"loss": "dl"}, r"unknown loss 'dl'; did you mean 'dlr'\?"),
        ({"method": "apgd", "step_size": 0.1}, "apgd adapts its own; step_size is for pgd"),
        ({"targeted": "least"}, r"unknown targeted 'least'; did you mean 'least_likely'\?"),
        ({"targeted": 1, "loss": "dlr"}, "the targeted loss 'dlr' needs 4 classes or more, got 3"),
    ],
)
def test_bad_options_are_refused(image_model, image_split, options, message):
    with pytest.raises(InputError, match=message):
        attack(image_model, image_split, **options)


def test_input_that_cannot_be_attacked_is_refused(image_model, image_split, text_split):
    with pytest.raises(InputError, match="text cannot be attacked"):
        attack(image_model, text_split)
    with pytest.raises(InputError, match="split must be a Split or a name, got tuple"):
        attack(image_model, (image_split.x, image_split.y))
    more = Split(image_split.x, image_split.y, tuple("abcd"))
    with pytest.raises(InputError, match="the data has 4 classes, the model only 3"):
        attack(image_model, more)


def test_a_model_without_gradient_is_refused(table_model, table_split):
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(FEATURES, C)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.detach())

    with pytest.raises(InputError, match="does not depend on its input in a differentiable way"):
        attack(Rounded(), table_split)
    for parameter in table_model.parameters():
        parameter.requires_grad_(False)
    assert attack(table_model, table_split, steps=1).distance[1].min() > 0
