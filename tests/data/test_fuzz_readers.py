"""What vcviz reads may be anything: it is read, or refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzz import Failure, explore
from tiny_notebooks import code
from tiny_notebooks import save as save_notebook

import vcviz
from vcviz.base.errors import InputError
from vcviz.headless.assignments import parse_value
from vcviz.headless.files import read_notebook
from vcviz.headless.lab import copy_notebooks
from vcviz.headless.parameters import notebook_parameters
from vcviz.runs.folder import read_checkpoint, write_checkpoint
from vcviz.runs.stored import stored_settings
from vcviz.studies.measures.store import read_scores
from vcviz.studies.reports.collect import collect
from vcviz.studies.sweeps.grid import read_yaml
from vcviz.studies.sweeps.journal import read_journal
from vcviz.training import loop

Use = Callable[[bytes], object]
SETTINGS = {"dataset": "digits", "epochs": 2, "n_train": 60, "probe_size": 10, "progress": False}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, vcviz.Run]:
    """A finished run of a head that states its law, and of one that implies it."""
    out = tmp_path_factory.mktemp("runs")
    heads = ("softmax", "gaussian_mixture")
    return {head: vcviz.train(head=head, out=out, **SETTINGS) for head in heads}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted."""
    out = tmp_path_factory.mktemp("partial")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.run_folder, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            vcviz.train(out=out, checkpoint_every=0, **SETTINGS)
    return next(out.glob(".*.partial"))


@pytest.fixture
def folder(runs: dict[str, vcviz.Run], tmp_path: Path) -> Iterator[Path]:
    """A copy of the first of `runs`."""
    return Path(shutil.copytree(runs["gaussian_mixture"].path, tmp_path / "run"))


def use_run(folder: Path) -> None:
    run = vcviz.load_run(folder)
    for look in (
        lambda: run.latents("test"),
        lambda: run.latents("train", run.epochs[-1]),
        run.prior,
        lambda: run.label_frequencies,
        run.model,
        lambda: vcviz.plot_history([run]),
    ):
        refused(look)


def refused(look: Callable[[], object]) -> None:
    """Look, whatever of ours comes of it; the other looks of a folder follow."""
    said = ""
    try:
        look()
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def writing(path: Path, use: Callable[[], object]) -> Use:
    def written(data: bytes) -> object:
        path.write_bytes(data)
        return use()

    return written


def _explore(use: Use, seeds: list[bytes], tries: int) -> None:
    lines = explore(use, seeds, tries=tries)
    assert lines > 2, "the search sees nothing of vcviz"


RUN_FILES = {
    "config.json": 60,
    "metrics.json": 30,
    "history.jsonl": 30,
    "weights.safetensors": 30,
    "latents/test.safetensors": 30,
}


def _of_a_run(folder: Path, name: str, tries: int) -> None:
    path = folder / name
    _explore(writing(path, lambda: use_run(folder)), [path.read_bytes()], tries)


@pytest.mark.parametrize("name", RUN_FILES)
def test_the_files_of_a_run(folder: Path, name: str) -> None:
    _of_a_run(folder, name, RUN_FILES[name])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RUN_FILES)
def test_the_files_of_a_run_at_length(folder: Path, name: str) -> None:
    _of_a_run(folder, name, 500)


def _of_a_checkpoint(folder: Path, tries: int) -> None:
    """The reader alone, then all of a run that goes on from there."""
    path = folder / "checkpoint" / "state.safetensors"
    whole = path.read_bytes()

    def resume(data: bytes) -> None:
        path.write_bytes(data)
        history = (folder / "history.jsonl").read_bytes()
        read_checkpoint(folder)
        (folder / "history.jsonl").write_bytes(history)

    _explore(resume, [whole], tries)


def test_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    _of_a_checkpoint(Path(shutil.copytree(checkpoint, tmp_path / checkpoint.name)), 60)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_checkpoint_at_length(checkpoint: Path, tmp_path: Path) -> None:
    _of_a_checkpoint(Path(shutil.copytree(checkpoint, tmp_path / checkpoint.name)), 1000)


