"""TeX in a notebook's text as MathML, which browsers draw without any script or font of ours."""

from __future__ import annotations

import html
import re


def to_mathml(tex: str, *, block: bool = False) -> str:
    """Return a ``<math>`` element for TeX; the TeX itself in ``<code>`` if it cannot be converted.

    Parameters
    ----------
    tex : without its delimiters
    block : a formula on its own line instead of one within text
    """
    from latex2mathml.converter import convert

    # The converter knows the starred and split forms only.
    source = re.sub(r"\\(begin|end)\{(?:aligned|align|equation|gather)\*?\}", r"\\\1{split}", tex)
    source = source.replace(r"\arg\max", r"\argmax").replace(r"\arg\min", r"\argmin")
    # As in TeX, a thin space between the name of a function and what is beside it.
    source = re.sub(r"(?<=[\w})])\s*(?=\\(?:log|exp|det)\b)", r"\\, ", source)
    source = re.sub(r"(\\(?:log|exp|det))\b\s*(?=[A-Za-z\\])(?!\\big)", r"\1\\, ", source)
    try:
        mathml = convert(source.strip(), display="block" if block else "inline")
    except Exception:  # it raises many kinds for TeX that it does not know
        mathml = "\\"
    # What it does not know it copies: a backslash, or an alignment mark that is no entity.
    if "\\" in mathml or re.search(r"&(?!#?\w+;)", mathml):
        code = f"<code>{html.escape(tex.strip())}</code>"
        return f"<p>{code}</p>" if block else code
    return mathml
