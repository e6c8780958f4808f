"""Run folders: what is damaged or foreign is named, and nothing else is believed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import vcviz
from vcviz import InputError
from vcviz.base.errors import RunWarning
from vcviz.runs import folder as run_folder
from vcviz.runs.folder import write_arrays
from vcviz.runs.stored import read_arrays


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> vcviz.Run:
    return vcviz.train(
        dataset="digits",
        head="gaussian_mixture",
        epochs=2,
        n_train=60,
        probe_size=10,
        out=tmp_path_factory.mktemp("runs"),
        progress=False,
    )


@pytest.fixture
def folder(trained: vcviz.Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.path, tmp_path / trained.name))


def test_load_gives_back_what_was_trained(trained: vcviz.Run) -> None:
    again = vcviz.load_run(trained.path)
    assert again.config == trained.config
    assert again.history == trained.history
    assert [r.name for r in vcviz.list_runs(trained.path.parent)] == [trained.name]


def test_missing_run_lists_what_is_there(trained: vcviz.Run) -> None:
    with pytest.raises(InputError, match=f"no run 'x'.*found: {trained.name}"):
        vcviz.load_run(trained.path.parent / "x")
    with pytest.raises(FileNotFoundError, match="no folder"):
        vcviz.list_runs(trained.path / "nowhere")


def test_unknown_epoch_and_split_are_named(trained: vcviz.Run) -> None:
    with pytest.raises(InputError, match=r"no latents of epoch 9; it has \[0, 1, 2\]"):
        trained.latents("test", 9)
    with pytest.raises(InputError, match="unknown split 'tset'; did you mean 'test'"):
        trained.latents("tset")


def damage_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def foreign_weights(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"\x80\x04pickle")


def misshapen_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    arrays = load_file(path)
    name = next(k for k in arrays if k.startswith("encoder") and arrays[k].ndim == 2)
    arrays[name] = arrays[name].T.copy()
    save_file(arrays, path)


def missing_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    arrays = load_file(path)
    arrays.pop(next(iter(arrays)))
    arrays["stranger"] = np.zeros(2, np.float32)
    save_file(arrays, path)


@pytest.mark.parametrize("damage", [damage_weights, foreign_weights])
def test_a_damaged_run_is_not_taken_for_finished_and_hides_no_other(
    folder: Path, trained: vcviz.Run, damage
) -> None:
    good = Path(shutil.copytree(trained.path, folder.parent / "good"))
    damage(folder)
    with pytest.warns(RunWarning, match=r"weights.safetensors is damaged.*train again"):
        assert [r.path for r in vcviz.list_runs(folder.parent)] == [good]
    with pytest.raises(InputError, match=r"weights.safetensors is damaged"):
        vcviz.train(trained.config, out=folder.parent, name=folder.name, progress=False)


def test_metrics_of_another_program_are_named(folder: Path) -> None:
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="accuracy is missing; nll is missing; ece is"):
        vcviz.load_run(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_weights, "weights.safetensors is damaged or not a safetensors file"),
        (foreign_weights, "weights.safetensors is damaged or not a safetensors file"),
        (misshapen_weights, r"do not fit: encoder\S+ should be \(\d+, \d+\), is"),
        (missing_weights, "do not fit: missing .*; unexpected stranger"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder: Path, damage, message: str) -> None:
    damage(folder)
    with pytest.raises(InputError, match=message):
        vcviz.load_run(folder).model()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json is damaged or not JSON"),
        ("[]", "should hold a JSON object"),
        ('{"format": "other"}', "is not a vcviz run"),
        ('{"format": "vcviz.run/1"}', "config is missing; data is missing"),
    ],
)
def test_foreign_config_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        vcviz.load_run(folder)


def test_setting_from_another_version_is_named(folder: Path) -> None:
    path = folder / "config.json"
    record = json.loads(path.read_text())
    record["config"]["novelty"] = 1
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="unknown setting 'novelty'"):
        vcviz.load_run(folder)


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"metrics.json is missing"):
        vcviz.load_run(folder)


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"x": np.arange(3)})

    def fails_half_way(arrays, target, metadata):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder, "save_file", fails_half_way)
    with pytest.raises(OSError, match=r"cannot write a.safetensors \(No space left.*is intact"):
        write_arrays(path, {"x": np.arange(4)})
    assert read_arrays(path)["x"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_counters_of_batch_norm_come_back(image_split, tmp_path: Path) -> None:
    run = vcviz.train(
        splits=(image_split, image_split),
        encoder="cnn",
        encoder_options={"width": 2, "hidden": [4]},
        epochs=1,
        batch_size=6,
        out=tmp_path,
        progress=False,
    )
    counters = [v for k, v in run.model().state_dict().items() if k.endswith("batches_tracked")]
    assert [int(v) for v in counters] == [2] * 4
    assert all(v.shape == () for v in counters)


def test_rows_of_a_run_are_attacked_by_number(trained: vcviz.Run) -> None:
    path = trained.attack([7, 2, 5], steps=2, progress=False)
    np.testing.assert_array_equal(path.index, [7, 2, 5])
    np.testing.assert_allclose(
        path.log_probs[0], trained.latents("test").log_probs[[7, 2, 5]], atol=1e-5
    )
    first = trained.attack(4, steps=2, progress=False)
    np.testing.assert_array_equal(first.index, np.arange(4))
    with pytest.raises(InputError, match=r"rows must be whole numbers in \[0, "):
        trained.attack([10**6])


def test_a_table_of_runs_leaves_out_what_none_of_them_has(tmp_path, trained) -> None:
    rows = [[f"a {word} {k}", word] for k in range(8) for word in ("yes", "no")]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    text = vcviz.train(
        dataset=f"path:{tmp_path / 't.json'}", head="softmax", epochs=1, latent_dim=2,
        probe_size=4, out=tmp_path, progress=False,
    )  # fmt: skip
    table = vcviz.summarise([text], progress=False)
    assert {"accuracy", "KL train"} <= set(table)
    assert not [c for c in table if c.startswith("PGD")]
    both = vcviz.summarise([text, trained], rows=5, steps=1, progress=False)
    assert both["PGD accuracy"].isna().tolist() == [True, False]


def test_a_run_follows_its_robustness(trained: vcviz.Run) -> None:
    options = {"steps": 2, "calibration": False, "progress": False}
    (curve,) = vcviz.studies.robustness_curves([trained], 20, [0.1], **options)
    assert (curve.n, curve.name) == (20, trained.config.head)
    same = vcviz.robustness_curve(trained, epsilons=[0.1], rows=20, **options)
    np.testing.assert_array_equal(curve.accuracy, same.accuracy)
    (path,) = vcviz.studies.attack_runs(trained, 20, epsilon=0.1, steps=2)
    assert [p.epsilon for p in path.checks] == [0.0, 0.2]
    again = vcviz.attack(trained, rows=20, epsilon=0.1, steps=2, progress=False)
    np.testing.assert_array_equal(again.x_adv, path.x_adv)
    for function in (vcviz.studies.attack_runs, vcviz.studies.robustness_curves):
        with pytest.raises(vcviz.InputError, match="a Run or a list of Run, got Classifier"):
            function(trained.model())
    table = vcviz.summarise([trained], rows=20, steps=2, progress=False)
    assert table["PGD gates"].iloc[0] == vcviz.metrics.attack_gates(path).short
