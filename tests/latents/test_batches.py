"""Batches as libraries make them: what is an input, what a label, and what is said of the rows."""

from __future__ import annotations

from collections import UserDict, namedtuple
from dataclasses import dataclass, make_dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import vcviz
from vcviz.base.errors import InputError
from vcviz.latents import extract_latents

N, FEATURES, D, C = 12, 5, 4, 3
X = np.random.default_rng(0).standard_normal((N, FEATURES)).astype(np.float32)
Y = np.arange(N) % C
IDS = np.arange(100, 100 + N)
NAMES = [f"row {k}" for k in range(N)]


def net(inputs=FEATURES, flatten=False) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = [nn.Flatten()] if flatten else []
        return nn.Sequential(*first, nn.Linear(inputs, D), nn.Tanh(), nn.Linear(D, C))


def latents_of(x=X):
    with torch.no_grad():
        return net()[:2](torch.tensor(x)).numpy()


class Words(nn.Module):
    """Takes token ids and a mask by their names, as Hugging Face's models do."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.table, self.fc = nn.Embedding(30, D), nn.Linear(D, C)

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        assert labels is None
        kept = self.table(input_ids) * attention_mask[..., None]
        return {"logits": self.fc(kept.sum(1))}


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, features, scale=None):
        return self.net(features)


class Anything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, **inputs):
        assert set(inputs) == {"inputs_embeds"}
        return self.net(inputs["inputs_embeds"])


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, one, other):
        return self.net(torch.cat([one, other], 1))


Pair = namedtuple("Pair", ["x", "label", "idx"])
Record = make_dataclass("Record", ["pixels", "target", "idx"])


@dataclass
class Sample:
    x: torch.Tensor
    y: int
    idx: int


def parts(k: slice):
    return torch.tensor(X[k]), torch.tensor(Y[k]), torch.tensor(IDS[k])


#: what a batch of rows k may look like, for a model that takes one tensor
BATCHES = {
    "pair": lambda x, y, i: (x, y),
    "list": lambda x, y, i: [x, y],
    "arrays": lambda x, y, i: (x.numpy(), y.numpy()),
    "with ids behind": lambda x, y, i: (x, y, i),
    "with ids and words behind": lambda x, y, i: (x, y, i, [str(v) for v in i]),
    "ids before": lambda x, y, i: (i, x, y),
    "labels of 16 bits": lambda x, y, i: (x, y.bfloat16()),
    "labels in a list": lambda x, y, i: (x, y.tolist()),
    "dict": lambda x, y, i: {"x": x, "y": y},
    "dict, ids before": lambda x, y, i: {"idx": i, "label": y, "image": x},
    "dict, words": lambda x, y, i: {
        "sentence": ["a"] * len(y),
        "features": x,
        "labels": y,
        "id": i,
    },
    "dict in a tuple": lambda x, y, i: ({"idx": i, "x": x}, y),
    "user dict": lambda x, y, i: UserDict(x=x, target=y, index=i),
    "lists in a dict": lambda x, y, i: {"x": x.tolist(), "label": y.tolist(), "idx": i.tolist()},
    "named tuple": lambda x, y, i: Pair(x, y, i),
    "dataclass": lambda x, y, i: Record(x, y, i),
    "object": lambda x, y, i: SimpleNamespace(idx=i, x=x, y=y),
    "tuple in a tuple": lambda x, y, i: ((x,), y, i),
    "rows in a list": lambda x, y, i: list(zip(x, y.tolist(), strict=True)),
    "rows of tensors in a list": lambda x, y, i: [(a, b) for a, b in zip(x, y, strict=True)],
    "rows by name in a list": lambda x, y, i: [
        {"x": a, "label": b} for a, b in zip(x, y, strict=True)
    ],
    "labels in a column": lambda x, y, i: (x, y[:, None]),
    "labels in a column, by name": lambda x, y, i: {"x": x, "label": y[:, None].float()},
    "ones among zeros": lambda x, y, i: (x, nn.functional.one_hot(y, C)),
    "truth": lambda x, y, i: {"flag": y > 0, "x": x, "label": y},
}


@pytest.mark.parametrize("form", BATCHES)
def test_every_form_of_batch_gives_the_same_latents(form):
    batches = [BATCHES[form](*parts(slice(k, k + 5))) for k in range(0, N, 5)]
    lat = extract_latents(net(), batches, progress=False)
    np.testing.assert_allclose(lat.z, latents_of(), atol=1e-6)
    np.testing.assert_array_equal(lat.y, Y)
    if any(
        word in form for word in ("ids", "words", "user", "lists in", "named", "data", "object")
    ):
        columns = [k for k, v in lat.table.items() if v.dtype.kind == "i"]
        np.testing.assert_array_equal(lat.table[columns[0]], IDS)


@pytest.mark.parametrize("columns", [
    {"input_ids": 1, "attention_mask": 1, "label": 0},
    {"idx": 2, "sentence": 3, "label": 0, "input_ids": 1, "attention_mask": 1, "special_mask": 1},
])  # fmt: skip
def test_columns_that_the_forward_pass_does_not_take_are_left_out(columns):
    ids = torch.arange(N * 4).reshape(N, 4) % 30
    kinds = {0: Y.tolist(), 1: ids, 2: IDS.tolist(), 3: NAMES}
    rows = {name: kinds[kind] for name, kind in columns.items()}
    rows["attention_mask"] = torch.ones(N, 4).long()
    lat = extract_latents(Words(), [rows], progress=False)
    want = Words().table.weight.detach()[ids].sum(1)
    np.testing.assert_allclose(lat.z, want, atol=1e-5)
    if "idx" in columns:
        np.testing.assert_array_equal(lat.table["idx"], IDS)
        assert lat.table["sentence"].tolist() == NAMES
        assert lat.take([3]).table["sentence"].tolist() == NAMES[3:4]


def test_names_of_arguments_say_which_column_is_the_input():
    rows = {"other": torch.randn(N, 9), "idx": IDS, "features": torch.tensor(X), "label": Y}
    np.testing.assert_allclose(
        extract_latents(ByName(), [rows], progress=False).z, latents_of(), atol=1e-6
    )
    rows = {"idx": IDS, "inputs_embeds": torch.tensor(X), "label": Y, "text": NAMES}
    np.testing.assert_allclose(
        extract_latents(Anything(), [rows], progress=False).z, latents_of(), atol=1e-6
    )


def test_several_inputs_in_their_order_or_by_name():
    one, other = torch.tensor(X[:, :2]), torch.tensor(X[:, 2:])
    for batch in (
        (one, other, Y),
        ((one, other), Y),
        ((one, other), torch.tensor(Y), IDS),
        {"other": other, "one": one, "label": Y, "idx": IDS},
    ):
        lat = extract_latents(Two(), [batch], progress=False)
        np.testing.assert_allclose(lat.z, latents_of(), atol=1e-6)


def test_a_mask_in_a_tuple_is_an_input():
    ids, mask = torch.arange(N * 4).reshape(N, 4) % 30, torch.ones(N, 4).long()
    mask[:, 2:] = 0
    lat = extract_latents(Words(), [(ids, mask, torch.tensor(Y))], progress=False)
    want = Words().table.weight.detach()[ids[:, :2]].sum(1)
    np.testing.assert_allclose(lat.z, want, atol=1e-5)


@pytest.mark.parametrize("labels", [Y[:, None], np.eye(C)[Y], np.eye(C, dtype=int)[Y]])
def test_labels_of_two_axes(labels):
    lat = extract_latents(net(), (X, labels), progress=False)
    np.testing.assert_array_equal(lat.y, Y)
    with pytest.raises(InputError, match=r"one label per row|same N"):
        extract_latents(net(), (X, np.full((N, C), 1 / C)), progress=False)


def test_single_rows_are_asked_for_in_batches():
    rows = [(torch.tensor(X[k]), int(Y[k])) for k in range(N)]
    for data in (rows, DataLoader(rows, batch_size=None)):
        with pytest.raises(InputError, match="data gives single rows; put them into batches"):
            extract_latents(net(), data, progress=False)


def test_what_cannot_be_told_apart_is_asked_for():
    rows = {"left": torch.randn(N, FEATURES), "right": torch.randn(N, FEATURES), "label": Y}
    with pytest.raises(InputError, match="which of the columns left, right, label is the input"):
        extract_latents(net(), [rows], progress=False)
    only_ids = {"idx": torch.arange(N), "label": torch.tensor(Y)}
    with pytest.raises(InputError, match="which of the columns idx, label is the input"):
        extract_latents(net(1), [only_ids], progress=False)
    with pytest.raises(InputError, match="call the column of the labels 'label'"):
        extract_latents(net(), [{"x": X, "answer": Y}], progress=False)
    with pytest.raises(InputError, match="x is text; turn it into the model's token ids"):
        extract_latents(net(), [(NAMES, Y)], progress=False)
    ragged = [torch.zeros(2), torch.zeros(3)]
    with pytest.raises(InputError, match=r"different shapes, such as \(2,\) and \(3,\); pad"):
        extract_latents(net(), [{"x": ragged, "label": [0, 1]}], progress=False)


# ---------------------------------------------------------------- data sets


class Rows(Dataset):
    """A data set of anybody's, of rows of any form."""

    def __init__(self, form) -> None:
        self.form = form

    def __len__(self) -> int:
        return N

    def __getitem__(self, k):
        return self.form(torch.tensor(X[k]), int(Y[k]), int(IDS[k]))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(torch.tensor(X), Y, strict=True))


