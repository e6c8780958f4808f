"""Strangers made of the data itself, and what runs say of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import vcviz
from vcviz.base.errors import InputError
from vcviz.data import (
    apply_preprocessing,
    encode_texts,
    hold_out_classes,
    load_data,
    load_strangers,
    make_strangers,
)
from vcviz.data.strangers import STRANGERS
from vcviz.latents import extract_latents
from vcviz.metrics.ood import METHODS, score
from vcviz.records import Split


class TestMaking:
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_images(self, image_split, dtype):
        x = image_split.x if dtype == np.uint8 else image_split.x.astype(dtype) / 255
        split = Split(x, image_split.y, image_split.class_names)
        made = {kind: make_strangers(split, kind, seed=1) for kind in STRANGERS}
        for kind, strange in made.items():
            assert strange.x.shape == x.shape
            assert strange.x.dtype == dtype
            assert strange.name == kind
            np.testing.assert_array_equal(strange.y, split.y)
        top = 255 if dtype == np.uint8 else 1
        np.testing.assert_allclose(made["inverted"].x.astype(float) + x, top, rtol=1e-6)
        np.testing.assert_array_equal(made["rotated"].x[0, 0, 0], x[0, 0, :, -1])
        assert made["noise"].x.mean() == pytest.approx(top / 2, rel=0.1)
        again = make_strangers(split, "noise", seed=1)
        np.testing.assert_array_equal(again.x, made["noise"].x)
        assert (make_strangers(split, "noise", seed=2).x != again.x).any()

    def test_noise_of_tables_and_texts_keeps_their_form(self, table_split, text_split):
        table = make_strangers(table_split, "noise").x
        assert (table >= table_split.x.min(0)).all()
        assert (table <= table_split.x.max(0)).all()
        text = make_strangers(text_split, "noise").x
        np.testing.assert_array_equal(text == 0, text_split.x == 0)
        assert set(np.unique(text)) <= set(np.unique(text_split.x))
        assert text.dtype == text_split.x.dtype

    def test_errors(self, image_split, table_split):
        with pytest.raises(InputError, match="unknown kind of strangers 'noize'; did you mean"):
            make_strangers(image_split, "noize")
        with pytest.raises(InputError, match="inverted strangers are made of images, 'rows' is"):
            make_strangers(table_split, "inverted")
        wide = Split(np.zeros((3, 1, 2, 4), np.uint8), [0, 1, 2])
        with pytest.raises(InputError, match=r"only square images can be turned, got \(2, 4\)"):
            make_strangers(wide, "rotated")


class TestLoading:
    def test_images_of_one_class_or_none(self, image_split, tmp_path):
        height, width = image_split.x.shape[2:]
        for source, place in (("one", "one/only"), ("flat", "flat")):
            (tmp_path / place).mkdir(parents=True)
            for k in range(5):
                Image.new("L", (20, 30), 10 * k).save(tmp_path / place / f"{k}.png")
            made = load_strangers(f"path:{tmp_path / source}", image_split)
            assert made.x.shape == (5, image_split.x.shape[1], height, width)
            assert made.x.dtype == image_split.x.dtype
            assert made.x[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
            assert made.class_names == image_split.class_names
        few = load_strangers(f"path:{tmp_path / 'flat'}", image_split, max_rows=2, seed=3)
        assert len(few) == 2
        with pytest.raises(InputError, match="are image rows, not text rows"):
            load_strangers(f"path:{tmp_path / 'flat'}", _text())
        with pytest.raises(
            InputError, match=r"no label column; .* need none: vcviz.data.load_strangers"
        ):
            load_data(f"path:{tmp_path / 'one'}")
        (tmp_path / "t.csv").write_text("a,label\n1,x\n2,x\n")
        with pytest.raises(
            InputError, match=r"holds one class \(x\).* need none: vcviz.data.load_strangers"
        ):
            load_data(f"path:{tmp_path / 't.csv'}")

    def test_texts_of_one_class(self, tmp_path):
        like = _text()
        rows = [[f"what is out of scope {k}", "oos"] for k in range(4)]
        path = tmp_path / "data_full.json"
        path.write_text(json.dumps({"train": rows, "test": rows[:1], "oos_test": rows}))
        made = load_strangers(f"path:{path}", like, split="oos_test", text="0")
        assert made.texts == tuple(text for text, _ in rows)
        assert np.array_equal(
            made.x, encode_texts(made.texts, n_tokens=50, ngrams=(1, 1), max_length=6)
        )
        assert len(load_strangers(f"path:{path}", like, text=0)) == 1
        with pytest.raises(InputError, match="unknown split of 'data_full' 'oos'"):
            load_strangers(f"path:{path}", like, split="oos")
        with pytest.raises(InputError, match="unknown option of strangers 'txt'; did you mean"):
            load_strangers(f"path:{path}", like, txt="0")

    def test_columns_are_scaled_as_those_of_the_data(self, tmp_path):
        frame = pd.DataFrame({"a": np.arange(12.0), "b": np.arange(12.0) ** 2, "label": [0, 1] * 6})
        frame.to_csv(tmp_path / "known.csv", index=False)
        train, test = load_data(f"path:{tmp_path / 'known.csv'}")
        other = pd.DataFrame({"b": [100.0, 200], "c": [1, 2], "a": [50.0, 60]})
        other.to_csv(tmp_path / "other.csv", index=False)
        made = load_strangers(f"path:{tmp_path / 'other.csv'}", test)
        expected = apply_preprocessing(train.preprocessing, other[["a", "b"]])
        assert np.array_equal(made.x, expected)
        assert made.x.min() > 1  # standardised by themselves they would look known

    def test_names_of_datasets_and_of_kinds(self):
        _, test = load_data("digits")
        assert np.array_equal(
            load_strangers("noise", test, seed=2).x, make_strangers(test, "noise", seed=2).x
        )
        assert len(load_strangers("digits", test, max_rows=7)) == 7
        assert load_strangers("auto", test).name == "rotated"
        assert load_strangers("auto", _text()).name == "noise"
        with pytest.raises(
            InputError, match=r"are table rows of shape \(\d+,\), 'digits test' are"
        ):
            load_strangers("mixture", test)


def _text() -> Split:
    words = ["what is in scope", "book it now please"] * 3
    made = {"kind": "text", "n_tokens": 50, "ngrams": [1, 1], "max_length": 6}
    x = apply_preprocessing(made, words)
    return Split(x, [0, 1] * 3, kind="text", texts=tuple(words), preprocessing=made)


class TestHoldingOut:
    def test_classes_are_gone_and_the_rest_is_numbered_anew(self):
        train, test = load_data("digits")
        held = hold_out_classes(train, test, [3, "8"])
        assert held.train.class_names == held.test.class_names == tuple("01245679")
        for before, after in ((train, held.train), (test, held.test)):
            kept = ~np.isin(before.y, [3, 8])
            np.testing.assert_array_equal(after.x, before.x[kept])
            names = np.array(before.class_names)[before.y[kept]]
            np.testing.assert_array_equal(np.array(after.class_names)[after.y], names)
        np.testing.assert_array_equal(held.strangers.x, test.x[np.isin(test.y, [3, 8])])
        assert held.strangers.name == "held-out 3, 8"

    @pytest.mark.parametrize(
        ("classes", "message"),
        [
            ([], "leave out at least one class"),
            (["ant", "bee"], "keep at least 2"),
            ([5], r"classes must lie in \[0, 3\)"),
            (["wasp"], "classes must hold integer labels"),
        ],
    )
    def test_errors(self, image_split, classes, message):
        with pytest.raises(InputError, match=message):
            hold_out_classes(image_split, image_split, classes)
        only = image_split.take(image_split.y > 0)
        with pytest.raises(InputError, match=r"has no rows of \['ant'\]"):
            hold_out_classes(image_split, only, ["ant"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return vcviz.train_heads(
        ["softmax", "gaussian_mixture"], dataset="digits", n_train=150, epochs=3, latent_dim=3,
        probe_size=20, out=tmp_path_factory.mktemp("runs"), progress=False,
    )  # fmt: skip


class TestRuns:
    def test_each_run_judges_each_kind(self, runs):
        test = runs[0].split("test")
        kinds = [make_strangers(test, kind) for kind in ("noise", "inverted")]
        found = vcviz.studies.separate_strangers(runs, kinds, resamples=20, progress=False)
        assert [(s.name, s.against, s.method) for s in found] == [
            (head, kind, method)
            for head in ("softmax", "gaussian_mixture")
            for kind in ("noise", "inverted")
            for method in METHODS
        ]
        knn = next(s for s in found if s.method == "knn" and s.name == "gaussian_mixture")
        lat = extract_latents(runs[1].model(), kinds[0], progress=False)
        train = runs[1].latents("train")
        np.testing.assert_allclose(knn.strange, score(lat, "knn", train=train), rtol=1e-4)
        own = score(runs[1].latents("test"), "knn", train=train)
        np.testing.assert_allclose(knn.known, own, rtol=1e-6)

    def test_the_table_holds_the_records(self, runs):
        strangers = make_strangers(runs[0].split("test"), "noise")
        options = {"resamples": 20, "seed": 1, "progress": False}
        found = vcviz.studies.separate_strangers(runs[0], strangers, ["energy", "knn"], **options)
        table = vcviz.studies.ood_table(found)
        shown = [c for c in table.columns if not c.endswith((" low", " high"))]
        assert shown == ["run", "strangers", "score", "AUROC", "AUPR", "FPR95"]
        assert table["AUROC"].tolist() == [s.auroc for s in found]
        assert table["FPR95 high"].tolist() == [s.fpr_interval[1] for s in found]
        loose = vcviz.studies.separate_strangers(runs[0], strangers, ["energy"], tpr=0.8, **options)
        assert vcviz.studies.ood_table(loose)["FPR80"][0] <= table["FPR95"][0]

    def test_labels_of_strangers_play_no_part(self, runs):
        test = runs[0].split("test")
        many = Split(test.x, np.arange(len(test)) % 12, kind="image")
        assert vcviz.studies.separate_strangers(runs[0], many, ["max_prob"], progress=False)[
            0
        ].auroc == pytest.approx(0.5)

    def test_latents_need_no_run(self, runs):
        lat = runs[0].latents("test")
        train = runs[0].latents("train")
        found = vcviz.studies.separate_strangers(lat, lat, train=train, resamples=20)
        assert [s.method for s in found] == [m for m in METHODS if m != "log_marginal"]
        assert [s.auroc for s in found] == [0.5] * 6

    def test_errors(self, runs, image_split):
        lat = runs[0].latents("test")
        wide = Split(np.zeros((3, 1, 9, 9), np.uint8), [0, 1, 2], name="wide")
        separate = vcviz.studies.separate_strangers
        for call, message in [
            (
                lambda: separate(runs, wide),
                r"strangers 'wide' are image rows of shape",
            ),
            (lambda: separate(runs, lat), "strangers must be a Split"),
            (lambda: separate(lat, image_split), "strangers must be a LatentSet"),
            (lambda: separate(runs, image_split, train=lat), "runs have their own"),
            (lambda: separate([], image_split), "pass at least one run"),
            (lambda: vcviz.studies.ood_table(runs), "separations must be a Separation"),
        ]:
            with pytest.raises(InputError, match=message):
                call()


def test_strangers_need_a_split_and_words_to_draw_from(text_split):
    empty = replace(text_split, x=np.zeros_like(text_split.x), texts=None)
    with pytest.raises(InputError, match="has no words to draw strangers from"):
        make_strangers(empty, "noise")
    with pytest.raises(InputError, match="split must be a Split, got list"):
        make_strangers([1, 2], "noise")
