"""TensorBoard, by the writer that torch comes with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torchwork import rundir
from torchwork.data import decode
from torchwork.logs.logger import Job, Status, flat

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


def require() -> None:
    """Import what is needed, or raise ImportError."""
    import torch.utils.tensorboard  # noqa: F401


class TensorBoard:
    """Writes event files into the run directory: ``tensorboard --logdir runs`` shows all runs.

    Figures are scalars, the config is a text, the pictures in ``samples`` are images, and at the end the config's
    values stand as hyperparameters beside the final metrics. A resumed run purges what comes after its checkpoint.
    """

    def __init__(self, job: Job) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._job = job
        # the events after the checkpoint come again
        purge = job.index + 1 if job.index else None
        self._writer: SummaryWriter = SummaryWriter(str(job.directory / FOLDER), purge_step=purge)
        if not job.index:
            text = (job.directory / rundir.CONFIG).read_text(encoding="utf-8")
            self._writer.add_text("config", f"```\n{text}\n```", 0)
        self._writer.flush()

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Add scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the pictures, the hyperparameters and the final metrics."""
        for path in sorted((self._job.directory / rundir.SAMPLES).glob("*.png")):
            self._writer.add_image(f"samples/{path.stem}", decode.decode(path, mode="RGB"), step)
        self._writer.add_hparams(dict(flat(self._job.config)), dict(metrics), run_name=".", global_step=step)

    def close(self, status: Status) -> str:
        """Write what is left."""
        self._writer.close()
        return f"tensorboard: look at it by: tensorboard --logdir {shlex.quote(str(self._job.directory / FOLDER))}"
