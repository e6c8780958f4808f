"""The attacks, by name. Adding one: a file here and a line in `ATTACKS`."""

from __future__ import annotations

from vcviz.attacks.methods.apgd import APGD
from vcviz.attacks.methods.hooks import Attack
from vcviz.attacks.methods.mi_fgsm import MIFGSM
from vcviz.attacks.methods.pgd import FGSM, PGD

ATTACKS: dict[str, type[Attack]] = {
    "pgd": PGD,
    "fgsm": FGSM,
    "apgd": APGD,
    "mi_fgsm": MIFGSM,
}

__all__ = ["ATTACKS", "Attack"]
