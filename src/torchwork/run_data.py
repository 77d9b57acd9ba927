"""The data of a run: a source, its splits, what its targets mean, and the batches of each split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from torchwork.building import build_task, pipeline_of
from torchwork.config import Config
from torchwork.data import outliers, pairs, sampling
from torchwork.data.augment import build as augment
from torchwork.data.clean import Cleaned, clean
from torchwork.data.loader import Loader, check_batch_size
from torchwork.data.packed import default_cache
from torchwork.data.pairs import Companions
from torchwork.data.sampling import Sampling
from torchwork.data.soft import SoftTarget, distilled
from torchwork.data.source import open_source
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.loaded import load
from torchwork.run_split import Shared, share_out
from torchwork.tasks import contracts
from torchwork.tasks.binary import Binary
from torchwork.tasks.classification import Classification, hard
from torchwork.training import device as devices
from torchwork.training import precision
from torchwork.types import Batch, Finding, InputError, Source

EVALUATED_AT_ONCE = 4  # times as many samples as are trained on


@dataclass
class Data:
    """The data of a run: a source, which of its samples each split has, and the way from them to batches."""

    source: Source
    splits: dict[str, np.ndarray]
    target: Target | SoftTarget
    pipeline: Pipeline
    augments: list[Any]
    loaders: dict[str, Loader]
    input_shape: tuple[int, ...]
    cleaned: Cleaned
    shared: Shared
    companions: dict[str, Companions]
    targets: torch.Tensor  # of all samples of the splits, as the task gets them
    findings: list[Finding]  # what there is to say about how they are drawn

    def close(self) -> None:
        """End the loaders' worker processes."""
        for loader in self.loaders.values():
            loader.close()

    def told(self) -> list[Finding]:
        """Return everything that there is to say about the data."""
        found = [*getattr(self.source, "findings", ()), *self.cleaned.findings, *self.shared.findings]
        return [*found, *self.pipeline.findings, *self.findings]

    def train_targets(self) -> np.ndarray:
        """Return the targets of the training split, [N, ...], before any teacher or mixing changed them."""
        used = np.sort(np.concatenate(list(self.splits.values())))
        found: np.ndarray = self.targets[np.searchsorted(used, self.splits["train"])].numpy()
        return found

    def facts(self) -> dict[str, Any]:
        """Return what prediction and the report need to know about the data, as JSON can hold it."""
        schema, target = self.source.schema, self.target
        raw = self.source.targets
        counted = target.classes is not None and raw is not None
        counts = {name: target.counts(raw[ids]) for name, ids in self.splits.items()} if counted else {}  # type: ignore[index]
        return {
            "inputs": schema.inputs,
            "target": target.kind,
            "classes": target.classes,
            "target_names": target.target_names,
            "numbers": schema.numbers,
            "categories": schema.categories,
            **self.pipeline.facts(),
            "encoding": target.state(),
            "input_shape": self.input_shape,
            "source_samples": len(self.source),
            "num_samples": {name: len(ids) for name, ids in self.splits.items()},
            "class_counts": counts,
        }


def augment_steps(config: Config) -> list[Any]:
    """Build the augmentations of a config."""
    return augment.build(config.data.augment, "data.augment")


