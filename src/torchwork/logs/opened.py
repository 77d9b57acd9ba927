"""The loggers of a run, checked before it starts; one that fails on the way is switched off, and the run goes on."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torchwork import catalog
from torchwork.logs import LOGS
from torchwork.logs.logger import Job, Logger, Status
from torchwork.types import Finding, InputError, Step

_POINTS = 10  # losses of single steps that are logged in an epoch; each of them is read from the device
_MOST = 1000  # final metrics


def check(specs: Sequence[Mapping[str, Any]], where: str = "log") -> list[Finding]:
    """Return what is wrong with the loggers of a config: a package that is missing, options that are not there.

    >>> [found.message for found in check([{"name": "tensorboard", "every": 3}])]
    ["TensorBoard has no option 'every'"]
    """
    findings = []
    names = [spec["name"] for spec in specs]
    for index, spec in enumerate(specs):
        place, name = f"{where}[{index}]", spec["name"]
        try:
            component = catalog.load(name, LOGS, "log", place)
        except InputError as error:
            findings += error.findings
            continue
        options = {key: value for key, value in spec.items() if key != "name"}
        findings += catalog.check_options(component, options, place, hidden={"job": "it is this run"}, supplied=["job"])
        if name in names[:index]:
            findings.append(Finding("twice", "error", place, f"{name} is named twice", "leave one out"))
        elif name in LOGS:
            findings += _missing(name, place)
    return findings


def _missing(name: str, where: str) -> list[Finding]:
    fix = f"pip install 'torchwork[{name}]'"
    try:
        importlib.import_module(LOGS[name].partition(":")[0]).require()
    except ModuleNotFoundError as error:
        return [Finding("not-installed", "error", where, f"{name} is not installed (no module {error.name!r})", fix)]
    except Exception as error:  # another's package runs at its import, and may fail in any way
        message = f"{name} cannot be imported: {type(error).__name__}: {error}"
        return [Finding("not-installed", "error", where, message, f"mend it: {fix}")]
    return []


class Logs:
    """Tells every logger; one that raises is told of once and not asked again.

    Args:
        loggers: By name.
        every: Of how many steps one has its loss logged.
        index: The steps that the run has made already.
        tell: Takes a sentence about a logger that fails, or about where to look.
    """

    def __init__(
        self, loggers: Mapping[str, Callable[[], Logger]], every: int, index: int, tell: Callable[[str], None]
    ) -> None:
        self._every, self._index, self._tell = every, index, tell
        self._loggers: dict[str, Logger] = {}
        for name, make in loggers.items():
            with self._surviving(name):
                self._loggers[name] = make()

    @contextmanager
    def _surviving(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the disk, the network, or a mistake of another's package: the run goes on
            self._loggers.pop(name, None)
            said = " ".join(str(error).split())[:300]
            self._tell(f"warning: {name} fails and is switched off: {type(error).__name__}: {said}")

    def _each(self, do: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            with self._surviving(name):
                do(logger)

    def step(self, step: Step) -> None:
        """Log the loss of every so many-th step; the others are not read."""
        self._index = step.index
        if step.index % self._every == 0 and self._loggers:
            values = {"step/loss": step.loss.item(), "step/lr": step.lr}
            self._each(lambda logger: logger.numbers(step.index, values))

    def epoch(self, row: Mapping[str, float]) -> None:
        """Log the row of an epoch under the names that history.csv has."""
        self._index = int(row["step"])
        values = {name: float(value) for name, value in row.items() if name != "step"}
        self._each(lambda logger: logger.numbers(self._index, values))

    def end(self, metrics: Mapping[str, Mapping[str, Any]]) -> None:
        """Log the final metrics of each split as ``split/metric``; NaN and infinities may be texts.

        Those of single classes are left out where they are too many to look at.
        """
        values = {f"{split}/{name}": float(value) for split, found in metrics.items() for name, value in found.items()}
        if len(values) > _MOST:
            values = {name: value for name, value in values.items() if name.count("/") == 1}
        self._each(lambda logger: logger.end(self._index, values))

    def close(self, status: Status) -> None:
        """End all loggers, and say where to look."""
        for name, logger in list(self._loggers.items()):
            with self._surviving(name):
                said = logger.close(status)
                if said:
                    self._tell(said)
        self._loggers.clear()


@contextmanager
def logging(
    specs: Sequence[Mapping[str, Any]], job: Job, steps_per_epoch: int, tell: Callable[[str], None]
) -> Iterator[Logs]:
    """Open the loggers of a run, and close them however it ends.

    Args:
        specs: The components of the config's ``log``, which were checked.
        job: The run.
        steps_per_epoch: Updates in an epoch.
        tell: Takes what there is to say.
    """
    makers: dict[str, Callable[[], Logger]] = {}
    for index, spec in enumerate(specs):
        options = {key: value for key, value in spec.items() if key != "name"}
        component = catalog.load(spec["name"], LOGS, "log", f"log[{index}]")
        makers[spec["name"]] = partial(component, job, **options)
    logs = Logs(makers, max(1, -(-steps_per_epoch // _POINTS)), job.index, tell)
    status: Status = "failed"
    try:
        yield logs
        status = "finished"
    except KeyboardInterrupt:
        status = "stopped"
        raise
    finally:
        logs.close(status)
