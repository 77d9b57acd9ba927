"""Small runs to be stopped in the middle of an epoch: every optimizer and schedule, with all that can go with them."""

import functools
import json
import multiprocessing
import signal

import torch
from tests.optim.networks import VARIANTS
from torch import nn
from torch.utils.data import Dataset

from reliability import runs, signalling
from torchwork import rundir
from torchwork.optim.encoding import decode
from torchwork.training import checkpoint

SAMPLES, BATCH, EPOCHS = 60, 5, 2
PRECISIONS = ("fp32", "bf16", "fp32", "fp16", "bf16")
WORKERS = ((0, 0), (0, 2), (0, 0), (1, 0), (0, 0), (4, 1), (0, 0), (2, 4), (0, 0), (0, 1))


def falling(step):
    return 0.95**step


TWO = [{"name": "ConstantLR", "factor": 0.5, "total_iters": 3}, {"name": "ExponentialLR", "gamma": 0.9}]
SCHEDULES = (
    None,
    {"name": "ChainedScheduler", "schedulers": TWO, "every": "step"},
    {"name": "ConstantLR", "factor": 0.25, "total_iters": 3, "every": "step"},
    {"name": "CosineAnnealingLR", "warmup_steps": 3},
    {"name": "CosineAnnealingWarmRestarts", "T_0": 3, "every": "step"},
    {"name": "CyclicLR", "base_lr": 0.001, "max_lr": 0.02, "step_size_up": 3, "cycle_momentum": False},
    {"name": "ExponentialLR", "gamma": 0.9, "every": "step"},
    {"name": "LambdaLR", "lr_lambda": f"{__name__}:falling", "every": "step"},
    {"name": "LinearLR", "total_iters": 5, "every": "step"},
    {"name": "MultiStepLR", "milestones": [2, 5], "every": "step"},
    {"name": "MultiplicativeLR", "lr_lambda": f"{__name__}:falling", "every": "step"},
    {"name": "OneCycleLR", "max_lr": 0.02, "cycle_momentum": False},
    {"name": "PolynomialLR", "total_iters": 6, "every": "step"},
    {"name": "ReduceLROnPlateau", "patience": 0, "threshold": 10.0},
    {"name": "SequentialLR", "schedulers": TWO, "milestones": [2], "every": "step"},
    {"name": "StepLR", "step_size": 2, "every": "step"},
)


class Drawn(Dataset):
    """Images of two classes, one of them rare, with noise that is drawn each time."""

    targets = tuple(int(index % 5 == 0) for index in range(SAMPLES))

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        noise = torch.randint(0, 60, (1, 6, 6), dtype=torch.uint8)
        return noise + (index * 7 + 80 * self.targets[index]) % 190, self.targets[index]


class Net(nn.Module):
    """Convolutions in channels-last, batch norm and dropout; with a sparse embedding where asked for."""

    def __init__(self, num_classes, channels_last=True, sparse=False):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.deep = nn.Conv2d(3, 4, 2)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.3)
        self.middle = nn.Linear(36, 5)
        self.places = nn.EmbeddingBag(8, 5, sparse=True, mode="sum") if sparse else None
        self.last = nn.Linear(5, num_classes)
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def forward(self, x):
        found = self.middle(self.dropout(self.norm(self.deep(torch.relu(self.conv(x))))).flatten(1))
        if self.places is not None:
            found = found + self.places((x.flatten(1)[:, :4].clamp(0, 0.99) * 8).long())
        return self.last(found)


def optimizer(name, variant, grouped):
    """Return an optimizer's part of a config; with those that take only some parameters another for the rest."""
    options = VARIANTS[name][variant % len(VARIANTS[name])]
    spec = {"name": name, **({} if name == "LBFGS" else {"lr": 0.01}), **options}
    if name == "SparseAdam":
        return [{**spec, "match": "places*"}, {"name": "Adam", "lr": 0.01}]
    if name == "Muon":
        return [{**spec, "match": "middle.weight"}, {"name": "AdamW", "lr": 0.01}]
    return {**spec, "groups": [{"match": "conv*", "lr": 0.02}]} if grouped and name != "LBFGS" else spec


def case(number):
    """Return the config of a case, and the number of workers after it was stopped; all optimizers come in 15 cases."""
    names = sorted(VARIANTS)
    name, turn = names[number % len(names)], number // len(names)
    precision = PRECISIONS[(number + turn) % len(PRECISIONS)]
    before, after = WORKERS[(number + 3 * turn) % len(WORKERS)]
    lbfgs = name == "LBFGS"
    if lbfgs and precision == "fp16":
        precision = "bf16"
    model = {"name": f"{__name__}:Net", "channels_last": not lbfgs, "sparse": name == "SparseAdam"}
    config = {
        "seed": number,
        "data": {
            "source": f"{__name__}:Drawn",
            "split": {"train": 0.6, "val": 0.2, "test": 0.2},
            "augment": [{"name": "RandomCrop", "size": 6, "padding": 1}] if number % 2 else [],
            "batch_size": BATCH,
            "drop_last": number % 4 == 3,
            "sampling": "balanced" if number % 5 != 2 else None,
            "num_workers": before,
        },
        "model": model,
        "optimizer": optimizer(name, turn, number % 2 == 0),
        "schedule": SCHEDULES[7 * number % len(SCHEDULES)],
        "train": {
            "epochs": EPOCHS,
            "threads": 1,
            "precision": precision,
            "accumulate": (1, 3, 2)[number // 3 % 3],
            "clip_norm": (None, 0.5)[number // 5 % 2],
            "ema": (None, None, 0.8, 0.8)[number % 4],
        },
    }
    return config, after


def steps(config):
    """Return the number of updates of a case."""
    train = round(SAMPLES * 0.6)
    batches = train // BATCH if config["data"]["drop_last"] else -(-train // BATCH)
    return EPOCHS * -(-batches // config["train"]["accumulate"])


def light():
    """Leave out of a run's end what is not computed by training; and let fp16 overflow, here where it is slow."""
    multiprocessing.set_start_method("fork", force=True)  # as on a command line: this process came from a server
    from torch.amp.grad_scaler import GradScaler

    from torchwork import finishing
    from torchwork.training import precision

    finishing._look_into = lambda *arguments: None
    finishing._doubt = lambda *arguments: {}
    finishing.html.write = lambda directory: None
    precision.check = lambda *arguments: None
    precision.scaler = lambda name, device: (
        GradScaler(device.type, init_scale=2.0**22, growth_interval=3) if name == "fp16" else None
    )


def stopped(step):
    """Prepare a run to be asked to stop at a step."""
    from torchwork.training import loop

    light()
    loop.Step = functools.partial(signalling.once, loop.Step, (signal.SIGTERM,), [step])


def with_workers(count):
    """Prepare a run to go on with another number of workers."""
    import torchwork
    from torchwork.run import resume

    light()
    torchwork.resume = functools.partial(resume, overrides=[f"data.num_workers={count}"])


def result(out):
    """Return all that a run came to: with the averaged weights, and what state.json holds but for the times."""
    last = checkpoint.latest(out / rundir.CHECKPOINTS)
    state = json.loads((last / checkpoint.STATE).read_text())
    progress = state["progress"] = decode(state["progress"])
    for row in [progress, *progress["history"]]:
        row.pop("seconds"), row.pop("waited")
    averaged = last / checkpoint.AVERAGED
    return runs.result(out) | {"state": state, "averaged": averaged.read_bytes() if averaged.is_file() else None}
