"""A run that dies at any moment, or on a full disk, goes on as if nothing had happened."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vcviz
from vcviz.base.errors import InputError
from vcviz.base.replacing import replacing
from vcviz.studies import reports
from vcviz.training import loop

SETTINGS: dict[str, Any] = {
    "head": "gaussian_mixture", "dataset": "digits", "epochs": 6, "n_train": 120,
    "probe_size": 10, "encoder_options": {"dropout": 0.2}, "progress": False,
    "checkpoint_every": 0,
}  # fmt: skip

#: dies at the k-th moment, and says how many there were: "files" are those at which it opens,
#: renames or removes something in its folder, "calls" those at which it calls any function
DIES = """
import os, signal, sys
import vcviz
from test_killed import SETTINGS

out, kind, last, seen = sys.argv[1], sys.argv[2], int(sys.argv[3]), 0

def moment():
    global seen
    seen += 1
    if seen == last:
        os.kill(os.getpid(), signal.SIGKILL)

def hook(event, args):
    if event in ("open", "os.rename", "os.remove", "os.mkdir") and out in str(args[0]):
        moment()

if kind == "files":
    sys.addaudithook(hook)
else:
    sys.setprofile(lambda *_: moment())
vcviz.train(out=out, **SETTINGS)
sys.setprofile(None)
print(seen)
"""


def train_until(out: Path, kind: str, last: int) -> subprocess.CompletedProcess[str]:
    out.mkdir()
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-c", DIES, str(out), kind, str(last)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )


def contents(run: vcviz.Run) -> dict[str, bytes]:
    """Return all files of a run but the one that says when it was made."""
    files = (p for p in run.path.rglob("*") if p.is_file() and p.name != "config.json")
    return {str(p.relative_to(run.path)): p.read_bytes() for p in files}


def test_a_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vcviz.train(out=tmp_path / "whole", **SETTINGS)
    write, calls = loop.run_folder.write_checkpoint, []

    def no_room(*args: Any) -> None:
        """Write as on a disk with room for 10 kB, from the third time on."""
        calls.append(args)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if len(calls) >= 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            write(*args)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    out = tmp_path / "full"
    with monkeypatch.context() as patch:
        patch.setattr(loop.run_folder, "write_checkpoint", no_room)
        with pytest.raises(OSError, match=r"cannot write state.safetensors \(File too large\)"):
            vcviz.train(out=out, **SETTINGS)
    assert vcviz.list_runs(out) == []
    (partial,) = out.iterdir()
    assert [p.name for p in (partial / "checkpoint").iterdir()] == ["state.safetensors"]
    _, state = loop.run_folder.read_checkpoint(partial)
    assert state["epoch"] == 2
    assert contents(vcviz.train(out=out, **SETTINGS)) == contents(whole)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for durable in (False, True):
        with replacing(path, durable=durable) as temporary:
            temporary.write_text(f"{durable}")
        assert path.read_text() == f"{durable}"

    def fails(error: BaseException) -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            fails(error)
        assert path.read_text() == "True"
        assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_take_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*page.html: Is a directory"):
        reports._written(tmp_path / "page.html", b"text")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_history_without_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match=r"cannot write history.jsonl \(No space left.*is intact"):
        loop.run_folder.append_history(tmp_path, {"epoch": 1})


@pytest.mark.parametrize("line", [b'{"epo', b"3", b"{}", b'{"epoch": "x"}', b"\xff\xfe", b"[1]"])
def test_a_history_is_kept_up_to_the_line_that_was_torn(tmp_path: Path, line: bytes) -> None:
    folder = loop.run_folder
    (tmp_path / "checkpoint").mkdir()
    folder.write_checkpoint(tmp_path, {}, {"epoch": 2, "optimizer": {}, "scaler": None})
    for epoch in (1, 2):
        folder.append_history(tmp_path, {"epoch": epoch})
    history = tmp_path / "history.jsonl"
    whole = history.read_bytes()
    history.write_bytes(whole + line)
    folder.read_checkpoint(tmp_path)
    assert history.read_bytes() == whole


def test_a_run_that_dies_while_it_writes_goes_on(tmp_path: Path) -> None:
    _dies_and_goes_on(tmp_path, "files", [17])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["files", "calls"])
def test_a_run_that_dies_at_ten_moments_goes_on(tmp_path: Path, kind: str) -> None:
    done = train_until(tmp_path / "counted", kind, 0)
    assert done.returncode == 0, done.stderr
    # Calls are not counted alike in two processes: the last few may never come.
    moments = range(1, int(done.stdout) * 98 // 100)
    _dies_and_goes_on(tmp_path, kind, sorted(random.Random(0).sample(moments, 10)))


def _dies_and_goes_on(tmp_path: Path, kind: str, moments: list[int]) -> None:
    whole = contents(vcviz.train(out=tmp_path / "whole", **SETTINGS))
    for moment in moments:
        out = tmp_path / f"dies-{moment}"
        assert train_until(out, kind, moment).returncode == -signal.SIGKILL
        # What is in the list is whole, also when it died on the way into it.
        for run in vcviz.list_runs(out):
            assert contents(run) == whole
        assert contents(vcviz.train(out=out, **SETTINGS)) == whole, f"killed at {kind} {moment}"
