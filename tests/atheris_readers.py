"""The readers under atheris, a coverage-guided fuzzer: ``python tests/atheris_readers.py NAME``.

NAME is a reader of `test_fuzz_readers.readers`, or a file of a run, like ``history.jsonl``. Options
of libFuzzer follow: ``-max_total_time=600``. It needs ``pip install atheris`` and is no test: what
it finds becomes a line of `FOUND` there.
"""

from __future__ import annotations

import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris
import fuzz

sys.path.append(str(Path(__file__).parent / "data"))
with atheris.instrument_imports(include=["vcviz"]):
    import test_fuzz_readers as readers

    import vcviz

name, *options = sys.argv[1:]
work = Path(tempfile.mkdtemp())
known = readers.readers(work)
if name in known:
    use, seeds = known[name]
else:
    folder = vcviz.train(head="gaussian_mixture", out=work, **readers.SETTINGS).path
    use = readers.writing(folder / name, lambda: readers.use_run(folder))
    seeds = [(folder / name).read_bytes()]
corpus = work / "corpus"
corpus.mkdir()
for k, seed in enumerate(seeds):
    (corpus / str(k)).write_bytes(seed)


def try_one(data: bytes) -> None:
    """Read what the fuzzer made up."""
    fuzz.refused(use, data)


def change(data: bytes, longest: int, seed: int) -> bytes:
    """Change bytes as libFuzzer does, or a value of the JSON, by turns."""
    if seed % 2:
        return atheris.Mutate(data, longest)
    return fuzz.changed(data, random.Random(seed))[:longest]


warnings.simplefilter("error")
warnings.simplefilter("ignore", vcviz.base.errors.RunWarning)
atheris.Setup([sys.argv[0], str(corpus), *options], try_one, custom_mutator=change)
atheris.Fuzz()
