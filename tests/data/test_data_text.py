"""Token ids of hashed n-grams, checked against scikit-learn's own hashing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import murmurhash3_32

from vcviz.base.errors import InputError
from vcviz.data import apply_preprocessing, encode_texts
from vcviz.data.text import hash_ngrams

TEXTS = ["The cat sat on the mat", "I  am a CAT!", "", "naïve café, naïve"]


def _id(ngram: str, n_tokens: int) -> int:
    return 1 + murmurhash3_32(ngram, positive=True) % (n_tokens - 1)


def test_ids_are_hashes_of_words_then_pairs():
    ids = encode_texts(TEXTS, n_tokens=1000, ngrams=(1, 2), max_length=12)
    assert ids.shape == (4, 12)
    assert ids.dtype == np.int32
    expected = [_id(g, 1000) for g in ("i", "am", "a", "cat", "i am", "am a", "a cat")]
    assert ids[1].tolist() == expected + [0] * 5
    assert ids[2].tolist() == [0] * 12
    assert ids[0, 0] == ids[0, 4] == _id("the", 1000)


def test_as_many_tokens_as_count_vectorizer_counts():
    counts = CountVectorizer(ngram_range=(1, 3), token_pattern=r"(?u)\b\w+\b").fit_transform(TEXTS)
    lengths = [len(row) for row in hash_ngrams(TEXTS, ngrams=(1, 3))]
    assert lengths == counts.sum(1).A1.tolist()


@pytest.mark.parametrize("n_tokens", [2, 3, 2**16])
def test_ids_are_never_padding_nor_too_large(n_tokens):
    ids = np.concatenate(hash_ngrams(TEXTS, n_tokens=n_tokens))
    assert ids.min() >= 1
    assert ids.max() < n_tokens


def test_the_usual_length_is_the_99th_percentile():
    texts = ["a " * k for k in range(1, 101)]
    assert encode_texts(texts, ngrams=(1, 1)).shape == (100, 100)
    assert encode_texts(texts + ["a"] * 9900, ngrams=(1, 1)).shape[1] == 1
    assert encode_texts(["a " * 500], ngrams=[1, 1]).shape == (1, 256)
    assert encode_texts([], ngrams=(1, 1)).shape == (0, 1)


def test_long_texts_lose_their_pairs_first():
    short = encode_texts(TEXTS[:1], ngrams=(1, 2), max_length=6)
    assert np.array_equal(short, encode_texts(TEXTS[:1], ngrams=(1, 1), max_length=6))


def test_new_texts_follow_the_split():
    preprocessing = {"kind": "text", "n_tokens": 99, "ngrams": [1, 2], "max_length": 5}
    expected = encode_texts(TEXTS, n_tokens=99, ngrams=(1, 2), max_length=5)
    assert np.array_equal(apply_preprocessing(preprocessing, TEXTS), expected)


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ("a single text", {}, "list of strings, got the single string"),
        (["a", None], {}, "text 1 must be a string, got None"),
        (["a"], {"n_tokens": 1}, "n_tokens must be a whole number of at least 2"),
        (["a"], {"ngrams": (2, 1)}, "shortest and the longest"),
        (["a"], {"ngrams": 2}, "shortest and the longest"),
        (["a"], {"ngrams": [0, 1]}, "shortest and the longest"),
        (["a"], {"max_length": 0}, "max_length must be a whole number"),
    ],
)
def test_bad_options(texts, options, message):
    with pytest.raises(InputError, match=message):
        encode_texts(texts, **options)
