"""Sources whose samples stand in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from torchwork.types import Fault, Schema


def consecutive(indices: np.ndarray) -> bool:
    """Tell whether indices name things that stand one after the other, at least one.

    >>> consecutive(np.array([3, 4])), consecutive(np.array([4, 3])), consecutive(np.array([], np.int64))
    (True, False, False)
    """
    return len(indices) > 0 and bool((np.diff(indices) == 1).all())


class InMemory:
    """Samples of one tensor.

    Args:
        inputs: [N, ...], uint8 [N, C, H, W] for images.
        targets: The raw targets [N] or float64 [N, k], or None.
        schema: What the samples are.
        given: The splits that the data come with.
        names: What a person would call each sample; "sample 1" and so on where left out.
        faults: The samples that cannot be used as they are.
        annotations: Further columns by name, a value for each sample.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: np.ndarray | None,
        schema: Schema,
        given: Mapping[str, np.ndarray] | None = None,
        names: list[str] | None = None,
        faults: Sequence[Fault] = (),
        annotations: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.schema = schema
        self.given = given
        self.faults = tuple(faults)
        self.annotations = annotations or {}
        self._names = names

    def __len__(self) -> int:
        return len(self.inputs)

    def name(self, index: int) -> str:
        return self._names[index] if self._names is not None else f"sample {index + 1}"

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[Tensor, np.ndarray | None]:
        inputs = self.inputs.index_select(0, torch.from_numpy(np.asarray(indices, np.int64)))
        return inputs, None if self.targets is None else self.targets[indices]

    def standing(self, indices: np.ndarray) -> Tensor | None:
        """Return the inputs of samples that stand one after the other, where they stand; None of any others.

        >>> source = InMemory(torch.arange(5), None, Schema("array", "number"))
        >>> source.standing(np.array([1, 2])), source.standing(np.array([1, 3]))
        (tensor([1, 2]), None)
        """
        return self.inputs[int(indices[0]) : int(indices[-1]) + 1] if consecutive(indices) else None


class Rows:
    """Rows of a table.

    Args:
        numbers: float64 [N, n], one column for each of ``schema.numbers``.
        categories: Texts [N, k], one column for each of ``schema.categories``.
        targets: The raw targets [N] or float64 [N, k], or None.
        schema: What the samples are.
        given: The splits that the data come with.
        names: What a person would call each row; "row 1" and so on where left out.
        faults: The rows that cannot be used as they are.
        annotations: Further columns by name, a value for each row.
    """

    def __init__(
        self,
        numbers: np.ndarray,
        categories: np.ndarray,
        targets: np.ndarray | None,
        schema: Schema,
        given: Mapping[str, np.ndarray] | None = None,
        names: list[str] | None = None,
        faults: Sequence[Fault] = (),
        annotations: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.numbers = numbers
        self.categories = categories
        self.targets = targets
        self.schema = schema
        self.given = given
        self.faults = tuple(faults)
        self.annotations = annotations or {}
        self._names = names

    def __len__(self) -> int:
        return len(self.numbers)

    def name(self, index: int) -> str:
        return self._names[index] if self._names is not None else f"row {index + 1}"

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[dict[str, Tensor | np.ndarray], np.ndarray | None]:
        inputs = {"numbers": torch.from_numpy(self.numbers[indices]), "categories": self.categories[indices]}
        return inputs, None if self.targets is None else self.targets[indices]


class Texts:
    """Texts, one a sample.

    Args:
        texts: [N].
        targets: The raw targets [N] or float64 [N, k], or None.
        schema: What the samples are.
        given: The splits that the data come with.
        names: What a person would call each text; "text 1" and so on where left out.
        faults: The texts that cannot be used as they are.
        annotations: Further columns by name, a value for each text.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: np.ndarray | None,
        schema: Schema,
        given: Mapping[str, np.ndarray] | None = None,
        names: Sequence[str] | None = None,
        faults: Sequence[Fault] = (),
        annotations: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.texts = list(texts)
        self.targets = targets
        self.schema = schema
        self.given = given
        self.faults = tuple(faults)
        self.annotations = annotations or {}
        self._names = names

    def __len__(self) -> int:
        return len(self.texts)

    def name(self, index: int) -> str:
        return self._names[index] if self._names is not None else f"text {index + 1}"

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[list[str], np.ndarray | None]:
        texts = [self.texts[index] for index in np.asarray(indices).tolist()]
        return texts, None if self.targets is None else self.targets[indices]
