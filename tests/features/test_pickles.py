"""Pickles from strangers: arrays come through as they are, programs do not run."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from pictokg.errors import DataError
from pictokg.features.readers._pickles import load_pickle
from pictokg.features.readers._tensors import load_tensors


@pytest.fixture
def load(tmp_path):
    def load_bytes(content):
        path = tmp_path / "stranger.pkl"
        path.write_bytes(content)
        return load_pickle(path)

    return load_bytes


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["f4", "f8", ">f4", "f2", "i8", "u8", "u1", "?", "U3"])
def test_arrays_come_through_in_every_protocol(load, protocol, kind):
    array = (np.arange(12).reshape(3, 4) % 5).astype(kind)
    for sent in (array, np.asfortranarray(array), array[:, ::2], array[:0]):
        found = load(pickle.dumps(sent, protocol=protocol))
        assert found.dtype == sent.dtype
        assert np.array_equal(found, sent)


@settings(max_examples=50, deadline=None)
@given(
    array=arrays.arrays(
        arrays.floating_dtypes(sizes=(16, 32, 64)) | arrays.integer_dtypes(), arrays.array_shapes(max_dims=3)
    ),
    protocol=st.integers(0, 5),
)
def test_any_array_of_numbers_comes_through(tmp_path_factory, array, protocol):
    path = tmp_path_factory.mktemp("pickles") / "array.pkl"
    path.write_bytes(pickle.dumps(array, protocol=protocol))
    np.testing.assert_array_equal(load_pickle(path), array)


def test_containers_and_scalars_come_through(load):
    sent = OrderedDict(a=[1, 2.5, None, True], b={"c": (np.float64(3.0), {1, 2})}, d=np.int64(7))
    assert load(pickle.dumps(sent)) == {"a": [1, 2.5, None, True], "b": {"c": (3.0, {1, 2})}, "d": 7}
    skip = defaultdict(list, {(np.int64(1), 2): [3, 4]})
    assert load(pickle.dumps({"lhs": skip})) == {"lhs": {(1, 2): [3, 4]}}


def test_a_list_that_holds_itself_is_no_endless_loop(load):
    sent = [1]
    sent.append(sent)
    found = load(pickle.dumps(sent))
    assert found[1] is found


def test_ragged_rows_in_an_array_of_objects_become_a_list(load):
    sent = np.empty(2, dtype=object)
    sent[:] = [np.zeros((1, 3)), np.ones((2, 3))]
    assert [part.shape for part in load(pickle.dumps(sent))] == [(1, 3), (2, 3)]


def test_names_that_python_2_wrote_are_text(load):
    """`{'caf\\xc3\\xa9': 1}` in protocol 2, as Python 2's strings, which are bytes."""
    assert load(b"\x80\x02}q\x00U\x05caf\xc3\xa9q\x01K\x01s.") == {"café": 1}
    assert load(b"\x80\x02}q\x00U\x04caf\xe9q\x01K\x01s.") == {"café": 1}


def test_tensors_come_through(load):
    weights = torch.arange(12.0).reshape(3, 4)
    found = load(pickle.dumps({"a": weights.t()[1:], "b": nn.Parameter(weights), "c": weights.bfloat16()}))
    assert np.array_equal(found["a"], weights.t()[1:].numpy())
    assert np.array_equal(found["b"], weights.numpy())
    assert found["c"].dtype == np.float32


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


PROGRAMS = {
    "system": Evil(os.system, "touch {mark}"),
    "run": Evil(subprocess.Popen, ["touch", "{mark}"]),
    "exec": Evil(exec, "open({mark!r}, 'w')"),
    "eval": Evil(eval, "open({mark!r}, 'w')"),
    "attribute": Evil(getattr, os, "system"),
    "numpy load": Evil(np.load, "{mark}"),
    "torch load": Evil(torch.load, "{mark}"),
    "import": Evil(__import__, "antigravity"),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("within", ["alone", "in a dictionary"])
def test_a_malicious_pickle_is_refused_with_file_and_remedy_and_does_not_run(tmp_path, program, within):
    mark, path = tmp_path / "ran", tmp_path / "img_vec.pickle"
    evil = PROGRAMS[program]
    evil = Evil(evil.call, *(part.format(mark=str(mark)) if isinstance(part, str) else part for part in evil.arguments))
    try:
        path.write_bytes(pickle.dumps(evil if within == "alone" else {"x": np.zeros(2), "y": [evil]}))
    except TypeError:  # a module cannot be pickled: name it by hand
        path.write_bytes(b"cbuiltins\ngetattr\n(cos\nsystem\nVx\ntR.")
    with pytest.raises(DataError) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)
    assert "which could run a program; it was not loaded; ask its author" in str(caught.value)
    assert "numpy.savez(path, ids=names, x=rows)" in str(caught.value)
    assert not mark.exists()


def test_a_malicious_torch_file_is_refused_with_file_and_remedy_and_does_not_run(tmp_path):
    for zipped in (True, False):
        mark, path = tmp_path / "ran", tmp_path / "visual.pth"
        content = {"x": torch.zeros(2), "y": Evil(os.system, f"touch {mark}")}
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(
            DataError, match=r"visual\.pth: holds Python objects \(\w+\.system\), which could run .* ask"
        ):
            load_tensors(path)
        assert not mark.exists()