@pytest.mark.parametrize("form", [
    lambda x, y, i: (x, y),
    lambda x, y, i: (x, y, i),
    lambda x, y, i: {"x": x, "label": y, "idx": i},
    lambda x, y, i: Sample(x, y, i),
    lambda x, y, i: Pair(x, y, i),
], ids=["pair", "triple", "dict", "dataclass", "named tuple"])  # fmt: skip
def test_data_sets_of_rows(form):
    before = torch.get_rng_state()
    lat = extract_latents(net(), Rows(form), batch_size=5, progress=False)
    np.testing.assert_allclose(lat.z, latents_of(), atol=1e-6)
    np.testing.assert_array_equal(lat.y, Y)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stream_of_rows():
    lat = extract_latents(net(), Stream(), batch_size=5, progress=False)
    np.testing.assert_allclose(lat.z, latents_of(), atol=1e-6)


def test_pictures_that_were_not_made_tensors():
    pytest.importorskip("PIL")
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (N, 6, 6, 3), np.uint8)

    class Pictures(Dataset):
        def __len__(self):
            return N

        def __getitem__(self, k):
            return Image.fromarray(pixels[k]), int(Y[k])

    model = net(108, flatten=True)
    lat = extract_latents(model, Pictures(), progress=False)
    images = torch.tensor(pixels).permute(0, 3, 1, 2)
    np.testing.assert_allclose(lat.z, extract_latents(model, (images, Y)).z, atol=1e-6)
    ui = vcviz.explore(model, Pictures(), attack_rows=3)
    np.testing.assert_array_equal(ui.subject.split().x, images)