@pytest.mark.parametrize("change", ["shape", "name", "moment", "state", "epoch"])
def test_a_checkpoint_of_another_run_is_refused(
    checkpoint: Path, tmp_path: Path, change: str
) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / checkpoint.name))
    arrays, state = read_checkpoint(folder)
    first = next(k for k in arrays if k.startswith("model/") and arrays[k].ndim == 2)
    moment = next(k for k in arrays if k.endswith("exp_avg"))
    if change == "shape":
        arrays[first] = arrays[first][:-1]
    elif change == "name":
        arrays["model/stranger"] = arrays.pop(first)
    elif change == "moment":
        arrays[moment] = arrays[moment].ravel()[:1]
    elif change == "state":
        del state["optimizer"]
    else:
        state["epoch"] = "two"
    write_checkpoint(folder, arrays, state)
    with pytest.raises(InputError, match=r"checkpoint.*|state.safetensors: epoch should be"):
        vcviz.train(out=tmp_path, **SETTINGS)


def readers(tmp_path: Path) -> dict[str, tuple[Use, list[bytes]]]:
    """Readers of single files by name, with something that they should take."""
    entry = {
        "name": "n-1a2b3c4d", "notebook": None, "parameters": {"n": 1}, "command": "vcviz",
        "state": "done", "attempts": 1, "reason": None, "seconds": 1.5,
    }  # fmt: skip
    journal = json.dumps({"format": "vcviz.sweep/1", "version": "0", "runs": [entry]}).encode()
    record = {
        "format": "vcviz.notebook/1", "notebook": "n", "parameters": {"n": 1}, "seconds": 1.5,
        "failure": None, "files": ["n.json"], "sizes": {}, "source": "0",
    }  # fmt: skip
    scores = {"format": "vcviz.scores/1", "measures": {"a": {
        "options": {}, "values": {"x": 1.0}, "seconds": 1.0
    }}}  # fmt: skip
    notebook = save_notebook(tmp_path / "seed.ipynb", code("n: int = 1  # a number", "parameters"))
    folder = tmp_path / "folder"
    folder.mkdir()

    def parameters() -> object:
        return notebook_parameters(read_notebook(folder / "n.ipynb"))

    def config(settings: bytes) -> object:
        data = {"kind": "table", "input_shape": [2], "class_names": ["a", "b"]}
        data |= {part: {"rows": 9, "fingerprint": "0"} for part in ("train", "test")}
        whole = b'{"format": "vcviz.run/1", "config": %s, "data": %s}'
        (folder / "config.json").write_bytes(whole % (settings, json.dumps(data).encode()))
        return stored_settings(folder)

    grid = b"n: [1, 2]\nlr: {from: 1e-3}\nname: &a [x, 2024-01-01]\nagain: *a\n"
    return {
        "config": (config, [vcviz.RunConfig().to_json().encode()]),
        "journal": (
            writing(folder / "sweep.json", lambda: read_journal(folder)), [journal]
        ),
        "collection": (writing(folder / "sweep.json", lambda: collect(folder)), [journal]),
        "record": (
            writing(folder / "n.record.json", lambda: collect(folder)),
            [json.dumps(record).encode()],
        ),
        "scores": (
            writing(folder / "scores.json", lambda: read_scores(folder)),
            [json.dumps(scores).encode()],
        ),
        "notebook": (writing(folder / "n.ipynb", parameters), [notebook.read_bytes()]),
        "grid": (
            writing(folder / "g.yaml", lambda: read_yaml(folder / "g.yaml", "grid")), [grid]
        ),
        "value": (lambda d: parse_value(d.decode("utf-8", "replace")), [b"[1, 2]", b"{a: 1}"]),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["config", "journal", "collection", "record", "scores", "notebook", "grid", "value"]
)
def test_a_file(tmp_path: Path, name: str) -> None:
    use, seeds = readers(tmp_path)[name]
    _explore(use, seeds, 100)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name", ["config", "journal", "collection", "record", "scores", "notebook", "grid", "value"]
)
def test_a_file_at_length(tmp_path: Path, name: str) -> None:
    use, seeds = readers(tmp_path)[name]
    _explore(use, seeds, 3000)


