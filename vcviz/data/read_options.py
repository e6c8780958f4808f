"""How data of ``hub:`` and ``path:`` are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vcviz.base.errors import InputError, clip


@dataclass(frozen=True)
class ReadOptions:
    """How data of ``hub:`` and ``path:`` are read.

    Attributes
    ----------
    config, revision : configuration and version of a dataset that has several
    train_split, test_split : names of the splits to use
    max_rows : keep at most this many rows of each split, stratified, before anything is decoded
    header : of CSV files: whether the first row names the columns, or their names where no row
        does; without names they are called "0", "1", …
    separator : of CSV files; default the one of ``, ; | tab`` that rows have most of
    image, text, columns : the input; default as recognised: the one column of images, or of
        text, or all numbers and strings but an ``index`` or ``id``. Several text columns are
        joined by a line break; numbers of a table are standardised and its strings one-hot, both
        by the train split
    label, labels : the main and the further label columns; default the ClassLabel or a column of
        a usual name, and every other column that looks like a label
    label_probs : column of lists of C numbers: each row's distribution over the classes (counts
        of votes are normalised)
    extra_labels : further sources (``path:`` or ``hub:``) whose label columns belong to the same
        rows, matched by their ``index`` column if both have one, else in order
    image_size : height and width to stretch images to
    n_tokens, ngrams, max_length : see `encode_texts`; the length is fitted to the train split
    """

    config: str | None = None
    revision: str | None = None
    train_split: str | None = None
    test_split: str | None = None
    max_rows: int | None = None
    header: bool | Sequence[str] = True
    separator: str | None = None
    image: str | None = None
    text: str | Sequence[str] | None = None
    columns: Sequence[str] | None = None
    label: str | None = None
    labels: Sequence[str] | None = None
    label_probs: str | None = None
    extra_labels: str | Sequence[str] | None = None
    image_size: int | Sequence[int] | None = None
    n_tokens: int = 2**16
    ngrams: Sequence[int] = (1, 1)
    max_length: int | None = None

    def __post_init__(self) -> None:
        names = not isinstance(self.header, bool)
        if names and (
            not isinstance(self.header, (list, tuple))
            or not all(isinstance(name, str) for name in self.header)
            or len(set(self.header)) < max(1, len(self.header))
        ):
            raise InputError(
                f"header must be true, false or the names of the columns, got {clip(self.header)}"
            )
        if self.separator is not None and not (isinstance(self.separator, str) and self.separator):
            raise InputError(f"separator must be text like ';', got {clip(self.separator)}")

    @property
    def of_csv(self) -> bool:
        """Whether something is said that CSV files alone have."""
        return self.header is not True or self.separator is not None


PLAIN = ReadOptions()