@pytest.mark.parametrize("kind", [None, "torch", "numpy"])
def test_hugging_face_data_sets_with_and_without_a_format(kind):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict(
        {"x": X.tolist(), "label": Y.tolist(), "idx": IDS.tolist(), "text": NAMES}
    ).with_format(kind)
    named = datasets.DatasetDict({"train": rows.select([0]), "test": rows})
    for data in (rows, rows.to_iterable_dataset(), named, DataLoader(rows, batch_size=5)):
        if kind is None and isinstance(data, DataLoader):
            continue  # torch puts the numbers of a row into tensors of their own
        lat = extract_latents(net(), data, batch_size=5, progress=False)
        np.testing.assert_allclose(lat.z, latents_of(), atol=1e-6)
        np.testing.assert_array_equal(lat.y, Y)
        np.testing.assert_array_equal(lat.table["idx"], IDS)
    with pytest.raises(InputError, match="data has the splits a, b; pass one of them"):
        extract_latents(net(), datasets.DatasetDict({"a": rows, "b": rows}))


def test_hugging_face_images():
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("PIL")
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (N, 6, 6), np.uint8)
    rows = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(p) for p in pixels], "label": Y.tolist()}
    )
    model = net(36, flatten=True)
    want = extract_latents(model, (pixels[:, None], Y)).z
    for data in (rows, rows.with_format("torch")):
        np.testing.assert_allclose(extract_latents(model, data).z, want, atol=1e-6)


