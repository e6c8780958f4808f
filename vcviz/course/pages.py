"""A check on an exported page: a form that judges answers without a kernel, and hides them."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from IPython.display import Markdown

from vcviz.course.answer_field import EXAMPLES
from vcviz.course.answers import Check, Key, normal, reach, value_text

#: what a guess costs: some milliseconds
_ROUNDS = 10_000


def check_form(question: str, key: Key) -> str:
    """Return HTML that asks a question; on paper it is room for an answer.

    Parameters
    ----------
    question : its number
    key : what is right; a form for one with `accepts` checks nothing
    """
    name = f"Answer to {question}"
    room = f"<p class='room'>{name}</p>"
    if key.accepts:
        return f"{room}<p class='widget-note'>The notebook checks {question}.</p>"
    data = html.escape(json.dumps(sealed(question, key), ensure_ascii=False, separators=(",", ":")))
    return (
        f"<form class='check' data-question='{question}' data-check=\"{data}\">"
        f"<label>{name} <input type='text' autocomplete='off' spellcheck='false' "
        f"placeholder='{EXAMPLES}'></label> <button type='submit'>Check</button>"
        f"<output role='status'></output>{room}</form>"
    )


def for_lecturers(question: str, check: Check, key: Key) -> Markdown:
    """Return the answer to a question with its derivation, and the mistakes that are known."""
    points = f"{check.points} point{'s' * (check.points != 1)}"
    mistakes = [
        f"* {_plain(value_text(wrong))}: {_plain(hint)}" for hint, wrong in key.mistakes.items()
    ]
    truth = f"**{_plain(value_text(key.truth))}** {_plain(key.unit)}"
    lines = [
        f"**Answer to {question}** ({points}): {truth}",
        f"`{check.solution}`",
        _plain(key.why),
        check.derivation,
        "\n".join(["Likely mistakes:\n", *mistakes] if mistakes else []),
    ]
    return Markdown("\n\n".join(filter(None, lines)))


def _plain(text: str) -> str:
    """Return text that Markdown leaves as it is."""
    return re.sub(r"([\\*_`$<&\[\]~])", r"\\\1", text)


def sealed(question: str, key: Key) -> dict[str, Any]:
    """Return what a page needs to judge answers, without any of them in clear.

    What is said of an answer is enciphered by the answer itself. A number is rounded to a grid that
    is a little finer than the tolerance; each number of the grid that counts as the answer opens
    what is said, through a hash of 10,000 rounds. With several numbers each opens a share, and
    only all of them together what is said. This deters; who tries all numbers finds the answer.

    Returns
    -------
    dict
        ``salt``, ``rounds``, ``unit``, ``hint`` (for any other answer), ``size`` (of the answer:
        -1 for words, 0 for one number, otherwise how many) and ``targets``, the right answer and
        the mistakes: ``grid`` (the power of 2 that numbers are rounded to), ``shares`` (for each
        number: tag -> share) and ``said``.
    """
    truth = None if key.words else np.asarray(key.truth, dtype=float)
    salt = _digest(f"{question} {key.why}".encode())[:12]
    right = (key.truth, *key.spellings) if key.words else key.truth
    answers = [(f"✓{key.why}", right), *((f"✗{h}", wrong) for h, wrong in key.all_mistakes.items())]
    targets = []
    for said, value in answers:
        if truth is None:
            grid, opening = 0, [_words(value)]
        else:
            numbers = np.asarray(value, dtype=float)
            if numbers.shape != truth.shape:
                continue
            far = reach(numbers, truth, key.tolerance)
            grid = round(np.log2(far / 4))
            opening = [
                [f"{i}:{n}" for n in range(*_grid(number - far, number + far, 2.0**grid))]
                for i, number in enumerate(numbers.ravel())
            ]
        secret = _digest(salt, said.encode())
        parts = [_digest(secret, bytes([i])) for i in range(len(opening) - 1)]
        parts.append(_xor(secret, *parts))
        shares = [
            {
                h[:4].hex(): _xor(_digest(h), part).hex()
                for h in (_hash(t, grid, salt) for t in texts)
            }
            for texts, part in zip(opening, parts, strict=True)
        ]
        text = said.encode()
        hidden = base64.b64encode(_xor(text, _stream(secret, len(text)))).decode()
        targets.append({"grid": grid, "shares": shares, "said": hidden})
    size = -1 if truth is None else truth.size if truth.ndim else 0
    return {
        "salt": salt.hex(),
        "rounds": _ROUNDS,
        "unit": key.unit,
        "hint": key.hint,
        "size": size,
        "targets": targets,
    }


def _words(value: str | Sequence[str]) -> list[str]:
    return sorted({normal(word) for word in ([value] if isinstance(value, str) else value)})


def _grid(low: float, high: float, step: float) -> tuple[int, int]:
    return int(np.ceil(low / step)), int(np.floor(high / step)) + 1


def _hash(text: str, grid: int, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", f"{grid}:{text}".encode(), salt, _ROUNDS)


def _stream(secret: bytes, length: int) -> bytes:
    return b"".join(_digest(secret, b"said%d" % i) for i in range(-(-length // 32)))[:length]


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _xor(first: bytes, *others: bytes) -> bytes:
    for other in others:
        first = bytes(a ^ b for a, b in zip(first, other, strict=True))
    return first
