"""Where a sweep's runs are done: within this process, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vcviz.base.errors import InputError, MissingError, SweepError
from vcviz.base.options import check_count, check_number
from vcviz.headless.lab.origins import is_local_address
from vcviz.studies.sweeps.tasks import Task, failed, run_task

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_TIMEOUT = 20
# Every library that starts threads of its own, so that workers do not fight over the cores.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True)
class Workers:
    """Who does the runs of a sweep: options of `vcviz.sweep`, checked.

    Attributes
    ----------
    number : of processes on this machine, which listen on the loopback interface only; None for
        as many as the cores hold, 0 for one run at a time within this process
    threads : CPU threads of each
    scheduler : address of a Dask scheduler such as "tcp://host:8786", instead of processes here
    retries : how often a run that failed, or whose worker died, is tried again
    timeout : longest time for a cell of a notebook, seconds
    """

    number: int | None = None
    threads: int = 1
    scheduler: str | None = None
    retries: int = 0
    timeout: float | None = None

    def __post_init__(self) -> None:
        check_count("retries", self.retries, minimum=0)
        check_count("threads", self.threads)
        if self.number is not None:
            check_count("workers", self.number, minimum=0)
        if self.timeout is not None:
            check_number("timeout", self.timeout, above=0)
        if self.scheduler is not None and self.number is not None:
            raise InputError("workers= is for a cluster of our own; leave it or scheduler= out")


class Pool(Protocol):
    """Takes tasks, also while it is iterated over, and gives them back with outcomes."""

    #: lines that say what there is to know of it before it starts
    notes: Sequence[str]

    def submit(self, task: Task, attempt: int) -> None:
        """Add a task."""

    def __iter__(self) -> Iterator[tuple[Task, dict[str, Any]]]:
        """Yield tasks with their outcomes (see `run_task`) as they end, until none is left."""


class Here:
    """Does one task after another within this process."""

    notes: Sequence[str] = ()

    def __init__(self, threads: int, timeout: float | None) -> None:
        self.threads, self.timeout = threads, timeout
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task, attempt: int) -> None:
        """Add a task; it runs when its turn comes."""
        self._waiting.append(task)

    def __iter__(self) -> Iterator[tuple[Task, dict[str, Any]]]:
        """Yield tasks with their outcomes."""
        while self._waiting:
            task = self._waiting.popleft()
            yield task, run_task(task, self.threads, self.timeout)


class Cluster:
    """Gives tasks to the workers of a Dask client."""

    def __init__(self, client: Client, threads: int, timeout: float | None) -> None:
        from distributed import as_completed

        self.client, self.threads, self.timeout = client, threads, timeout
        self.notes: Sequence[str] = _notes(client)
        self._tasks: dict[Future, Task] = {}
        self._ended = as_completed(raise_errors=False)

    def submit(self, task: Task, attempt: int) -> None:
        """Add a task; each attempt has a key of its own, or Dask would answer with the first."""
        key = f"{task.name}-try{attempt}"
        future = self.client.submit(run_task, task, self.threads, self.timeout, key=key, pure=False)
        self._tasks[future] = task
        self._ended.add(future)

    def __iter__(self) -> Iterator[tuple[Task, dict[str, Any]]]:
        """Yield tasks with their outcomes.

        Raises
        ------
        SweepError
            If the scheduler is lost.
        """
        for future in self._ended:
            task = self._tasks.pop(future)
            if future.status == "finished":
                yield task, future.result()
            elif future.status == "error":
                yield task, _error(future.exception())
            else:
                raise SweepError("the Dask scheduler was lost")


def _notes(client: Client) -> list[str]:
    info = client.scheduler_info()
    notes = []
    if "dashboard" in info["services"]:
        notes.append(f"dashboard: {client.dashboard_link}")
    if not info["workers"]:
        address = info["address"]
        notes.append(f"{address} has no workers yet; start some: dask worker {address}")
    return notes


def _error(error: BaseException | None) -> dict[str, Any]:
    if type(error).__name__ == "KilledWorker":
        # Final, because the scheduler has tried again itself.
        return failed("the worker died; it may have been killed for its memory", final=True)
    return failed(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def open_pool(workers: Workers) -> Iterator[Pool]:
    """Give a pool that lives as long as the block.

    Raises
    ------
    MissingError
        If no scheduler answers at the address.
    """
    threads, timeout = workers.threads, workers.timeout
    if workers.number == 0:
        yield Here(threads, timeout)
        return
    with _client(workers) as client:
        yield Cluster(client, threads, timeout)


@contextlib.contextmanager
def _client(workers: Workers) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    scheduler, threads = workers.scheduler, workers.threads
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    encrypted = scheduler is None or scheduler.startswith(("tls://", "wss://"))
    if scheduler is not None and not encrypted and not is_local_address(scheduler):
        print(
            f"the scheduler at {scheduler} is not on this machine, and nothing between is "
            "encrypted: it and its workers run what they are sent; use tls:// where others "
            "reach that network",
            file=sys.stderr,
        )
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_CONNECT_TIMEOUT)
        except (OSError, TimeoutError, ValueError) as error:
            reason = str(error).splitlines()[0] or type(error).__name__
            raise MissingError(f"no Dask scheduler answers at {scheduler}: {reason}") from None
        with client:
            yield client
        return
    settings = {
        # A run whose worker died is blamed alone: nothing else waits at the worker.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.allowed-failures": workers.retries,
        "distributed.nanny.pre-spawn-environ": {name: str(threads) for name in _THREAD_VARIABLES},
        # A run may take any time, and hold the interpreter for a while.
        "distributed.scheduler.worker-ttl": None,
        "distributed.admin.tick.limit": "1h",
    }
    with (
        script_apart(),
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers.number or default_workers(threads),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            memory_limit=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def script_apart() -> Iterator[None]:
    """Keep workers from running a script again that does not ask who runs it.

    A process that is spawned imports the script that spawned it, for what tasks may need of it.
    Ours need nothing; only a script with ``if __name__ == "__main__"`` is left to be imported.
    """
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or _is_guarded(path):
        yield
        return
    spec, main.__spec__ = main.__spec__, None
    del main.__file__
    try:
        yield
    finally:
        main.__file__, main.__spec__ = path, spec


def _is_guarded(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return re.search(rb"__name__\s*==\s*[\"']__main__[\"']", file.read()) is not None
    except OSError:
        return False


def default_workers(threads: int) -> int:
    """Return how many workers of so many threads the cores hold that this process may use."""
    from dask.system import CPU_COUNT

    return max(1, CPU_COUNT // threads)