def test_data_modules_by_their_held_out_loader():
    class Module:
        """As Lightning's, which need not be installed."""

        def __init__(self, **loaders):
            self.loaders, self.stages = loaders, []

        def setup(self, stage=None):
            self.stages.append(stage)

        def test_dataloader(self):
            return self.loaders["test"]

        def val_dataloader(self):
            return self.loaders["val"]

    loader = DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=5)
    for module in (Module(test=loader), Module(val=[loader]), Module(test=None, val=loader)):
        lat = extract_latents(net(), module, progress=False)
        np.testing.assert_allclose(lat.z, latents_of(), atol=1e-6)
    assert Module(test=loader).stages == []
    with pytest.raises(InputError, match=r"no test or validation loader.*KeyError.*pass a loader"):
        extract_latents(net(), Module())


class Foreign:
    """An array of another library: it has a shape, and NumPy can read it."""

    def __init__(self, values) -> None:
        self.values = np.asarray(values)
        self.shape, self.dtype, self.ndim = self.values.shape, self.values.dtype, self.values.ndim

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or self.values.dtype)

    def __len__(self):
        return len(self.values)


@pytest.mark.parametrize("pair", [
    (Foreign(X), Foreign(Y)),
    (pd.DataFrame(X), pd.Series(Y)),
    (X, Y.tolist()),
    (X.astype(np.float16), Y.astype(float)),
    (torch.tensor(X).bfloat16(), torch.tensor(Y).bfloat16()),
    ({"features": X, "more": X}, Y),
], ids=["other arrays", "pandas", "list of labels", "float16", "bfloat16", "dict"])  # fmt: skip
def test_pairs_of_arrays(pair):
    model = ByName() if isinstance(pair[0], dict) else net()
    lat = extract_latents(model, pair, batch_size=5, progress=False)
    np.testing.assert_allclose(lat.z, latents_of(), atol=0.02)
    np.testing.assert_array_equal(lat.y, Y)


def test_a_sparse_matrix_is_refused_with_what_to_do():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InputError, match=r"x is a sparse matrix; pass x\.toarray\(\)"):
        extract_latents(net(), (sparse.csr_matrix(X), Y))


# ---------------------------------------------------------------- one pass is one truth


class Restless(IterableDataset):
    """Other rows, in another order, each time it is read; and never to be read twice."""

    def __init__(self, once=False) -> None:
        self.passes, self.once = 0, once

    def __iter__(self):
        self.passes += 1
        assert self.passes == 1 or not self.once
        rng = np.random.default_rng(self.passes)
        for k in rng.permutation(N):
            yield {"x": torch.tensor(X[k] + rng.normal(0, 0.1, FEATURES).astype(np.float32)),
                   "label": int(Y[k]), "idx": int(IDS[k])}  # fmt: skip


def loaders():
    rows = TensorDataset(torch.tensor(X), torch.tensor(Y))
    noisy = [(torch.rand(4, 1, 3, 3), torch.arange(4) % C) for _ in range(3)]
    return {
        "shuffled": DataLoader(rows, batch_size=5, shuffle=True),
        "random sampler": DataLoader(
            rows, batch_size=5, sampler=torch.utils.data.WeightedRandomSampler(torch.ones(N), N)),
        "workers": DataLoader(rows, batch_size=5, shuffle=True, num_workers=1),
        "stream": Restless(once=True),
        "loader of a stream": DataLoader(Restless(once=True), batch_size=5),
        "pictures": DataLoader([(x, y) for b in noisy for x, y in zip(*b, strict=True)],
                               batch_size=5, shuffle=True),
    }  # fmt: skip


@pytest.mark.parametrize("kind", loaders())
def test_latents_labels_inputs_and_attack_are_of_the_same_rows(kind):
    data = loaders()[kind]
    model = net(9, flatten=True) if kind == "pictures" else net()
    ui = vcviz.explore(model, data, attack_rows=7)
    lat, rows = ui.subject.latents(), ui.subject.split()
    np.testing.assert_array_equal(rows.y, lat.y)
    model.eval()
    with torch.no_grad():
        np.testing.assert_allclose(lat.z, model[:-1](torch.tensor(rows.x)), atol=1e-5)
    path = ui.subject.attack([3, 1], steps=1, progress=False)
    np.testing.assert_array_equal(path.index, [3, 1])
    np.testing.assert_array_equal(path.x, rows.x[[3, 1]])
    np.testing.assert_array_equal(path.y, lat.y[[3, 1]])
    np.testing.assert_allclose(path.z[0], lat.z[[3, 1]], atol=1e-5)
    if "stream" in kind:
        assert set(lat.table["idx"]) == set(IDS)
        np.testing.assert_array_equal(Y[lat.table["idx"] - IDS[0]], lat.y)


