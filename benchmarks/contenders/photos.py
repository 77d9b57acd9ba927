"""ResNet-18 on folders of CIFAR-10's JPEG files, with random crops and flips."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from benchmarks.contenders.work import Marks
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


def resnet18(num_classes: int = 10) -> nn.Module:
    """Return ResNet-18 for 32×32 images: a 3×3 stem without pooling, as its paper has it for CIFAR-10.

    >>> sum(p.numel() for p in resnet18().parameters())
    11173962
    """
    from torchwork.models.resnet import resnet18 as of_imagenet

    model = of_imagenet(num_classes=num_classes)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


class Files(Dataset[Any]):
    """JPEG files in class folders, opened and transformed one by one, as torchvision's reference does."""

    def __init__(self, root: Path) -> None:
        self.paths = sorted(root.glob("*/*.jpg"))
        classes = sorted({path.parent.name for path in self.paths})
        self.labels = [classes.index(path.parent.name) for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as opened:
            image = ImageOps.expand(opened.convert("RGB"), 4)
        left, top = random.randint(0, 8), random.randint(0, 8)
        image = image.crop((left, top, left + 32, top + 32))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(32, 32, 3).permute(2, 0, 1)
        x = pixels.contiguous().to(torch.float32).div(255)
        return x.sub(torch.tensor(MEAN)[:, None, None]).div(torch.tensor(STD)[:, None, None]), self.labels[index]


def run(name: str, job: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train as this contender does it."""
    return {"ours-auto": _ours, "ours": _ours, "loop": _loop, "lightning-bf16": _lightning}[name](name, settings)


def _loader(settings: dict[str, Any]) -> DataLoader[Any]:
    return DataLoader(
        Files(Path(settings["folder"])), settings["batch"], shuffle=True, num_workers=2, persistent_workers=True
    )


def _loop(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train in fp32 by a hand-written loop over a DataLoader, as torchvision's classification reference does."""
    loader, model, marks, samples = _loader(settings), resnet18(), Marks(), 0
    optimizer = torch.optim.SGD(model.parameters(), lr=settings["lr"], momentum=0.9, weight_decay=5e-4)
    for _ in range(settings["epochs"]):
        model.train()
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            marks.losses.append(loss.item())
            samples += len(y)
        marks.epoch()
    updates = len(marks.losses)
    return marks.result(updates=updates, samples=samples)


def _lightning(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train by Lightning with ``precision="bf16-mixed"``, without logger, checkpoints and bar."""
    import lightning
    from benchmarks.contenders.lightning_ import Watching

    class Classifier(lightning.LightningModule):
        """A classifier of Lightning's."""

        def __init__(self) -> None:
            super().__init__()
            self.model = resnet18()

        def training_step(self, batch: Any, index: int) -> Tensor:
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=settings["lr"], momentum=0.9, weight_decay=5e-4)

    marks = Marks()
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    watching: Any = [Watching(marks, prove=True)]
    trainer = lightning.Trainer(
        max_epochs=settings["epochs"], accelerator="cpu", precision="bf16-mixed", callbacks=watching, **off
    )
    loader = _loader(settings)
    trainer.fit(Classifier(), loader)
    return marks.result(updates=trainer.global_step, samples=len(loader.dataset) * settings["epochs"])


def config(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the job as a config."""
    return {
        "seed": settings.get("seed", 0),
        "data": {
            "source": {"name": "ImageFolder", "root": settings["folder"]},
            "split": {"train": 1.0},
            "transform": [{"name": "Normalize", "mean": MEAN, "std": STD}],
            "augment": [{"name": "RandomCrop", "size": 32, "padding": 4}, "RandomHorizontalFlip"],
            "batch_size": settings["batch"],
        },
        "model": {"name": "benchmarks.contenders.photos:resnet18"},
        "optimizer": {"name": "SGD", "lr": settings["lr"], "momentum": 0.9, "weight_decay": 5e-4},
        "train": {"epochs": settings["epochs"], "monitor": "train_loss"},
    }


def _ours(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train by a config."""
    from benchmarks.contenders.ours import Watching, stopping_when_trained

    import torchwork

    job = config(settings)
    if name == "ours-auto":
        job["train"]["precision"] = "auto"
    watching = Watching(prove=False)
    with tempfile.TemporaryDirectory() as folder, stopping_when_trained(watching, settings["epochs"]):
        torchwork.train(job, out=Path(folder) / "run", progress=watching)
    return watching.marks.result(updates=watching.updates, samples=watching.samples)
