"""MLflow, by its own client."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torchwork import rundir
from torchwork.logs.logger import Job, Status, flat

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FOLDER = "mlflow"
_MOST = 100  # parameters, and metrics, that are sent at once
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


def require() -> None:
    """Import what is needed, or raise ImportError. MLflow's own count of its users is off unless it was switched on."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow.tracking  # noqa: F401


class MLflow:
    """Logs to where ``MLFLOW_TRACKING_URI`` points; by default to files below the run directory.

    The config's values are parameters, figures are metrics, and the config, the metrics, the report and the plots are
    artifacts. A resumed run goes on in the same MLflow run. ``MLFLOW_EXPERIMENT_NAME`` names the experiment where the
    option does not.
    """

    def __init__(self, job: Job, tracking_uri: str | None = None, experiment: str | None = None) -> None:
        require()
        from mlflow.tracking import MlflowClient

        self._job, known = job, job.recall("mlflow")
        self._local = (job.directory / FOLDER).absolute()
        # not written down: it may hold a password, and the folder may have been moved since
        self._uri = None if known.get("local") else tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        with self._files_allowed():
            self._client: MlflowClient = MlflowClient(tracking_uri=self._uri or self._local.as_uri())
            if known:
                self._run: str = known["run_id"]
                self._client.update_run(self._run, status="RUNNING")
            else:
                self._run = self._begin(experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or job.name)
            self._last = self._last_steps() if known else {}

    @contextmanager
    def _files_allowed(self) -> Iterator[None]:
        """Let MLflow write files, which it refuses where it is not told to; its databases need more packages."""
        name = "MLFLOW_ALLOW_FILE_STORE"
        if self._uri is not None or name in os.environ:
            yield
            return
        os.environ[name] = "true"
        try:
            yield
        finally:
            del os.environ[name]

    def _begin(self, experiment: str) -> str:
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found is not None else self._client.create_experiment(experiment)
        run: str = self._client.create_run(number, run_name=self._job.title).info.run_id
        self._job.remember("mlflow", {"run_id": run, "local": self._uri is None})
        from mlflow.entities import Param

        parameters = [Param(key(name), str(value)[:6000]) for name, value in flat(self._job.config)]
        for some in _pieces(parameters):
            self._client.log_batch(run, params=some)
        self._client.log_artifact(run, str(self._job.directory / rundir.CONFIG))
        return run

    def _last_steps(self) -> dict[str, int]:
        names = self._client.get_run(self._run).data.metrics
        return {name: max(one.step for one in self._client.get_metric_history(self._run, name)) for name in names}

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Add metrics; what was logged of a step before the run was stopped is the same again, and left out."""
        self._log(step, {name: value for name, value in values.items() if step > self._last.get(key(name), -1)})

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(key(name), value, now, step) for name, value in values.items()]
        for some in _pieces(metrics):
            self._client.log_batch(self._run, metrics=some)

    def end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the final metrics, the report and the plots."""
        self._log(step, metrics)
        for name in (rundir.METRICS, rundir.REPORT):
            if (self._job.directory / name).is_file():
                self._client.log_artifact(self._run, str(self._job.directory / name))
        if any((self._job.directory / rundir.PLOTS).glob("*")):
            self._client.log_artifacts(self._run, str(self._job.directory / rundir.PLOTS), rundir.PLOTS)

    def close(self, status: Status) -> str:
        """Say how the run ended."""
        self._client.set_terminated(self._run, status=_STATUS[status])
        if self._uri is not None:
            return f"mlflow: run {self._run} at {re.sub('//[^/@]*@', '//', self._uri)}"
        look = f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {shlex.quote(str(self._local))}"
        return f"mlflow: look at it by: {look}"


def key(name: str) -> str:
    """Return a name as MLflow takes it: signs that it refuses become underscores.

    Its files are folders by ``/``, so that only the first one stays: no metric may be the folder of another.

    >>> key("val_accuracy"), key("test/recall/a<b>/c"), key("init.fc*"), key("test/..")
    ('val_accuracy', 'test/recall.a_b_.c', 'init.fc_', 'test/_')
    """
    split, slash, rest = name.partition("/")
    parts = [re.sub(r"[^\w .-]", "_", part.replace("/", ".")).strip() for part in (split, rest)]
    return slash.join(part if part.strip(".") or not slash else "_" for part in parts)[:250]


def _pieces(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _MOST):
        yield items[start : start + _MOST]
