"""The VC loss with a network a class, against one copy of the weights for each row.

``python -m benchmarks.critics ours`` (or ``gathered``) runs it once in this process and prints
how many bytes it took at most beyond the model.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.pairs import Pair, pair
from vcviz.models.heads import build_head
from vcviz.models.heads.critics import Critic, TanhCritics

CLASSES, DIM, BATCH, WIDTH = 200, 2048, 256, 512
#: MB of the gradient of all matrices, which every form must hold
GRADIENT = 4 * CLASSES * DIM * WIDTH / 1e6


class Gathered(TanhCritics):
    """The same critic, with the matrix of each row's class gathered, and autograd's gradients."""

    terms = Critic.terms

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.value_and_slope(z, y)[0]

    def value_and_slope(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        matrices, weight = self.hidden_weight[y], self.weight[y]
        hidden = torch.bmm(matrices, z[:, :, None]).squeeze(2)
        hidden = (hidden + self.hidden_bias[y]).tanh()
        slope = torch.bmm((weight * (1 - hidden.square()))[:, None], matrices).squeeze(1)
        return (weight * hidden).sum(1) + self.bias[y], slope


def step(kind: str, penalty: float) -> Callable[[], None]:
    """Return the loss and the critic's loss with their gradients, of ours or `Gathered`."""
    torch.manual_seed(0)
    head = build_head(
        "variational", latent_dim=DIM, n_classes=CLASSES, critic="per_class", critic_layers=2,
        critic_width=WIDTH, critic_penalty=penalty,
    )  # fmt: skip
    if kind == "gathered":
        head.critic.__class__ = Gathered
    z = torch.randn(BATCH, DIM, requires_grad=True)
    y = torch.randint(CLASSES, (BATCH,))

    def run() -> None:
        head.zero_grad(set_to_none=True)
        z.grad = None
        head.loss(z, y).total.backward()
        head.critic_terms(z.detach(), y).backward()

    return run


def pairs() -> Iterator[Pair]:
    """Yield every comparison."""
    work = f"VC loss, critic and prior step, C = {CLASSES}, D = {DIM}, B = {BATCH}"
    against = "gathering each row's weights"
    for note, penalty in (("", 0.0), (", slope penalty", 1.0)):
        ours, gathered = step("ours", penalty), step("gathered", penalty)
        yield pair(work + note, ours, against, gathered, rounds=3, goal=5)
        del ours, gathered
        peaks = [[_peak(kind, penalty) for _ in range(2)] for kind in ("ours", "gathered")]
        beside = [[peak - GRADIENT for peak in of] for of in peaks]
        for what, (one, other), goal in (("", peaks, None), (" beside the gradient", beside, 10)):
            yield Pair(
                f"memory of the same{what}{note}", against, tuple(one), tuple(other), goal, "MB"
            )  # fmt: skip


def _peak(kind: str, penalty: float) -> float:
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.critics", kind, str(penalty)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(told.stdout) / 1e6


def peak_of(call: Callable[[], object]) -> int:
    """Return how many bytes of memory a call took at most beyond what was there (Linux)."""
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(peak_of(step(sys.argv[1], float(sys.argv[2]))))
