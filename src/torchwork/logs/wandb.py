"""Weights & Biases, by its own library."""

from __future__ import annotations

import json
import os
import re
import shlex
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torchwork import rundir
from torchwork.logs.logger import Job, Status

FOLDER = "wandb"
_LAST = "last-steps.json"


def require() -> None:
    """Import what is needed, or raise ImportError. Reports of its own errors are off unless they were switched on."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb  # noqa: F401


class WandB:
    """Logs to the run directory, and to the network only where ``mode`` or ``WANDB_MODE`` says online.

    Figures are the history, the config is the config, the final metrics are the summary, and the report is logged as a
    page. A resumed run goes on under the same id. ``WANDB_PROJECT`` and ``WANDB_ENTITY`` count where the options are
    not given.
    """

    def __init__(
        self,
        job: Job,
        project: str | None = None,
        entity: str | None = None,
        mode: Literal["online", "offline"] | None = None,
    ) -> None:
        require()
        import wandb

        self._job = job
        name = job.recall("wandb").get("id")
        chosen: Any = mode or os.environ.get("WANDB_MODE") or "offline"
        directory = job.directory.absolute()
        (directory / FOLDER).mkdir(exist_ok=True)  # else a hidden folder somewhere else is taken
        self._place = directory / FOLDER / _LAST
        self._last: dict[str, int] = json.loads(self._place.read_text()) if name and self._place.is_file() else {}
        self._run = wandb.init(
            project=project or os.environ.get("WANDB_PROJECT") or re.sub(r"[/\\\\#?%:]", "_", job.name),
            entity=entity,
            name=job.title,
            id=name or uuid.uuid4().hex[:8],
            resume="allow",
            mode=chosen,
            dir=str(directory),
            config=dict(job.config),
            settings=wandb.Settings(console="off", silent=True, save_code=False),
        )
        job.remember("wandb", {"id": self._run.id})

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Add to the history; what was logged of a step before the run was stopped is the same again, and left out."""
        new = {name: value for name, value in values.items() if step > self._last.get(name, -1)}
        if new:
            self._run.log(new, step=step)
            self._last |= dict.fromkeys(new, step)
            self._place.write_text(json.dumps(self._last))

    def end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the final metrics and the report."""
        import wandb

        self._run.summary.update(dict(metrics))
        report = self._job.directory / rundir.REPORT
        if report.is_file():
            self._run.log({"report": wandb.Html(str(report))}, step=step)

    def close(self, status: Status) -> str:
        """End the run, and say how to send it where it is not sent yet."""
        folder = Path(self._run.dir).parent
        url = "" if self._run.offline else self._run.url
        self._run.finish(exit_code=0 if status == "finished" else 1)
        if url:
            return f"wandb: {url}"
        return f"wandb: kept in {folder}; send it by: wandb sync {shlex.quote(str(folder))}"
