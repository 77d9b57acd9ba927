"""The shapes that everything else speaks in: batches, losses, steps, findings, and the three protocols."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Inputs = Tensor | dict[str, Tensor]

Severity = Literal["error", "warning", "info"]

# control characters but line and tab, and those that change the direction of writing
_ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Batch(NamedTuple):
    """Some samples on their way to the model. The first axis of every tensor is B, the number of samples.

    ``inputs`` is a tensor [B, ...] or a dict of such; ``target`` is int64 [B] for classes, float [B, k] for numbers and
    int64 [B, S] for sequences, padded with -1; ``ids`` is a numpy int64 array [B] that indexes the source. Pairs and
    triplets have the members on a second axis, [B, m, ...], and the ids of the anchors, the first members.
    """

    inputs: Inputs
    target: Tensor
    ids: np.ndarray


class Step(NamedTuple):
    """One update of the optimizer.

    ``index`` counts windows from 1 over the whole run. ``loss`` is the window's mean loss, ``weight`` its denominator.
    ``loss`` and ``grad_norm`` are scalar tensors that stay on the device: whoever reads them pays for the
    synchronisation. ``grad_norm`` is None unless something asked for it. ``lr`` is that of the first group.
    ``samples`` counts those that were read for it, whether they count in the loss or not.
    """

    index: int  # type: ignore[assignment]
    loss: Tensor
    weight: float
    grad_norm: Tensor | None
    lr: float
    samples: int = 0


def printable(text: str) -> str:
    """Return a text that a terminal only shows: what gives it orders, or turns around what stands beside, is escaped.

    Names of files and classes come from the data and may hold anything. Lines and tabs stay.

    >>> printable("cat\\x1b[2J \\u202e0.99")
    'cat\\\\x1b[2J \\\\u202e0.99'
    """
    return _ORDERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@dataclass(frozen=True)
class Finding:
    """What a check has to say: where, what was found against what was expected, and how to mend it.

    >>> print(Finding("unknown-option", "error", "optimizer.lrr", "Adam has no option 'lrr'", "did you mean 'lr'?"))
    optimizer.lrr: Adam has no option 'lrr'; did you mean 'lr'?
    """

    code: str
    severity: Severity
    where: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        said = f"{self.where}: {self.message}" if self.where else self.message
        return printable(f"{said}; {self.fix}" if self.fix else said)


class Fault(NamedTuple):
    """One sample that cannot be used as it is: its index, what kind of fault (unreadable, missing) and why."""

    index: int  # type: ignore[assignment]
    code: str
    reason: str


class InputError(ValueError):
    """The user's input is wrong and nothing was started (exit code 2). Holds every finding, not only the first."""

    def __init__(self, findings: Finding | Sequence[Finding]) -> None:
        self.findings = [findings] if isinstance(findings, Finding) else list(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class RunError(RuntimeError):
    """A run that had started could not go on (exit code 1). What was already written stays."""


@dataclass(frozen=True)
class Schema:
    """What the samples of a source are.

    ``inputs``: ``image`` (uint8 [C, H, W]), ``table`` (columns of numbers and categories), ``array`` (any tensor),
    ``text`` (a str) or ``audio`` (float32 [n], one channel).
    ``target``: ``class`` (names), ``number`` ([k] floats, named by ``target_names``) or ``sequence`` (a text or a tuple
    of symbols), None where there is none.
    ``classes``: the names in the order that the data set itself defines; None where the training split decides.
    ``sample_rate``: of sounds, how many samples a second has.
    """

    inputs: Literal["image", "table", "array", "text", "audio"]
    target: Literal["class", "number", "sequence"] | None
    classes: tuple[str, ...] | None = None
    target_names: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    sample_rate: int | None = None


class Source(Protocol):
    """Indexable samples with a schema, read a batch at a time.

    ``targets`` holds the raw target of every sample (names or integers [N], float64 [N, k], or texts or tuples of
    symbols [N]), or None where there are none. ``given`` maps split names to indices where the data come with their
    own splits.
    """

    @property
    def schema(self) -> Schema: ...

    @property
    def targets(self) -> np.ndarray | None: ...

    @property
    def given(self) -> Mapping[str, np.ndarray] | None: ...

    @property
    def faults(self) -> Sequence[Fault]: ...

    @property
    def annotations(self) -> Mapping[str, np.ndarray]: ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What a person would call this sample: a file's path, a row of a table."""
        ...

    def read(self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None) -> tuple[Any, Any]:
        """Return the raw inputs and targets of ``indices``.

        Images are a uint8 tensor [B, C, H, W], or a list of [C, H, W] where sizes differ; ``size`` (height, width)
        is a hint that a decoder may use to read at a reduced scale, never below that size.
        """
        ...


class Task(Protocol):
    """Owns what outputs and targets mean: the loss, its denominator, the predictions, the metrics."""

    def loss(self, model: nn.Module, batch: Batch, weight: float | None = None) -> Tensor:
        """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole."""
        ...

    def weight(self, batch: Batch) -> float:
        """Return the denominator of a batch's mean loss, from its targets alone."""
        ...


Watcher = Callable[[Step], None]