def test_a_program_hidden_in_a_tensor_of_a_pickle_does_not_run(load, tmp_path):
    """torch pickles a tensor's numbers as a pickle within the pickle."""
    inner = io.BytesIO()
    torch.save(Evil(os.system, f"touch {tmp_path / 'ran'}"), inner)
    with pytest.raises(DataError, match=r"stranger.pkl: has Python objects in a tensor, which could run a program"):
        load(pickle.dumps(Evil(torch.storage._load_from_bytes, inner.getvalue())))
    assert not (tmp_path / "ran").exists()


FORGED = {
    # GLOBAL numpy.dtype, then BUILD on it with a state that would change what it is for everybody
    "changes a function": b"cnumpy\ndtype\n(N}Vmake\nNstb.",
    "more rows than the file has": pickle.dumps(np.zeros((2, 2)), 2).replace(b"K\x02K\x02\x86", b"K\x02K\x09\x86"),
    "bytes as objects": pickle.dumps(np.zeros(2), protocol=0).replace(b"f8", b"O8"),
    "a type instead of a value": b"cnumpy\ndtype\n.",
    "an array that nobody filled": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR.",
    "fields": pickle.dumps(np.zeros(2, dtype=[("a", "f4"), ("b", "f4")])),
    "a persistent object": b"Pelsewhere\n.",
    "cut short": pickle.dumps(np.zeros(100))[:-40],
    "nothing": b"",
    "text": b"no pickle",
}


@pytest.mark.parametrize("content", FORGED.values(), ids=FORGED)
def test_forged_and_damaged_pickles_are_refused_and_nothing_is_changed(tmp_path, content):
    from pictokg.features.readers._rows import in_order

    path = tmp_path / "stranger.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match="stranger"):
        in_order(load_pickle(path), path)
    path.write_bytes(pickle.dumps(np.ones((2, 2))))
    assert load_pickle(path).sum() == 4


def test_a_forged_tensor_cannot_reach_beyond_its_numbers(load):
    storage = torch.zeros(4).untyped_storage()

    class Forged:
        def __reduce__(self):
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            return torch._utils._rebuild_tensor_v2, (typed, 0, (1000,), (1,), False, {})

    with pytest.raises(DataError, match=r"has 4 numbers for a tensor \(1000,\)"):
        load(pickle.dumps(Forged()))


def test_nothing_is_imported_for_a_pickle_of_arrays(tmp_path):
    """Not even torch, and no module that a pickle names."""
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"a": np.zeros(3)}))
    program = (
        "import sys; from pathlib import Path; from pictokg.features.readers._pickles import load_pickle;"
        f"load_pickle(Path({str(path)!r})); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class TestTorchFiles:
    """What `.pth` and `.pt` hold in the field."""

    WEIGHTS = torch.arange(6.0).reshape(3, 2)

    @pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
    @pytest.mark.parametrize("kind", ["tensor", "parameter", "embedding", "half", "bfloat16", "view"])
    def test_a_tensor_in_any_dress_is_its_numbers(self, tmp_path, kind, zipped):
        embedding = nn.Embedding(3, 2)
        with torch.no_grad():
            embedding.weight.copy_(self.WEIGHTS)
        sent = {
            "tensor": self.WEIGHTS,
            "parameter": nn.Parameter(self.WEIGHTS),
            "embedding": embedding,
            "half": self.WEIGHTS.half(),
            "bfloat16": self.WEIGHTS.bfloat16(),
            "view": self.WEIGHTS.t().contiguous().t(),
        }[kind]
        path = tmp_path / "visual.pth"
        torch.save(sent, path, _use_new_zipfile_serialization=zipped)
        if kind == "embedding" and not zipped:  # before torch 1.6 a module brought its source code along
            with pytest.raises(DataError, match="holds Python objects"):
                load_tensors(path)
            return
        assert load_tensors(path).tolist() == self.WEIGHTS.tolist()

    def test_dictionaries_of_tensors_keep_their_names(self, tmp_path):
        torch.save({"a": self.WEIGHTS, "b": [self.WEIGHTS[0]]}, tmp_path / "x.pt")
        found = load_tensors(tmp_path / "x.pt")
        assert found["a"].shape == (3, 2)
        assert found["b"][0].tolist() == [0, 1]

    def test_damaged_files_are_refused(self, tmp_path):
        path = tmp_path / "visual.pth"
        torch.save(self.WEIGHTS, path)
        content = path.read_bytes()
        for wrong in (content[:40], content[:-30], b"PK\x03\x04 no archive"):
            path.write_bytes(wrong)
            with pytest.raises(DataError, match=r"visual\.pth: is damaged"):
                load_tensors(path)

    def test_a_file_that_is_not_there_is_said_so(self, tmp_path):
        with pytest.raises(DataError, match="No such file"):
            load_tensors(tmp_path / "none.pth")
