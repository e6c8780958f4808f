"""What a card does, in one run of at most eight minutes: ``python -m benchmarks.gpu``.

Needs no network: all data are made here. The results go, with the card's name, into ``gpu.json``
beside this file, and from there into a section of RESULTS.md. ``--device cpu --small`` runs the
same in seconds on anything, which a test does, so that it cannot rot.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

import vcviz
from benchmarks.pairs import line
from vcviz.runs.config import RunConfig
from vcviz.training.jobs import Job
from vcviz.training.loop import Trainer

HERE = Path(__file__).parent
#: seconds; what has not begun by then is left out, and said to be
LIMIT = 440.0
BEGIN, END = "<!-- gpu: python -m benchmarks.gpu -->", "<!-- end of gpu -->"
BATCH = 200
#: accuracy that Bayes' rule reaches on `pictures`
BEST = 5 / 6


@dataclass(frozen=True)
class Size:
    """How much of everything is done."""

    rows: int = 20_000
    rounds: int = 5
    models: int = 1_000
    alone: int = 4
    epochs: int = 8
    images: int = 50_000
    megabytes: int = 1_024


SMALL = Size(rows=200, rounds=1, models=3, alone=2, epochs=1, images=256, megabytes=4)


@dataclass(frozen=True)
class Row:
    """One measurement: `value` in `unit`, and how many times what it is held against."""

    part: str
    work: str
    value: float | None
    unit: str
    against: str = ""
    ratio: float | None = None


Part = Callable[[torch.device, Size, Path], Iterator[Row]]


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of a work until the device has done it."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turn(
    ours: Callable[[], object], other: Callable[[], object], device: torch.device, rounds: int
) -> tuple[float, float]:
    """Return median seconds of ours and median ratio to the other; the first is not counted."""
    pairs = [(seconds(ours, device), seconds(other, device)) for _ in range(rounds + 1)][1:]
    return statistics.median(a for a, _ in pairs), statistics.median(a / b for a, b in pairs)


def pictures(n: int, side: int, channels: int, seed: int = 0) -> vcviz.Split:
    """Return images of ten classes: a pattern each, shifted, under noise.

    A share of each image, up to 0.6 of it, is another class's pattern: one image in six shows more
    of that than of its own, so that no classifier can be right more often than `BEST`.
    """
    patterns = np.random.default_rng(0).normal(size=(10, channels, 8, 8)).repeat(side // 7 + 1, 2)
    patterns = patterns.repeat(side // 7 + 1, 3)[:, :, : side + 8, : side + 8]
    rng = np.random.default_rng(seed + 1)
    y, shift = rng.integers(0, 10, n), rng.integers(0, 9, (n, 2))
    other, own = (y + rng.integers(1, 10, n)) % 10, rng.uniform(0.4, 1, n)
    x: NDArray[np.float32] = rng.normal(scale=1.5, size=(n, channels, side, side)).astype("f4")
    for k, (top, left) in enumerate(shift):
        mixed = own[k] * patterns[y[k]] + (1 - own[k]) * patterns[other[k]]
        x[k] += mixed[:, top : top + side, left : left + side]
    return vcviz.Split(np.clip(128 + 32 * x, 0, 255).astype(np.uint8), y, name="pictures")


def trainer(
    root: Path, splits: tuple[vcviz.Split, vcviz.Split], device: torch.device, **settings: Any
) -> Trainer:
    """Return what trains on splits, in a folder of its own."""
    settings = {"dataset": "custom", "device": str(device), "batch_size": BATCH} | settings
    job = Job(RunConfig(**settings), Path(tempfile.mkdtemp(dir=root)), "run", splits)
    return job.trainer(job.model(), device)


def gpu_tests(device: torch.device, size: Size, root: Path) -> Iterator[Row]:
    """Run the tests that are marked `gpu`."""
    if device.type != "cuda":
        yield Row("tests", "tests marked gpu", None, "not run: no CUDA device")
        return
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-m", "gpu", str(HERE.parent)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    yield Row("tests", "tests marked gpu", done.returncode, done.stdout.strip().splitlines()[-1])


def bare_epoch(like: Trainer, precision: str) -> Callable[[], None]:
    """Return an epoch of softmax as one writes it by hand: same model, data and optimiser."""
    model, x, y = like.model, like.x, like.y
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
    dtype = getattr(torch, precision)
    # By hand one writes no context where all is float32.
    lower = partial(torch.autocast, y.device.type, dtype=dtype)
    context = nullcontext if dtype == torch.float32 else lower

    def epoch() -> None:
        model.train()
        for rows in torch.randperm(len(y), device=y.device).split(BATCH):
            with context():
                z = model.encoder(x[rows].float() / 255)
            loss = F.cross_entropy(model.head.logits(z.float()), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return epoch


def heads(device: torch.device, size: Size, root: Path) -> Iterator[Row]:
    """Time an epoch of each head against the bare loop of softmax, in every way to compute it."""
    splits = pictures(size.rows, 28, 1), pictures(200, 28, 1, seed=1)
    steps = -(-size.rows // BATCH)
    # CUDA graphs come with the compiler's mode "reduce-overhead".
    ways = {"as it is": None, "compiled": "default", "compiled, CUDA graphs": "reduce-overhead"}
    for precision in ("float32", "bfloat16"):
        plain = bare_epoch(trainer(root, splits, device, encoder="cnn", head="softmax"), precision)
        for how, mode in ways.items() if device.type == "cuda" else [("as it is", None)]:
            for head in vcviz.HEADS:
                ours = trainer(root, splits, device, encoder="cnn", head=head, precision=precision)
                if mode is not None:
                    ours.model.encoder.compile(mode=mode)
                spent, ratio = in_turn(lambda o=ours: o._epoch(1), plain, device, size.rounds)
                what = f"{head}, {precision}, {how}"
                yield Row("step", what, 1e3 * spent / steps, "ms")
                yield Row("epoch", what, spent, "s", "bare softmax loop", ratio)


def resnet(device: torch.device, size: Size, root: Path) -> Iterator[Row]:
    """Train a ResNet-20 to its accuracy on images of CIFAR's size."""
    splits = pictures(5 * size.rows // 2, 32, 3), pictures(size.rows // 4, 32, 3, seed=1)
    start = time.perf_counter()
    run = vcviz.train(
        splits=splits, encoder="resnet20", head="softmax", latent_dim=64, epochs=size.epochs,
        batch_size=128, optimizer="sgd", lr=0.1, schedule="cosine", augment="crop",
        precision="bfloat16", device=str(device), out=root / "resnet", progress=False,
    )  # fmt: skip
    what = f"ResNet-20, {len(splits[0]):,} images, {size.epochs} epochs, bfloat16"
    yield Row("resnet", what, time.perf_counter() - start, "s")
    right = run.metrics["accuracy"]
    yield Row("resnet", what, 100 * right, "% accuracy", "the best there is", right / BEST)


def together(device: torch.device, size: Size, root: Path) -> Iterator[Row]:
    """Time many small models as one program of `torch.func`, against some of ours one by one.

    What stacking would gain on a card: on a CPU it gains too little to be kept, see NOTES.md.
    """
    splits = pictures(400, 8, 1), pictures(100, 8, 1, seed=1)
    options = {"encoder": "mlp", "encoder_options": {"hidden": [32]}, "probe_size": 50}
    few = [trainer(root, splits, device, seed=k, **options) for k in range(size.alone)]
    model, x, y = few[0].model, few[0].x, few[0].y
    stacked = {
        name: nn.Parameter(p.detach().expand(size.models, *p.shape).clone())
        for name, p in model.named_parameters()
    }
    optimizer = torch.optim.Adam(stacked.values(), lr=2e-3, fused=True)

    def loss(parameters: dict[str, Tensor], rows: Tensor) -> Tensor:
        return F.nll_loss(functional_call(model, parameters, (x[rows],)), y[rows])

    def many() -> None:
        model.train()
        for rows in torch.rand(size.models, len(y), device=device).argsort(1).split(BATCH, 1):
            # Summed over the models: the gradient of each is that of its own mean.
            total = vmap(loss)(stacked, rows).sum()
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            optimizer.step()

    spent, ratio = in_turn(many, lambda: [t._epoch(1) for t in few], device, size.rounds)
    what = f"an epoch of {size.models:,} MLPs of width 32 as one program"
    yield Row("together", what, spent, "s", "as many one by one", ratio * size.alone / size.models)


def extraction(device: torch.device, size: Size, root: Path) -> Iterator[Row]:
    """Time `extract_latents` against the bare forward pass, and against the card's bandwidth."""
    split = pictures(size.images, 32, 3)
    model = trainer(root, (split.take(np.arange(200)),) * 2, device, encoder="cnn").model.eval()
    x = torch.from_numpy(split.x.copy())

    @torch.no_grad()
    def bare() -> list[torch.Tensor]:
        return [model(rows.to(device)).cpu() for rows in x.split(1024)]

    spent, ratio = in_turn(
        lambda: vcviz.extract_latents(model, split, batch_size=1024, progress=False), bare,
        device, size.rounds,
    )  # fmt: skip
    what = f"extract_latents, {size.images:,} images 32 x 32"
    yield Row("extraction", what, spent, "s", "bare forward pass", ratio)
    host = torch.empty(size.megabytes << 20, dtype=torch.uint8)
    there = host.to(device)
    moved = statistics.median(seconds(lambda: there.clone(), device) for _ in range(size.rounds))
    sent = statistics.median(seconds(lambda: host.to(device, copy=True), device)
                             for _ in range(size.rounds))  # fmt: skip
    gigabytes = size.megabytes / 1024
    yield Row("extraction", "memory of the device, read and written", 2 * gigabytes / moved, "GB/s")
    yield Row("extraction", "from the host", gigabytes / sent, "GB/s")
    taken = x.numel() / 2**30 / spent
    yield Row("extraction", "images read by extract_latents", taken, "GB/s", "from the host",
              taken * sent / gigabytes)  # fmt: skip


PARTS: tuple[Part, ...] = (gpu_tests, heads, resnet, together, extraction)


def measured(device: torch.device, size: Size, limit: float = LIMIT) -> dict[str, Any]:
    """Return all rows with the card's name; what the limit left out is a row without a value."""
    start, rows = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as root:
        for part in PARTS:
            if time.perf_counter() - start > limit:
                rows.append(Row(part.__name__, "the whole part", None, f"left out after {limit} s"))
                continue
            # The heads take longest, and leave a third of the time to what comes after them.
            until = start + limit * (2 / 3 if part is heads else 1)
            for row in part(device, size, Path(root)):
                print(json.dumps(asdict(row)), flush=True)
                rows.append(row)
                if part is heads and time.perf_counter() > until:
                    rows.append(Row("epoch", "the ways that follow", None, "left out: no time"))
                    break
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "card": name, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.perf_counter() - start, 1), "rows": [asdict(row) for row in rows],
    }  # fmt: skip


