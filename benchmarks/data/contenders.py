"""One contender in one process: reads two epochs of a job and prints what they took.

Run by ``run.py``, as ``python benchmarks/data/contenders.py JOB CONTENDER FOLDER``. Every contender gives float32
batches of 64, shuffled, augmented and normalised; the first epoch includes finding the files.
"""

from __future__ import annotations

import itertools
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

BATCH = 64
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
Epochs = Callable[[], Iterator[Any]]


# The usual way: a Dataset that opens with Pillow and transforms image by image, and PyTorch's DataLoader.


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return float32 [C, H, W] from 0 to 1, as torchvision's ToTensor."""
    pixels = np.asarray(image)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous().to(torch.float32).div(255)


def normalised(x: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    return (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def resized_crop(image: Image.Image, size: int) -> Image.Image:
    """Crop 8 to 100% of the area with a ratio of 3/4 to 4/3, as torchvision's RandomResizedCrop, and resize."""
    width, height = image.size
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1.0)
        ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return image.crop((left, top, left + w, top + h)).resize((size, size), Image.Resampling.BILINEAR)
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


class Files(Dataset[Any]):
    """Image files with a transform for each image."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.paths = paths
        self.transform = transform
        classes = {name: place for place, name in enumerate(sorted({path.parent.name for path in paths}))}
        self.labels = [classes[path.parent.name] for path in paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), self.labels[index]


class Digits(Dataset[Any]):
    """MNIST as torchvision has it: an image is made for each item."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index].numpy(), mode=None)
        return normalised(to_tensor(image), [0.1307], [0.3081]), int(self.labels[index])


def photo(image: Image.Image) -> torch.Tensor:
    image = resized_crop(image, 224)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return normalised(to_tensor(image), MEAN, STD)


def small(image: Image.Image) -> torch.Tensor:
    image = ImageOps.expand(image, 4)
    left, top = random.randint(0, 8), random.randint(0, 8)
    image = image.crop((left, top, left + 32, top + 32))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return normalised(to_tensor(image), MEAN, STD)


def usual(job: str, folder: Path) -> Epochs:
    if job == "mnist":
        from torchwork.data.idx import read_idx

        arrays = [read_idx(folder / f"train-{name}-ubyte.gz", "") for name in ("images-idx3", "labels-idx1")]
        data: Dataset[Any] = Digits(torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1]))
    else:
        data = Files(sorted(path for path in folder.rglob("*.*")), photo if job == "photos" else small)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=2)
    return lambda: iter(loader)


# Torchwork: the loader as a run has it, with one thread that computes beside those that decode.


def torchwork(job: str, folder: Path) -> Epochs:
    from torchwork.allocator import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    from torchwork.data.augment.build import build
    from torchwork.data.loader import Loader
    from torchwork.data.source import open_source
    from torchwork.data.target import Target
    from torchwork.data.transform import Pipeline

    normalize: dict[str, Any] = {"name": "Normalize", "mean": MEAN, "std": STD}
    if job == "mnist":
        spec: dict[str, Any] = {"name": "MNIST", "root": str(folder)}
        augments: list[dict[str, Any]] = []
        steps = [{"name": "Normalize", "mean": 0.1307, "std": 0.3081}]
    elif job == "photos":
        spec = {"name": "ImageFolder", "root": str(folder)}
        augments = [{"name": "RandomResizedCrop", "size": 224}, {"name": "RandomHorizontalFlip"}]
        steps = [{"name": "Resize", "size": 256}, {"name": "CenterCrop", "size": 224}, normalize]
    else:
        spec = {"name": "ImageFolder", "root": str(folder)}
        augments = [{"name": "RandomCrop", "size": 32, "padding": 4}, {"name": "RandomHorizontalFlip"}]
        steps = [normalize]
    source = open_source(spec)
    ids = source.given["train"] if source.given is not None else np.arange(len(source))
    pipeline = Pipeline(steps, source.schema)
    built = build(augments)
    pipeline.sized_later = any(augment.sizes for augment in built)
    pipeline.fit(source, ids)
    target = Target.fit(source.schema, source.targets, {"train": ids}, source.name)
    loader = Loader(source, ids, pipeline=pipeline, target=target, augments=built, batch_size=BATCH, shuffle=True)
    epoch = iter(range(1_000))
    return lambda: loader.batches(next(epoch))


# The limit: libjpeg-turbo and torch's resize on as many threads as there are cores, and nothing else.


def limit(job: str, folder: Path) -> Epochs:
    torch.set_num_threads(1)
    paths = sorted(path for path in folder.rglob("*.*"))

    def one(path: Path) -> int:
        pixels = torch.from_numpy(simplejpeg.decode_jpeg(path.read_bytes(), "RGB")).permute(2, 0, 1)[None]
        if job == "photos":
            height, width = pixels.shape[-2:]  # the mean share of the area that a RandomResizedCrop takes
            pixels = pixels[:, :, : round(height * 0.73), : round(width * 0.73)]
            pixels = F.interpolate(pixels, size=(224, 224), mode="bilinear", antialias=True)
        return pixels.shape[-1]

    def epoch() -> Iterator[int]:
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(one, paths, chunksize=8)

    return epoch


def main(job: str, contender: str, folder: Path) -> None:
    """Read two epochs; print their seconds and the peak of memory beyond the imports, in bytes."""
    for module in ("images", "loader", "mnist") if contender == "torchwork" else ():
        import_module(f"torchwork.data.{module}")  # imports are no part of an epoch
    memory = _memory()
    cpu, started = [_cpu()], time.perf_counter()
    epochs = {"usual": usual, "torchwork": torchwork, "limit": limit}[contender](job, folder)
    seconds, samples = [], 0
    for _ in range(2):
        for batch in epochs():
            if contender != "limit":
                inputs = batch[0]
                assert inputs.dtype == torch.float32
                samples += len(inputs)
        seconds.append(time.perf_counter() - started)
        cpu.append(_cpu())
        started = time.perf_counter()
    spent = [after - before for before, after in itertools.pairwise(cpu)]
    print(json.dumps({"seconds": seconds, "cpu": spent, "samples": samples // 2, "memory": _memory() - memory}))


def _cpu() -> float:
    """Return the seconds of processor time that this process and its children that ended have taken."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
