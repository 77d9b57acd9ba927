"""The hand-written loop: preloaded tensors and the fused optimizer (the limit), or the usual image pipeline."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.contenders.work import MEAN, STD, InOrder, Marks, Work, judge, updates_of
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


def bare(work: Work) -> dict[str, Any]:
    """Index preloaded tensors; nothing else is done that training does not need."""
    x, y = work.train()
    val, model, marks = work.val(), work.model(), Marks()
    optimizer = torch.optim.Adam(model.parameters(), lr=work.lr, fused=True)
    samples = 0
    for order in torch.from_numpy(work.orders())[: work.epochs]:
        model.train()
        for rows in order.split(work.batch):
            inputs, target = x.index_select(0, rows), y.index_select(0, rows)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), target)
            loss.backward()
            optimizer.step()
            samples += len(rows)
            if work.prove:
                marks.loss(loss)
        marks.epoch(*(judge(model, val, work.batch) if val is not None else ()))
    return marks.result(updates=updates_of(optimizer), samples=samples)


class Pictures(Dataset[Any]):
    """Digits as torchvision's MNIST has them: a picture is made for each item, and transformed."""

    def __init__(self, images: Any, labels: Any) -> None:
        self.images, self.labels = torch.from_numpy(images), torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index].numpy())
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, image.height, image.width)
        x = pixels.to(torch.float32).div(255)  # ToTensor
        return x.sub(torch.tensor(MEAN)).div(torch.tensor(STD)), int(self.labels[index])


def lecture(work: Work) -> dict[str, Any]:
    """Train as courses teach it: torchvision's data set, two workers, the loss read at every step."""
    arrays = work.arrays()
    train = Pictures(arrays["x_train"], arrays["y_train"])
    loader = DataLoader(train, work.batch, sampler=InOrder(work.orders()), num_workers=2)
    tests = DataLoader(Pictures(arrays["x_val"], arrays["y_val"]), work.batch, num_workers=2)
    model, marks, samples = work.model(), Marks(), 0
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=work.lr)
    for _ in range(work.epochs):
        model.train()
        running = 0.0
        for inputs, target in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), target)
            loss.backward()
            optimizer.step()
            running += loss.item()
            samples += len(target)
            if work.prove:
                marks.loss(loss)
        model.eval()
        total, right = 0.0, 0
        with torch.no_grad():
            for inputs, target in tests:
                output = model(inputs)
                total += criterion(output, target).item() * len(target)
                right += int((output.argmax(1) == target).sum())
        marks.epoch(total / len(tests.dataset), right / len(tests.dataset))
    return marks.result(updates=updates_of(optimizer), samples=samples)


CONTENDERS = {"bare": bare, "bare-again": bare, "lecture": lecture}