def open_data(config: Config, device: torch.device) -> tuple[Data, Any]:
    """Open the source, split it, fix what targets mean, fit the transform, and make a loader for each split.

    Returns:
        The data, and the task that config and targets decide, which says what the loaders have to draw.

    Raises:
        InputError: something is wrong with the data, or the task and its loss do not fit their targets.
    """
    spec = config.data
    source = open_source(spec.source, where="data.source")
    pipeline = pipeline_of(config, source.schema)
    cleaned = clean(source, spec.clean.model_dump(), filled=pipeline.facts().get("filled", ()))
    shared = share_out(config, source, cleaned.kept)
    splits, far, said = outliers.set_aside(source, shared.splits, spec.clean.outliers, config.seed)
    cleaned = cleaned.without(source, far, said)
    if source.targets is None:
        message = "gives no targets"
        raise InputError(Finding("no-targets", "error", "data.source", message, "training needs a target column"))
    check_batch_size(spec.batch_size, len(splits["train"]))
    target: Target | SoftTarget
    target = Target.fit(source.schema, source.targets, splits, source.name, spec.target_transform)
    task = build_task(config, target)
    if task.criterion.name == "KLDivLoss" and target.kind == "class":
        target = target.as_one_hot()  # the one loss that takes distributions only
    used = np.sort(np.concatenate(list(splits.values())))
    targets = target.encode(source.targets[used], precision.dtype(config.train.precision))
    task.check_targets(targets, "data.source")
    if spec.target is not None:
        contracts.check_soft(task, "the teacher", "data.target.run")
        target = _taught(Path(spec.target.run), source, splits["train"], target)
    augments = augment_steps(config)
    target = _mixable(augments, target, task)
    pipeline.cache = default_cache(spec.cache_gb)
    pipeline.sized_later = any(augment.sizes for augment in augments)
    pipeline.fit(source, splits["train"])
    drawn = _companions(config, task, source, splits, target)
    drawing, said = _sampling(config, source, splits["train"], task, targets[np.searchsorted(used, splits["train"])])
    loaders = _loaders(config, source, splits, pipeline, target, augments, drawn, drawing, device)
    shape = shape_of(next(iter(loaders["train"].batches(0))), together=bool(drawn))
    _check_evaluated_shape(pipeline, source, splits["train"], shape, augments)
    return Data(source, splits, target, pipeline, augments, loaders, shape, cleaned, shared, drawn, targets, said), task


def _loaders(
    config: Config,
    source: Source,
    splits: dict[str, np.ndarray],
    pipeline: Pipeline,
    target: Target | SoftTarget,
    augments: list[Any],
    drawn: dict[str, Companions],
    drawing: Sampling | None,
    device: torch.device,
) -> dict[str, Loader]:
    spec = config.data
    return {
        name: Loader(
            source,
            ids,
            pipeline=pipeline,
            target=target,
            augments=augments if name == "train" else (),
            batch_size=spec.batch_size if name == "train" else evaluation_size(config, drawn.get(name)),
            shuffle=spec.shuffle and name == "train",
            drop_last=spec.drop_last and name == "train",
            num_workers=spec.num_workers,
            timeout=spec.timeout,
            seed=config.seed,
            device=device,
            companions=drawn.get(name),
            sampling=drawing if name == "train" else None,
            late=name == "test",  # nothing of it is read before the end
        )
        for name, ids in splits.items()
    }


def _sampling(
    config: Config, source: Source, ids: np.ndarray, task: Any, targets: torch.Tensor
) -> tuple[Sampling | None, list[Finding]]:
    """Return how the training samples are drawn, where the config says how, and what that comes to."""
    how = config.data.sampling
    if how is None:
        return None, []
    if task.companions:
        message = f"{task.criterion.name} takes pairs or triplets, which are drawn by their own rule"
        raise InputError(Finding("no-sampling", "error", sampling.WHERE, message, "remove it"))
    if isinstance(task, Classification | Binary):
        targets = hard(targets)
    places = targets.numpy() if targets.ndim == 1 and not targets.is_floating_point() else None
    drawing = sampling.build(how, source, ids, places)
    return drawing, [sampling.told(how, drawing, places, getattr(task, "classes", ()))]


def _mixable(augments: list[Any], target: Any, task: Any) -> Any:
    """Return the target that MixUp or CutMix can mix, where there is one: the classes as rows of 0 and 1."""
    mixing = next((augment for augment in augments if augment.mixes), None)
    if mixing is None:
        return target
    if task.companions or target.kind == "sequence":
        those = "pairs" if task.companions else "sequences"
        message = f"{mixing.name} mixes the targets of two samples, which {those} have not"
        raise InputError(Finding("misfit", "error", mixing.where, message, "remove it"))
    contracts.check_soft(task, mixing.name, mixing.where)
    return target.as_one_hot() if isinstance(target, Target) and target.kind == "class" else target