FOUND = {
    "config": b'{"a": 0, "b": 0, "c": 0, "d": 0, "e": 0, "f": 0, "%s": 1}' % (b"[" * 3000),
    "config of long names": b'{"%sa": 1, "%sb": 1, "%sc": 1, "%sd": 1, "%se": 1}'
    % ((b"0" * 99,) * 5),
    "grid of a long tag": b"n: !%s 1" % (b"[" * 10_000),
    "record": b'{"format": "vcviz.notebook/1", "notebook": "n", "parameters": {}, "seconds": 1.5,'
    b' "files": [], "sizes": {}}',
    "notebook": b'{"cells": [{"cell_type": "code", "execution_count": null, "id": "1", "metadata":'
    b' {"tags": false}, "outputs": [], "source": ["n: int = 1"]}], "metadata": {}, "nbformat": 4,'
    b' "nbformat_minor": 5}',
    "notebook of an endless kind": b'{"cells": [{"cell_type": "%s", "id": "1", "metadata":'
    b' {"tags": ["parameters"]}, "source": "n = 1"}], "metadata": {}, "nbformat": 4,'
    b' "nbformat_minor": 5}' % (b"x" * 10_000),
    "notebook of no kind": b'{"cells": [{"cell_type": true, "id": "1", "metadata":'
    b' {"tags": ["parameters"]}, "source": "n = 1"}], "metadata": {}, "nbformat": 4,'
    b' "nbformat_minor": 5}',
    "notebook of half a character": b'{"cells": [{"cell_type": "code", "execution_count": null,'
    b' "id": "1", "metadata": {"tags": ["parameters"]}, "outputs": [], "source": "\\ud800"}],'
    b' "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
}


@pytest.mark.parametrize("name", FOUND)
def test_what_the_search_has_found_stays_refused(tmp_path: Path, name: str) -> None:
    use, _ = readers(tmp_path)[name.split()[0]]
    with pytest.raises(InputError) as raised:
        use(FOUND[name])
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 2000


@pytest.mark.parametrize("line", [b'{"loss": 1.0}', b'{"epoch": "two", "loss": 1.0}', b"[1]"])
def test_a_line_of_a_history_says_its_epoch(folder: Path, line: bytes) -> None:
    (folder / "history.jsonl").write_bytes(line)
    with pytest.raises(InputError, match=r"history.jsonl: .*(should be|is missing)"):
        vcviz.load_run(folder)


@pytest.mark.parametrize("value", ["..", [1, 2], 10**400, {}])
def test_what_is_no_number_in_a_history_is_said(folder: Path, value: object) -> None:
    rows = [{"epoch": 1, "train/total": 1.0}, {"epoch": 2, "train/total": value}]
    (folder / "history.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="must hold numbers in 'train/total', got"):
        vcviz.plot_history(vcviz.load_run(folder))


@pytest.mark.parametrize("hidden", [[10**400], [2**40, 2**40]])
def test_a_model_that_no_machine_holds_is_refused(folder: Path, hidden: list[int]) -> None:
    record = json.loads((folder / "config.json").read_text())
    record["config"] |= {"encoder": "mlp", "encoder_options": {"hidden": hidden}}
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="larger than any machine holds"):
        vcviz.load_run(folder).model()


def test_a_long_name_of_a_metric_is_cut_short(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, "x" * 10_000: {}}))
    with pytest.raises(InputError, match=r"metrics.json: x+… should be a number, got") as raised:
        vcviz.load_run(folder)
    assert len(str(raised.value)) < 500


def test_the_list_of_copied_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save_notebook(tmp_path / "one.ipynb", "1")
    monkeypatch.setattr(vcviz.headless.lab, "list_notebooks", lambda: {"one": source})
    record = tmp_path / "mine" / ".vcviz-notebooks.json"
    copy_notebooks(record.parent)
    _explore(writing(record, lambda: copy_notebooks(record.parent)), [record.read_bytes()], 60)


def test_the_search_finds_what_is_hidden() -> None:
    def naive(data: bytes) -> object:
        found = vcviz.base.json_files.parse_json(data, "x")
        return found["a"]["b"]

    with pytest.raises(Failure, match=r"KeyError|TypeError"):
        explore(naive, [b'{"a": {"b": 1}}'], tries=100)