def test_a_buffer_that_the_loader_fills_again_is_copied():
    def recycled():
        x = torch.empty(4, FEATURES)
        for k in range(0, N, 4):
            x.copy_(torch.tensor(X[k : k + 4]))
            yield x, Y[k : k + 4]

    class Loader:
        def __iter__(self):
            return recycled()

    ui = vcviz.explore(net(), Loader(), attack_rows=N)
    np.testing.assert_array_equal(ui.subject.split().x, X)


def test_ids_and_columns_of_the_users_own_go_with_the_rows():
    table = pd.DataFrame({"source": NAMES, "size": X[:, 0], "seen": Y > 0})
    lat = extract_latents(net(), (X, Y), ids=IDS, table=table, progress=False)
    assert list(lat.table) == ["id", "source", "size", "seen"]
    few = lat.take([5, 2])
    np.testing.assert_array_equal(few.table["id"], IDS[[5, 2]])
    assert few.table["source"].tolist() == ["row 5", "row 2"]
    assert few.table["seen"].dtype == bool
    with pytest.raises(ValueError, match="read-only"):
        lat.table["id"][0] = 1
    with pytest.raises(InputError, match=r"column 'id' of the table must have 12 values.*got .3,."):
        extract_latents(net(), (X, Y), ids=[1, 2, 3], progress=False)
    with pytest.raises(InputError, match="table must be a DataFrame or columns by name, got 3"):
        extract_latents(net(), (X, Y), table=3, progress=False)
    for data in (loaders()["shuffled"], Restless()):
        with pytest.raises(InputError, match="which this loader does not keep; pass the data set"):
            extract_latents(net(), data, ids=IDS)
    ui = vcviz.explore(net(), (X, Y), ids=IDS, table=table.set_index("source"), attack_rows=0)
    assert list(ui.subject.latents().table) == ["id", "source", "size", "seen"]
    ui = vcviz.explore(latents=X, log_probs=np.zeros((N, C)), y=Y, ids=NAMES)
    assert ui.subject.latents().table["id"].tolist() == NAMES


def test_hovers_selections_and_exports_tell_the_users_own_columns():
    table = {"source": [f"<b>{name}</b>" for name in NAMES], "label": list(NAMES)}
    ui = vcviz.explore(net(), (X, Y), ids=IDS, table=table, attack_rows=0)
    lat = ui.subject.latents()
    flat = vcviz.plot_latents(lat, projection=vcviz.fit_projection(lat, method="pca"))
    brief = [t for t in ui.latents.figure().data if (t.meta or {}).get("layer") == "points"]
    for trace in brief:
        ids = [f"id: {IDS[row]}" for row in trace.customdata[:, 0].astype(int)]
        assert list(trace.hovertext) == ids
    for trace in [t for t in flat.data if (t.meta or {}).get("layer") == "points"]:
        for told, row in zip(trace.hovertext, trace.customdata[:, 0].astype(int), strict=True):
            assert told.split("<br>")[0] == f"id: {IDS[row]}"
            assert f"&lt;b&gt;row {row}&lt;/b&gt;" in told
            assert "%{hovertext}" in trace.hovertemplate
    solid = vcviz.figures.plot_latents_3d(
        lat, projection=vcviz.fit_projection(lat, method="pca", n_components=3)
    )
    assert any(f"id: {IDS[0]}" in str(t.hovertext) for t in solid.data)
    ui.latents.chosen.choose([7, 2])
    for chosen in (ui.latents.selection, ui.calibration.selection):
        assert chosen["row"].tolist() == [2, 7]
        assert chosen["id"].tolist() == [IDS[2], IDS[7]]
        assert chosen["label (own)"].tolist() == [NAMES[2], NAMES[7]]
    assert lat.details(3) == ["id: 103", "source: <b>row 3</b>", "label: row 3"]
