import json

import numpy as np
import pytest
import torch

from vcviz import InputError, RunConfig


def stored(config: RunConfig) -> RunConfig:
    """Return a config as a run's record brings it back."""
    return RunConfig(**json.loads(config.to_json()))


def test_json_round_trip_keeps_every_setting() -> None:
    config = RunConfig(head="variational", head_options={"critic_weight": 0.5}, lr=1e-3, n_train=50)
    assert stored(config) == config


def test_key_follows_what_determines_the_result_only() -> None:
    base = RunConfig()
    assert base.key == RunConfig(device="cpu", threads=2, compile=True).key
    assert base.key != RunConfig(seed=1).key
    assert base.key != RunConfig(head_options={"margin": 0.1}).key


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": "softmax"}, "unknown setting 'heads'; did you mean 'head'"),
        ({"epochs": 0}, "epochs should be greater than or equal to 1, got 0"),
        ({"lr": "fast"}, "lr should be a valid number.* got 'fast'"),
        ({"validation": 1.0}, "validation should be less than 1"),
        ({"schedule": "cosin"}, "schedule should be 'constant', 'step' or 'cosine', got 'cosin'"),
    ],
)
def test_bad_settings_are_one_clear_line(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        RunConfig(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dataset", "start"),
    [
        ("digits", "digits-softmax-d2-s0-"),
        ("path:/data/fashion_mnist/", "fashion_mnist-"),
        ("hub:owner/na.me", "na_me-"),
        ("path:../..", "data-"),
        ("path:/x/<b>ü</b>", "b-"),
    ],
)
def test_default_name_is_a_safe_folder_name(dataset: str, start: str) -> None:
    name = RunConfig(dataset=dataset).default_name
    assert name.startswith(start)
    assert "/" not in name


def test_a_setting_called_self_is_unknown_like_any_other() -> None:
    with pytest.raises(InputError, match="unknown setting 'self'"):
        RunConfig(**{"self": 1})


def test_numbers_and_arrays_of_numpy_and_torch_are_settings() -> None:
    given = {"n": np.int64(30), "weights": [np.float32(0.5), torch.tensor(0.5)]}
    plain = {"n": 30, "weights": [0.5, 0.5]}
    found = RunConfig(dataset_options=given, latent_dim=np.int64(3))
    assert found == RunConfig(dataset_options=plain, latent_dim=3)
    assert found.key == RunConfig(dataset_options=plain, latent_dim=3).key
    listed = RunConfig(dataset_options={"weights": np.array([1.0, 2.0])})
    assert stored(listed) == listed


def test_what_json_cannot_hold_is_no_setting() -> None:
    with pytest.raises(InputError, match="settings must be numbers, strings, lists or mappings"):
        RunConfig(head_options={"margin": object()}).key  # noqa: B018


# ---------------------------------------------------------------- what a head means


def test_the_variational_head_means_a_stochastic_encoder_and_the_others_a_point() -> None:
    config = RunConfig(head="variational")
    assert config.stochastic
    assert config.rate_weight > 0
    for head in ("softmax", "gaussian_mixture", "pc_softmax", "dropmax", "heteroscedastic"):
        assert not RunConfig(head=head).stochastic


def test_a_point_encoder_of_the_variational_head_has_no_rate() -> None:
    config = RunConfig(head="variational", stochastic=False)
    assert (config.stochastic, config.rate_weight, config.draws) == (False, 0.0, 1)
    assert config.key != RunConfig(head="variational").key
    with pytest.raises(InputError, match="add stochastic=true"):
        RunConfig(head="variational", stochastic=False, rate_weight=0.1)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"head": "variational"},
        {"head": "variational", "stochastic": False},
        {"head": "variational", "rate_weight": 0.0, "law_lr_scale": 1.0},
        {"head": "variational", "preset": "paper"},
        {"head": "gaussian_mixture", "preset": "paper", "head_options": {"margin": 0.2}},
        {"head": "softmax", "stochastic": True, "epochs": 3},
    ],
)
def test_the_differences_from_the_preset_make_the_config_again(settings: dict) -> None:
    config = RunConfig(**settings)
    found = config.differences()
    assert RunConfig(**found) == config
    assert RunConfig(**config.model_dump()) == config


def test_only_what_differs_is_among_the_differences() -> None:
    assert RunConfig().differences() == {}
    assert RunConfig(head="variational").differences() == {"head": "variational"}
    assert RunConfig(head="variational", lr=0.1).differences() == {"head": "variational", "lr": 0.1}


def test_an_unknown_preset_is_one_line() -> None:
    with pytest.raises(InputError, match="preset should be 'vcviz' or 'paper', got 'papers'"):
        RunConfig(preset="papers")


def test_a_record_is_read_as_it_is_and_not_filled_in() -> None:
    config = RunConfig(head="variational", preset="paper", head_options={"critic_weight": 0.5})
    assert RunConfig.recorded(config.model_dump()) == config
    # Of before there were presets: a point encoder, and options that were nobody's to fill in.
    old = {"head": "variational", "head_options": {"critic_weight": 0.5}, "epochs": 3}
    found = RunConfig.recorded(old)
    assert (found.stochastic, found.rate_weight, found.law_lr_scale) == (False, 0.0, 1.0)
    assert found.head_options == {"critic_weight": 0.5}
    with pytest.raises(InputError, match="unknown setting 'epoch'; did you mean 'epochs'"):
        RunConfig.recorded({"epoch": 3})
