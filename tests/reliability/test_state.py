"""A run is what its checkpoint holds: nothing else of the process that it ran in has a say in what comes of it."""

import functools
import json
import os
import shutil

import pytest
import torch

from reliability import runs
from torchwork import rundir
from torchwork.optim.encoding import decode, encode
from torchwork.training import checkpoint, store, weights

EPOCHS, STEPS = 2, 4  # 104 training samples in batches of 16, two to an update
LAYERS = [{"name": "Linear", "out_features": 8}, "BatchNorm1d", "ReLU", {"name": "Dropout", "p": 0.3}, "Linear"]
CONFIG = {
    "data": {
        "source": "Iris",
        "transform": ["Normalize"],
        "batch_size": 16,
        "split": {"train": 0.7, "val": 0.2, "test": 0.1},
    },
    # with buffers, random masks, a momentum, an average, a rate that the metric moves, and a patience
    "model": {"name": "Sequential", "layers": LAYERS},
    "optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9},
    "schedule": {"name": "ReduceLROnPlateau", "patience": 0, "warmup_steps": 3},
    "train": {
        "epochs": EPOCHS,
        "threads": 1,
        "accumulate": 2,
        "patience": 5,
        "ema": 0.9,
        "clip_norm": 1.0,
        "checkpoint_every_steps": 1,
    },
}


def briefly():
    """Leave out what is drawn and looked at when training is over."""
    from torchwork import finishing

    finishing._look_into = lambda *arguments: None


def keeping(folder):
    """Prepare a process to keep the whole run directory as it was after every save, each of which is waited for."""
    from torchwork.training import saving

    briefly()
    save = saving.Saver.save

    def saved(self, state, *, needed=True):
        save(self, state)
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)
        end = "end" if not state.progress.position else "step"
        shutil.copytree(self._directory.parent, folder / f"{state.progress.index:02d}-{end}")
        return True

    saving.Saver.save = saved


def elsewhere(folder):
    """Make the process as unlike the first as it can be: other random numbers, folder, language, time zone, threads."""
    import random

    import numpy as np
    import torch

    briefly()
    random.seed(os.urandom(8))
    np.random.seed(int.from_bytes(os.urandom(4), "big"))
    torch.manual_seed(int.from_bytes(os.urandom(7), "big"))
    torch.set_num_threads(2)
    os.environ |= {"TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8", "OMP_NUM_THREADS": "2"}
    os.chdir(folder)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The result of an uninterrupted run, and its directory as it was after every step."""
    folder = tmp_path_factory.mktemp("straight")
    kept = folder / "kept"
    kept.mkdir()
    assert runs.finish(CONFIG, folder / "run", functools.partial(keeping, kept)) == 0
    return runs.result(folder / "run"), sorted(kept.iterdir())


def test_a_run_resumed_in_a_new_process_at_any_step_ends_as_if_it_had_not_been(straight, tmp_path, counted):
    expected, places = straight
    steps = [step for step in range(1, EPOCHS * STEPS + 1) if step % STEPS]
    assert [place.name for place in places] == sorted(
        [*(f"{step:02d}-step" for step in steps), *(f"{epoch * STEPS:02d}-end" for epoch in range(1, EPOCHS + 1))]
    )
    for place in places:
        assert not (place / rundir.METRICS).exists()
        out = shutil.copytree(place, tmp_path / place.name)
        assert runs.finish(CONFIG, out, functools.partial(elsewhere, tmp_path)) == 0
        assert runs.result(out) == expected, place.name
    counted("Mid-epoch resume", len(places))


def momentum(files):
    files["optimizer"] = {name: torch.zeros_like(tensor) for name, tensor in files["optimizer"].items()}


def buffers(files):
    files["model"] |= {name: torch.ones_like(t) for name, t in files["model"].items() if "running" in name}


def average(files):
    files["averaged"] = files["model"]


def position_of_random_numbers(files):
    files["progress"]["index"] = 0


def sums_of_the_running_epoch(files):
    files["progress"] |= {"loss_sum": 0.0, "loss_weight": 0.0}


def warm_up(files):
    files["state"]["schedule"]["updates"] = 1


def rate(files):
    files["state"]["schedule"]["lrs"] = [0.01]


@pytest.mark.parametrize(
    "lost",
    [momentum, buffers, average, position_of_random_numbers, sums_of_the_running_epoch, warm_up, rate],
    ids=lambda lost: lost.__name__,
)
def test_whatever_a_checkpoint_had_not_held_would_show(lost, straight, tmp_path):
    expected, places = straight
    out = shutil.copytree(next(place for place in places if place.name == "02-step"), tmp_path / "run")
    (place,) = (out / rundir.CHECKPOINTS).iterdir()
    names = ("model", "averaged", "optimizer")
    files = {name: weights.read(place / f"{name}.safetensors") for name in names}
    state = json.loads((place / checkpoint.STATE).read_text())
    files |= {"state": state, "progress": decode(state["progress"])}
    lost(files)
    state["progress"] = encode(files["progress"], "progress")
    shutil.rmtree(place)
    written = {f"{name}.safetensors": weights.to_bytes(files[name], {}) for name in names}
    store.write(place, {**written, checkpoint.STATE: json.dumps(state).encode()})
    assert runs.finish(CONFIG, out, briefly) == 0
    assert runs.result(out) != expected
