"""The data sets that come inside scikit-learn's wheel: real data, no network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn import datasets

from torchwork.data.memory import InMemory, Rows
from torchwork.types import Schema


class Digits(InMemory):
    """1,797 handwritten digits as grey images of 8×8 pixels, 10 classes.

    scikit-learn's levels 0 to 16 are scaled to 0 to 255 and rounded: ``level * 255 / 16``.

    >>> source = Digits()
    >>> source.read(np.arange(2), epoch=1)[0].shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self) -> None:
        found = datasets.load_digits()
        levels = np.rint(found.images * (255 / 16)).astype(np.uint8)
        schema = Schema("image", "class", classes=tuple(str(name) for name in found.target_names))
        super().__init__(torch.from_numpy(levels[:, None]), found.target.astype(np.int64), schema)


def _class_table(found: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, Schema]:
    classes = tuple(str(name) for name in found.target_names)
    schema = Schema("table", "class", classes=classes, numbers=tuple(map(str, found.feature_names)))
    numbers = np.ascontiguousarray(found.data, np.float64)
    return numbers, np.empty((len(numbers), 0), object), found.target.astype(np.int64), schema


class Iris(Rows):
    """150 iris flowers of 3 species by 4 measures in centimetres.

    >>> Iris().schema.classes
    ('setosa', 'versicolor', 'virginica')
    """

    def __init__(self) -> None:
        super().__init__(*_class_table(datasets.load_iris()))


class Wine(Rows):
    """178 wines of 3 growers by 13 chemical measures.

    >>> len(Wine())
    178
    """

    def __init__(self) -> None:
        super().__init__(*_class_table(datasets.load_wine()))


class BreastCancer(Rows):
    """569 tumours, malignant or benign, by 30 measures of their cells.

    >>> BreastCancer().schema.classes
    ('malignant', 'benign')
    """

    def __init__(self) -> None:
        super().__init__(*_class_table(datasets.load_breast_cancer()))


class Diabetes(Rows):
    """442 diabetes patients by 10 measures in their own units; the target is the disease's progression in a year.

    >>> Diabetes().schema.target_names
    ('progression',)
    """

    def __init__(self) -> None:
        found = datasets.load_diabetes(scaled=False)
        numbers = np.ascontiguousarray(found.data, np.float64)
        names = tuple(map(str, found.feature_names))
        schema = Schema("table", "number", target_names=("progression",), numbers=names)
        targets = found.target.astype(np.float64)[:, None]
        super().__init__(numbers, np.empty((len(numbers), 0), object), targets, schema)
