"""What goes wrong overnight: killed workers, schedulers and sweeps, full disks, damaged folders."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny_notebooks import code, save

import vcviz
from vcviz.base.errors import InputError, MissingError, SweepError
from vcviz.base.locks import held
from vcviz.studies.sweeps import sweep
from vcviz.studies.sweeps.journal import locked, read_journal

PARAMETERS = code('n: int = 0  # number\nflag: str = ""  # file', "parameters")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def states(result):
    return [run["state"] for run in result.runs]


def wait_for(condition, seconds=180):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def command(tmp_path, source, *more):
    words = ["sweep", "-g", "n=0:3", "-p", f"flag={tmp_path / 'flag'}", "--notebook", str(source)]
    words += ["--out", str(tmp_path / "s"), "--workers", "1", "-q", *more]
    return [sys.executable, "-m", "vcviz", *words]


def test_a_killed_worker_is_retried_and_then_reported(tmp_path):
    # The kernel's parent is the worker; the first time, it kills it.
    once = (
        "import os, pathlib, signal\nmark = pathlib.Path(flag + str(n))\n"
        "if not mark.exists():\n"
        "    if n == 1:\n        mark.touch()\n"
        "    os.kill(os.getppid(), signal.SIGKILL)"
    )
    source = save(tmp_path / "deadly.ipynb", PARAMETERS, once)
    result = sweep(
        {"n": [1, 2]},
        fixed={"flag": str(tmp_path / "flag")},
        notebook=str(source),
        out=tmp_path / "s",
        workers=1,
        retries=1,
        progress=False,
    )
    assert states(result) == ["done", "failed"]
    assert "the worker died" in result.failures[0]["reason"]


def test_a_timeout_and_a_cell_without_parameters(tmp_path):
    slow = save(tmp_path / "slow.ipynb", PARAMETERS, "import time\ntime.sleep(60)")
    options = {"out": tmp_path / "s", "workers": 0, "progress": False}
    result = sweep({"n": [0]}, notebook=str(slow), timeout=1, **options)
    assert "took longer than 1 s" in result.failures[0]["reason"]
    bare = save(tmp_path / "bare.ipynb", "1")
    with pytest.raises(InputError, match="takes no parameters"):
        sweep({"n": [0]}, notebook=str(bare), **options)


def test_a_killed_sweep_repeats_nothing_that_is_finished(tmp_path):
    source = save(
        tmp_path / "count.ipynb",
        PARAMETERS,
        "import time\nopen(flag, 'a').write(f'{n} ')\n"
        "time.sleep(60 if open(flag).read() == '0 1 ' else 0)",
    )
    done = subprocess.Popen(command(tmp_path, source), env=ENVIRONMENT, start_new_session=True)
    flag = tmp_path / "flag"
    wait_for(lambda: flag.exists() and "1" in flag.read_text())
    os.killpg(done.pid, signal.SIGKILL)
    done.wait()
    finished = {e["name"] for e in read_journal(tmp_path / "s").values() if e["state"] == "done"}
    assert len(finished) == 1

    again = subprocess.run(
        command(tmp_path, source, "--workers", "0"),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "3 of 3 runs are done, 1 were there before" in again.stdout
    times = [flag.read_text().split().count(str(n)) for n in range(3)]
    assert times == [1, 2, 1]


def test_an_interrupt_says_what_is_kept(tmp_path):
    source = save(tmp_path / "wait.ipynb", PARAMETERS, "import time\ntime.sleep(30 if n else 0)")
    # What is started in the background of a script ignores Ctrl-C, and so would its children.
    heeding = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from vcviz.cli import main; main(sys.argv[1:])"
    )
    python, _, _, *arguments = command(tmp_path, source)
    process = subprocess.Popen(
        [python, "-c", heeding, *arguments], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )

    def one_is_done():
        journal = read_journal(tmp_path / "s") if (tmp_path / "s" / "sweep.json").exists() else {}
        return any(entry["state"] == "done" for entry in journal.values())

    wait_for(one_is_done)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=180)
    assert process.returncode == 130
    lines = stderr.strip().splitlines()
    assert lines == ["vcviz: interrupted; 1 of 3 runs are done, the same command goes on"]


def test_two_sweeps_in_one_folder(tmp_path):
    with locked(tmp_path / "s"), pytest.raises(InputError, match="another sweep is running in"):
        sweep({"seed": [0]}, out=tmp_path / "s", progress=False)
    assert not (tmp_path / "s" / ".sweep.lock").exists()


def test_a_lock_that_was_waited_for_keeps_the_next_one_out(tmp_path):
    # It is removed while it is held: otherwise the next two would have a lock each.
    path, order = tmp_path / "lock", []

    def hold(name):
        with held(path, busy=name):
            order.append(name)
            time.sleep(0.1)
            order.append(name)

    threads = [threading.Thread(target=hold, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order[::2] == order[1::2]
    assert not path.exists()


@pytest.mark.parametrize("cut", ["weights.safetensors", "config.json"])
def test_a_run_cut_in_half_is_reported_and_left_alone(tmp_path, cut):
    fixed = {"epochs": 1, "n_train": 100}
    first = sweep({"seed": [0]}, fixed=fixed, out=tmp_path / "s", workers=0, progress=False)
    path = tmp_path / "s" / first.runs[0]["name"] / cut
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    second = sweep({"seed": [0]}, fixed=fixed, out=tmp_path / "s", workers=0, progress=False)
    assert states(second) == ["failed"]
    assert cut in second.failures[0]["reason"]
    assert path.read_bytes() == content[: len(content) // 2]


def test_a_notebook_cut_in_half_is_run_again(tmp_path):
    source = save(tmp_path / "n.ipynb", PARAMETERS, "n")
    options = {"notebook": str(source), "out": tmp_path / "s", "workers": 0, "progress": False}
    first = sweep({"n": [3]}, **options)
    path = tmp_path / "s" / first.runs[0]["name"] / "n.ipynb"
    path.write_bytes(path.read_bytes()[:100])
    second = sweep({"n": [3]}, **options)
    assert second.ok
    assert second.repeated == 1


def test_a_full_disk_is_said_and_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        fixed = {"n_train": 100, "epochs": 1}
        fits = sweep({"seed": [0]}, fixed=fixed, out=disk / "s", workers=0, progress=False)
        assert fits.ok
        (disk / "ballast").write_bytes(b"x" * max(shutil.disk_usage(disk).free - 40_000, 0))
        full = sweep({"seed": [0, 1]}, fixed=fixed, out=disk / "s", workers=0, progress=False)
        assert states(full) == ["done", "failed"]
        assert re.search(r"No space left on device.*free some space", full.failures[0]["reason"])
        (disk / "ballast").unlink()
        again = sweep({"seed": [0, 1]}, fixed=fixed, out=disk / "s", workers=0, progress=False)
        assert again.ok
        assert again.repeated == 1
        assert len(vcviz.list_runs(disk / "s")) == 2
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# ---------------------------------------------------------------- a cluster that is there


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and a worker, started by their own commands on the loopback interface."""
    address = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    processes = [
        subprocess.Popen(
            [*dask, "scheduler", "--port", "0", *local, "--scheduler-file", str(address)],
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )
    ]
    wait_for(address.exists)
    worker = [*dask, "worker", "--scheduler-file", str(address)]
    processes.append(
        subprocess.Popen(
            [*worker, "--nthreads", "1", "--no-nanny", *local],
            stderr=subprocess.DEVNULL,
            env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    )
    import json

    yield json.loads(address.read_text())["address"], processes
    for process in processes[::-1]:
        process.kill()  # a worker would first look for its scheduler for a while
        process.wait()


def test_a_sweep_on_a_cluster_and_the_loss_of_its_scheduler(tmp_path, cluster, monkeypatch):
    address, (scheduler, _) = cluster
    assert address.startswith("tcp://127.0.0.1:")
    source = save(
        tmp_path / "n.ipynb",
        PARAMETERS,
        "import pathlib, time\nif n == 1:\n    pathlib.Path(flag).touch()\n    time.sleep(20)",
    )
    options = {"notebook": str(source), "out": tmp_path / "s", "progress": False}
    fixed = {"flag": str(tmp_path / "flag")}
    there = sweep({"n": [0]}, fixed=fixed, scheduler=address, **options)
    assert there.ok

    def kill():
        wait_for(Path(fixed["flag"]).exists)
        scheduler.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(
        SweepError, match="scheduler was lost; 1 of 2 runs are done, the same command goes on"
    ):
        sweep({"n": [0, 1]}, fixed=fixed, scheduler=address, **options)
    killer.join()
    monkeypatch.setattr("vcviz.studies.sweeps.cluster._CONNECT_TIMEOUT", 1)
    with pytest.raises(MissingError, match="no Dask scheduler answers at"):
        sweep({"n": [0, 1]}, fixed=fixed, scheduler=address, **options)