def section(results: list[dict[str, Any]]) -> str:
    """Return the section of RESULTS.md, made of the JSON alone."""
    text = [BEGIN, "## On a card", ""]
    for found in results:
        told = f"torch {found['torch']}, {found['date']}, {found['seconds']:g} s in all."
        text += [f"### {found['card']}", "", told, "", line(["work", "", "against", "times it"])]
        text.append("|---|---|---|---|")
        for row in found["rows"]:
            value = "" if row["value"] is None else f"{row['value']:.4g} "
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
            cells = [f"{row['part']}: {row['work']}", value + row["unit"], row["against"], ratio]
            text.append(line(cells))
        text.append("")
    return "\n".join([*text, END])


def kept(found: dict[str, Any], folder: Path) -> None:
    """Write results into ``gpu.json``, in place of older ones of that card, and RESULTS.md."""
    path, page = folder / "gpu.json", folder / "RESULTS.md"
    before = json.loads(path.read_text()) if path.exists() else []
    results = [*(r for r in before if r["card"] != found["card"]), found]
    path.write_text(json.dumps(results, indent=1) + "\n")
    text = page.read_text() if page.exists() else ""
    head, _, rest = text.partition(BEGIN)
    page.write_text(f"{head.rstrip()}\n\n{section(results)}\n{rest.partition(END)[2].lstrip()}")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser("benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="in seconds: whether it runs at all")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of gpu.json and RESULTS.md")
    given = parser.parse_args(arguments)
    if given.small and given.out == HERE:
        parser.error("--small measures nothing worth keeping; give another --out")
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device here; --device cpu --small --out FOLDER shows that it runs")
    kept(measured(device, SMALL if given.small else Size()), given.out)


if __name__ == "__main__":
    main()
