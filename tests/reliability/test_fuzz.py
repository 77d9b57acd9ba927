"""Any bytes where a file is read end in our own errors: for minutes by make reliability, briefly otherwise."""

import contextlib
import gzip
import io
import os
import random
import shutil
import time

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from reliability import gadgets
from reliability.amount import FULL
from reliability.test_damage import checkpoints
from torchwork import config, rundir
from torchwork.data import decode, idx
from torchwork.data.arrays import read_npz
from torchwork.data.cells import read_cells
from torchwork.data.columns import read_csv
from torchwork.data.unreadable import UnreadableError
from torchwork.models import weights
from torchwork.report import html
from torchwork.training import checkpoint, store
from torchwork.training.state import State
from torchwork.types import InputError, RunError

SECONDS = 100 if FULL else 0.7  # a target; twelve of them are twenty minutes
ALLOWED = (InputError, RunError, UnreadableError)
YAML = b"""name: a
data: {source: Iris, transform: [Normalize], batch_size: 16}
model: &m {name: MLP, hidden: [8, 1e3, .inf]}
optimizer: {name: Adam, lr: 1e-2, betas: [0.9, 0.99]}
train: {epochs: 2, <<: *m}
"""
TABLE = 'a,b,"c ""d"""\n1,2.5,x\n,NA,"y\nz"\n-3,1e400,é\n'.encode()


def whole_npz():
    content = io.BytesIO()
    np.savez(content, x=np.arange(6.0).reshape(3, 2), y=np.array(["a", "b", "c"]))
    return content.getvalue()


def whole_pth():
    content = io.BytesIO()
    torch.save(nn.Linear(2, 2).state_dict(), content)
    return content.getvalue()


def whole_picture(kind):
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(content, kind)
    return content.getvalue()


def read_config(path):
    config.load(path)


def read_picture(path):
    decode.decode(path, "RGB")


WEIGHTS = gadgets.safetensors({"a": gadgets.tensor(0, 8), "b": gadgets.tensor(8, 24, [2, 2])}, bytes(24))
TARGETS = {
    "config.yaml": (YAML, read_config),
    "config.json": (b'{"data": {"source": "Iris"}, "model": {"name": "MLP", "hidden": [8]}}', read_config),
    "config.toml": (b'seed = 1\n[data]\nsource = "Iris"\n[model]\nname = "MLP"\nwhen = 1979-05-27\n', read_config),
    "weights.safetensors": (WEIGHTS, weights.read),
    "weights.pth": (whole_pth(), weights.read),
    "arrays.npz": (whole_npz(), lambda path: read_npz(path, "path")),
    "table.csv": (TABLE, lambda path: read_csv(path, "path")),
    "texts.csv": (TABLE, lambda path: read_cells(path, "path")),
    "a.idx.gz": (gzip.compress(b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03abcdef"), idx.read_idx),
    "picture.jpg": (whole_picture("JPEG"), read_picture),
    "picture.png": (whole_picture("PNG"), read_picture),
}


def changes(whole):
    """Return bytes that are near to those of a whole file, or have nothing to do with it."""
    place = st.integers(0, len(whole))
    part = st.binary(max_size=12) | st.sampled_from([b"\0" * 8, b"\xff" * 8, b"[" * 5000, b"{a: " * 2000, b"9" * 5000])

    @st.composite
    def changed(draw):
        content = bytearray(whole)
        for _ in range(draw(st.integers(1, 4))):
            start = min(draw(place), len(content))
            end = min(start + draw(st.integers(0, 16) | place), len(content))
            content[start:end] = draw(part)
        return bytes(content)

    return changed() | st.binary(max_size=200)


def fuzzed(strategy, try_one):
    """Try one after the other until the time is over; return how many."""
    tried, until = 0, time.monotonic() + SECONDS

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        derandomize=not FULL,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(strategy)
    def many(content):
        nonlocal tried
        if time.monotonic() < until:
            tried += 1
            try_one(content)

    many()
    while FULL and time.monotonic() < until:
        many()
    return tried


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_end_in_our_own_errors(name, tmp_path, counted):
    whole, read = TARGETS[name]
    path = tmp_path / name

    def try_one(content):
        path.write_bytes(content)
        with contextlib.suppress(*ALLOWED):
            read(path)

    path.write_bytes(whole)
    if "config" not in name:
        read(path)
    counted("Fuzzed files", fuzzed(changes(whole), try_one))


def test_any_bytes_in_a_checkpoint_that_its_manifest_vouches_for(tmp_path, counted):
    (newer,) = checkpoints(tmp_path / "c", 2)[1:]
    names = (checkpoint.STATE, checkpoint.OPTIMIZER, checkpoint.MODEL)
    whole = {name: (newer / name).read_bytes() for name in names}
    model = nn.Linear(2, 2)

    def try_one(changed):
        name, content = changed
        files = {**whole, name: content}
        for each, bytes_of in files.items():
            (newer / each).write_bytes(bytes_of)
        (newer / store.MANIFEST).write_bytes(store._manifest({n: store._digest(c) for n, c in files.items()}))
        state = State(model, torch.optim.Adam(model.parameters()))
        with contextlib.suppress(*ALLOWED):
            place = checkpoint.latest(tmp_path / "c")
            if place is not None:
                checkpoint.load(place, state)

    strategy = st.one_of([st.tuples(st.just(name), changes(whole[name])) for name in names])
    counted("Fuzzed files", fuzzed(strategy, try_one))


FILES = (rundir.METRICS, rundir.DATA, rundir.INSPECTED, rundir.HISTORY, rundir.predictions("test"), rundir.CONFIG)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_in_a_run_still_give_a_report(tmp_path, counted):
    import torchwork

    content = {"data": {"source": "Iris"}, "model": "MLP", "optimizer": "Adam", "train": {"epochs": 1, "threads": 1}}
    torchwork.train(content, out=tmp_path / "run")
    chance = random.Random(os.urandom(8))
    tried, until = 0, time.monotonic() + (SECONDS if FULL else 10)
    while time.monotonic() < until:
        out = tmp_path / f"{tried}"
        shutil.copytree(tmp_path / "run", out)
        for name in chance.sample(FILES, 2):
            whole = bytearray((out / name).read_bytes())
            for _ in range(chance.randint(1, 5)):
                place = chance.randrange(len(whole))
                whole[place : place + chance.randint(0, 9)] = chance.randbytes(chance.randint(0, 4))
            (out / name).write_bytes(whole)
        html.write(out)
        assert "</html>" in (out / rundir.REPORT).read_text(encoding="utf-8")
        shutil.rmtree(out)
        tried += 1
    counted("Fuzzed files", tried)