def _check_evaluated_shape(
    pipeline: Pipeline, source: Source, train: np.ndarray, shape: tuple[int, ...], augments: list[Any]
) -> None:
    """Refuse augmentations that give the model another shape than evaluation will."""
    if not augments:
        return
    evaluated = pipeline.evaluated_shape(source, int(train[0]))
    if evaluated is not None and evaluated != shape:
        said, other = ("×".join(map(str, found)) for found in (shape, evaluated))
        message = f"in training the samples are {said}, at evaluation {other}"
        fix = "make data.transform give the size that data.augment gives: add Resize or CenterCrop"
        raise InputError(Finding("unequal-shapes", "error", "data.augment", message, fix))


def _companions(
    config: Config, task: Any, source: Source, splits: dict[str, np.ndarray], target: Any
) -> dict[str, Companions]:
    """Return who goes with whom in each split, where the task asks for pairs or triplets."""
    kind, given = task.companions, config.data.pairs
    if kind is None:
        if given is not None and given.file is not None:
            message = f"{task.criterion.name} takes no pairs"
            raise InputError(Finding("no-pairs", "error", "data.pairs.file", message, "remove it"))
        return {}
    if given is not None and given.file is not None:
        found = pairs.read_pairs(given.file, kind, source, splits)
        bare = [name for name in splits if name not in found]
        if bare:
            message = f"{given.file} has no rows for {' and '.join(bare)}"
            fix = f"add some, or do without: {', '.join(f'data.split.{name}: 0' for name in bare)}"
            raise InputError(Finding("split-without-rows", "error", "data.pairs.file", message, fix))
        return found
    assert source.targets is not None
    return {
        name: pairs.companions(
            kind,
            target.encode(source.targets[ids]).numpy(),
            ids,
            config.seed,
            classes=target.classes or (),
            part=name,
        )
        for name, ids in splits.items()
    }


def _taught(teacher: Path, source: Source, ids: np.ndarray, target: Target) -> SoftTarget:
    """Return a teacher's probabilities for the training samples as targets."""
    try:
        run = load(teacher)
    except InputError as error:
        raise InputError([replace(finding, where="data.target.run") for finding in error.findings]) from error
    if run.data["target"] != "class":
        message = f"{teacher} was not trained on classes"
        raise InputError(Finding("no-classes", "error", "data.target.run", message, "name a run of classification"))
    rows = []
    with devices.using_threads(run.config.train.threads or 1), torch.inference_mode():
        for part in np.array_split(ids, -(-len(ids) // run.config.data.batch_size)):
            inputs, _ = source.read(part, epoch=0)
            outputs = run.model(run.pipeline.finish(run.pipeline.prepare(inputs).to(run.device)))
            rows.append(run.task.probabilities(outputs).cpu().numpy())
    return distilled(target, ids, np.concatenate(rows), run.target.classes or ())


def shape_of(batch: Batch, *, together: bool = False) -> tuple[int, ...]:
    """Return the shape of one sample of a batch; with ``together`` the batch's rows are pairs or triplets."""
    inputs = batch.inputs
    if isinstance(inputs, dict):
        inputs = next(iter(inputs.values()))
    return tuple(inputs.shape[2 if together else 1 :])


def evaluation_size(config: Config, drawn: Companions | None = None) -> int:
    """Return how many samples are evaluated at a time.

    Four times as many as are trained on: without gradients they take less memory than a training batch. Pairs and
    triplets stay as many, as a loss may compare those of a batch.
    """
    return config.data.batch_size * (1 if drawn is not None else EVALUATED_AT_ONCE)


def evaluation_loader(config: Config, data: Data, split: str, device: torch.device) -> Loader:
    """Return a loader for a split as it is evaluated: in order, nothing dropped, nothing augmented."""
    return Loader(
        data.source,
        data.splits[split],
        pipeline=data.pipeline,
        target=data.target,
        batch_size=evaluation_size(config, data.companions.get(split)),
        num_workers=config.data.num_workers,
        timeout=config.data.timeout,
        seed=config.seed,
        device=device,
        companions=data.companions.get(split),
    )
