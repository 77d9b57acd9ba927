"""What goes wrong inside of training: told, written down, and gone back from."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import asdict
from pathlib import Path

from torchwork import rundir, together
from torchwork.assembly import Parts
from torchwork.runlog import RunLog
from torchwork.training import bundle, checkpoint, diagnosis, fault_text
from torchwork.training.diagnosis import Answer, Fault, Origin
from torchwork.training.nonfinite import NonFiniteError
from torchwork.training.saving import Saver
from torchwork.types import Finding

MOST_BUNDLES = 5  # of a run; each holds a copy of the weights


class Faults:
    """Tells what goes wrong in a run, and keeps it for the report."""

    def __init__(self, parts: Parts, log: RunLog) -> None:
        self._parts, self._log = parts, log
        self._told: set[int] = set()

    def not_finite(self, fault: Fault, answer: Answer) -> str:
        """Tell of a loss, a gradient or weights that are not finite; return the text of the error."""
        at = fault_text.place(fault)
        if answer == "rollback" or fault.index in self._told:  # a run that went back comes here again
            return f"{at}: {fault_text.short(fault)}"
        found = diagnosis.origin_of(fault)
        said = f"{fault_text.told(fault, found, self._name)}. {fault_text.fate(answer)}"
        kept = None if fault.shared else self._keep(fault, found)
        replay = f"replay it with: torchwork replay {shlex.quote(str(kept))}" if kept else ""
        finding = Finding("not-finite", "warning" if answer == "skip" else "error", at, said, replay)
        note(self._log.directory, finding)
        if answer == "skip":
            self._told.add(fault.index)
            self._log.finding(finding)
        return f"{at}: {said}. R{replay[1:]}" if replay else f"{at}: {said}"

    def cut(self, found: Finding) -> None:
        """Tell that batches are gone through in micro-batches."""
        note(self._log.directory, found)
        self._log.finding(found)

    def _name(self, id_: int) -> str:
        name = self._parts.data.source.name(id_)
        return str(id_) if name == f"sample {id_}" else f"{id_} ({name})"

    def _keep(self, fault: Fault, found: Origin) -> Path | None:
        folder = self._log.directory / rundir.FAULTS
        place = folder / f"{fault.index:08d}"
        if not place.exists() and folder.is_dir() and len(list(folder.iterdir())) >= MOST_BUNDLES:
            return None
        directory, names = self._log.directory, {id_: self._parts.data.source.name(id_) for id_ in fault.ids}

        def write() -> None:
            others = {name: (directory / name).read_bytes() for name in (rundir.CONFIG, rundir.DATA)}
            bundle.write(place, fault, found, names, others)

        self._log.trying(f"{rundir.FAULTS}/{place.name}", write)
        return place if place.is_dir() else None


def note(directory: Path, found: Finding) -> None:
    """Add a finding to those of a run, which its report shows, as far as the disk takes it; of one place the last."""
    path = directory / rundir.FINDINGS
    with contextlib.suppress(OSError, ValueError):
        before = rundir.read_json(path) if path.is_file() else []
        kept = [old for old in before if (old["code"], old["where"]) != (found.code, found.where)]
        rundir.write_json(path, [*kept, asdict(found)])


def go_back(
    parts: Parts, directory: Path, error: NonFiniteError, log: RunLog | None = None, saver: Saver | None = None
) -> None:
    """Put the last checkpoint into the state of a run, on every process that trains it; the first has a log and saves.

    Raises:
        NonFiniteError: there is none.
    """
    if saver is not None:
        saver.settle()
    progress = parts.state.progress
    with together.readable(directory) as here:
        place = checkpoint.latest(here / rundir.CHECKPOINTS)
        if place is None:
            raise error
        if log is not None:
            log.tell(f"warning: {error}; the run goes back to {place}")
        for finding in checkpoint.load(place, parts.state):
            if log is not None:
                log.finding(finding)
    vars(progress).update(vars(parts.state.progress))  # whoever looks at the progress has this very one
    parts.state.progress = progress
