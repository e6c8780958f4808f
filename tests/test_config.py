import numpy as np
import pytest
import torch

from vcviz import InputError, RunConfig


def test_json_round_trip_keeps_every_setting() -> None:
    config = RunConfig(head="variational", head_options={"critic_weight": 0.5}, lr=1e-3, n_train=50)
    assert RunConfig.from_json(config.to_json()) == config


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


def test_foreign_json_is_refused() -> None:
    with pytest.raises(InputError, match="a run's config is damaged or not JSON"):
        RunConfig.from_json("{")
    with pytest.raises(InputError, match="JSON object"):
        RunConfig.from_json("[1]")


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
        RunConfig.from_json('{"self": 1}')


def test_numbers_and_arrays_of_numpy_and_torch_are_settings() -> None:
    given = {"n": np.int64(30), "weights": [np.float32(0.5), torch.tensor(0.5)]}
    plain = {"n": 30, "weights": [0.5, 0.5]}
    found = RunConfig(dataset_options=given, latent_dim=np.int64(3))
    assert found == RunConfig(dataset_options=plain, latent_dim=3)
    assert found.key == RunConfig(dataset_options=plain, latent_dim=3).key
    listed = RunConfig(dataset_options={"weights": np.array([1.0, 2.0])})
    assert RunConfig.from_json(listed.to_json()) == listed


def test_what_json_cannot_hold_is_no_setting() -> None:
    with pytest.raises(InputError, match="settings must be numbers, texts, lists or mappings"):
        RunConfig(head_options={"margin": object()}).key  # noqa: B018
