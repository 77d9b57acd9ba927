"""The sections of a config and what each key means: frozen data, checked, and nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

Component = dict[str, Any]
"""A component after loading: ``{"name": ..., **options}``."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
# a number wherever it is used: the assembly of a run decides what is left open
BatchSize = Annotated[
    int,
    Field(ge=1),
    WrapValidator(lambda value, check: value if value == "auto" else check(value)),
    PlainSerializer(lambda value: value),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]


def _kind(kind: str, form: str = "one") -> dict[str, Any]:
    return {"component": kind, "form": form}


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class SplitConfig(_Section):
    """The keys of ``data.split``. Where one part is written, those left out share no default: train takes the rest."""

    train: Fraction = Field(default=0.7, description="The part of the samples to learn from, 0 to 1.")
    val: Fraction = Field(default=0.15, description="The part to evaluate on after each epoch, 0 to 1.")
    test: Fraction = Field(default=0.15, description="The part to evaluate on once, at the end, 0 to 1.")
    by: Literal["random", "stratified", "grouped", "time", "hash", "given", "manifest"] | None = Field(
        default=None,
        description="random; stratified: each class in the same proportion; grouped: groups stay whole; time: the "
        "earliest train, the latest test; hash: a sample keeps its side when data are added; given: the splits that "
        "the data come with; manifest: those of another run. null: what the keys below say, else given where there are "
        "such, else stratified for classes and random for numbers.",
    )
    group: str | None = Field(default=None, description="The column that says of which group a sample is: patient.")
    pattern: str | None = Field(
        default=None,
        description="A regular expression on the samples' names; what its first brackets match is the group: _(.+)_",
    )
    test_groups: list[str | int] = Field(
        default=[], description="The groups that test has, and no other; []: by the fraction."
    )
    val_groups: list[str | int] = Field(
        default=[], description="The groups that val has, and no other; []: by the fraction, of the groups left."
    )
    time: str | None = Field(
        default=None, description="The column that says when a sample came about: numbers, or dates as 2024-01-31."
    )
    file: str | None = Field(default=None, description="The split.csv of another run on the same data.")
    folds: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="Cut all but test into so many parts, of which one is val; null: by the fractions."
    )
    fold: Count | None = Field(default=None, description="Which of the folds is val, from 1; null: the first.")

    @model_validator(mode="before")
    @classmethod
    def _rest(cls, given: Any) -> Any:
        """Where a part is written, those left out are what remains: train the rest, or else val and test nothing."""
        if not isinstance(given, dict) or not {"train", "val", "test"} & given.keys():
            return given
        parts = {name: given[name] for name in ("train", "val", "test") if name in given}
        if not all(isinstance(part, int | float) for part in parts.values()):
            return given
        rest = round(1 - sum(parts.values()), 12)
        return {"train": rest if "train" not in parts and 0 <= rest <= 1 else 0.0, "val": 0.0, "test": 0.0, **given}


class CleanConfig(_Section):
    """The keys of ``data.clean``. What is set aside is in no split; set-aside.csv in the run directory says why."""

    unreadable: Literal["error", "drop"] = Field(
        default="error",
        description="Samples that cannot be read: error names them and stops before training; drop sets them aside.",
    )
    duplicates: Literal["error", "keep_first", "ignore"] | None = Field(
        default=None,
        description="Samples of the same content: error; keep_first sets the later ones aside; ignore lets the split "
        "part them. null: they stay, on one side of the split together.",
    )
    outliers: Literal["error", "drop", "ignore"] = Field(
        default="ignore", description="Rows of a table that are far from all others: error, drop or ignore."
    )
    missing: Literal["error", "drop", "mean", "median", "constant"] = Field(
        default="error",
        description="Empty cells of a table: error; drop the row; or the column's mean or median in the training "
        "split, or a constant, in their place.",
    )
    fill: float | str | None = Field(default=None, description="The constant of missing: constant.")


class PairsConfig(_Section):
    """The keys of ``data.pairs``."""

    file: str | None = Field(
        default=None,
        description="A CSV of pairs (two samples, perhaps 1 or -1) or triplets (anchor, positive, negative) by number "
        "or name. null: they are drawn.",
    )
    mining: Literal["none", "hard", "semi-hard"] = Field(
        default="none",
        description="Take triplets from each batch: hard: the farthest positive and the nearest negative; semi-hard: "
        "the nearest negative farther than the positive.",
    )


class TargetConfig(_Section):
    """The keys of ``data.target``."""

    run: str = Field(
        description="The directory of a finished run whose model gives the training samples' probabilities."
    )


class DataConfig(_Section):
    """The keys of ``data``."""

    source: Component = Field(
        description="Where the samples come from. Relative paths start at the current directory.",
        json_schema_extra=_kind("source"),
    )
    split: SplitConfig = Field(default=SplitConfig(), description="How the samples are shared out.")
    clean: CleanConfig = Field(
        default=CleanConfig(), description="What becomes of samples that are damaged, repeated, far off or incomplete."
    )
    transform: list[Component] = Field(
        default=[],
        description="What is done to each sample at training, evaluation and prediction alike, in this order.",
        json_schema_extra=_kind("transform", "list"),
    )
    augment: list[Component] = Field(
        default=[],
        description="Random changes to the samples of training, in this order.",
        json_schema_extra=_kind("augment", "list"),
    )
    target_transform: str | None = Field(
        default=None, description="A function for the targets, as package.module:function."
    )
    target: TargetConfig | None = Field(
        default=None,
        description="Learn from another run's probabilities (distillation); null: from the data's targets.",
    )
    pairs: PairsConfig | None = Field(
        default=None, description="Where pairs and triplets come from, for losses that take them; null: they are drawn."
    )
    batch_size: BatchSize = Field(
        default=64,
        description="The number of samples in a batch; auto: as many as memory takes, by trying before training.",
    )
    num_workers: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="Processes that read a user's own data set, or what is kept neither in memory nor in the cache.",
    )
    timeout: Annotated[float, Field(gt=0)] | None = Field(
        default=600.0,
        description="Seconds after which a process of num_workers that is still at the same sample counts as hung, "
        "which ends the run; null: never.",
    )
    cache_gb: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Gigabytes on disk for decoded images that do not fit in memory; 0: none. "
        "null: at most a fifth of the free disk.",
    )
    shuffle: bool = Field(default=True, description="A new order of the training samples in each epoch.")
    sampling: str | None = Field(
        default=None,
        description="Which training samples an epoch draws, with replacement, as many as there are: balanced: of every "
        "class as many; or the column of weights; null: each sample once.",
    )
    drop_last: bool = Field(default=False, description="Leave out the last batch of training where it is not full.")


class TrainConfig(_Section):
    """The keys of ``train``."""

    epochs: Count = Field(default=10, description="How often the training samples are gone through.")
    precision: Literal["fp32", "fp64", "bf16", "fp16", "auto"] = Field(
        default="fp32",
        description="The floating-point format: bf16 and fp16 for the forward and backward pass, with weights in fp32; "
        "auto: bf16 where a short trial before training shows that it is faster, else fp32.",
    )
    memory_format: Literal["contiguous", "channels_last"] | None = Field(
        default=None,
        description="How the weights of 2-d convolutions lie in memory; sums are rounded in another order. null: "
        "channels_last on a CPU where pooling and activations alone stand between them, else contiguous, or with "
        "precision: auto what a short trial shows to be faster.",
    )
    compile: Literal["off", "on", "auto"] = Field(
        default="off",
        description="Train what torch.compile makes of the model; sums are rounded in another order. auto: where a "
        "trial shows that it saves more time in the steps to come than compiling takes.",
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="Judge and keep an exponential moving average of the weights with this decay: 0.999; null: the "
        "weights themselves.",
    )
    accumulate: Count = Field(default=1, description="Batches to one update; equals one batch of their joint size.")
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="The greatest norm of all gradients together; null: no limit."
    )
    nonfinite: Literal["stop", "skip", "rollback"] = Field(
        default="stop",
        description="What is done about a loss or gradient that is NaN or infinite. stop: the run ends before the "
        "update; skip: its batches change nothing, at most 3 times in a row; rollback: back to the last checkpoint, "
        "and from there on such batches are skipped.",
    )
    patience: Count | None = Field(
        default=None,
        description="Stop after this many epochs in which the monitored figure got no better; null: never.",
    )
    monitor: str | None = Field(
        default=None, description="The column of history.csv that decides which epoch is best; null: val_loss."
    )
    keep_best: Count = Field(
        default=1, description="How many of the best epochs' checkpoints are kept, beside the last."
    )
    checkpoint_every_steps: Count | None = Field(
        default=None, description="Save after every so many updates, beside each epoch's end; null: not."
    )
    checkpoint_every_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Save after so many minutes, beside each epoch's end; null: not."
    )
    checkpoint_patience: Count = Field(
        default=10,
        description="Stop after so many failures in a row to write a checkpoint; each is followed by a longer pause.",
    )
    evaluate_test: bool = Field(
        default=True,
        description="Evaluate test when training is over; false: leave it unseen, for torchwork evaluate later.",
    )
    threads: Count | None = Field(
        default=None,
        description="Threads that compute; another number gives other bits. null: as many as there are cores.",
    )


class DistributedConfig(_Section):
    """The keys of ``distributed``: what several processes do that train one model (torchrun, --nproc)."""

    strategy: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto",
        description="ddp: each process holds the whole model; fsdp: each holds a part of weights, gradients and the "
        "optimizer's state, for a model that fits no device as a whole; auto: ddp, or where all are on one host's "
        "CPUs and the gradients small (64 MiB for two processes), a message from each to each.",
    )
    activation_checkpointing: bool = Field(
        default=False,
        description="Compute the outputs inside of each block again in the backward pass instead of keeping them: less "
        "memory for one more forward pass; also for one process.",
    )
    sync_batchnorm: bool = Field(
        default=False,
        description="Batch norm takes mean and variance over the whole batch, as one process does; it waits for the "
        "others at every such layer. false: over each process's rows.",
    )
    find_unused_parameters: bool | None = Field(
        default=None,
        description="Whether a step may use other parameters than the one before; null: whether the first batch "
        "leaves some out.",
    )
    check_every_steps: Count = Field(
        default=100, description="Compare weights and batches of all processes after so many updates."
    )
    timeout_minutes: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="How long a step of another process is waited for that is alive."
    )


class Config(_Section):
    """A whole job: data, model, optimisation. Every path in it is relative to the current directory."""

    name: Annotated[str, Field(max_length=100, pattern=r"^[^\s\\/:*?\"<>|.-][^\s\\/:*?\"<>|]*$")] = Field(
        default="run", description="The name of the run's directory below runs/."
    )
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="Decides every random number of the run.")
    device: str = Field(
        default="auto",
        pattern=r"^[a-z]+(:[0-9]+)?$",
        description="auto, cpu, cuda, cuda:1 or mps; auto: a GPU where there is one.",
    )
    task: str | None = Field(
        default=None,
        description="What the targets mean; null: what the loss or the targets say.",
        json_schema_extra=_kind("task", "name"),
    )
    data: DataConfig = Field(description="The data, and its way to a batch.")
    model: Component = Field(description="The model to train.", json_schema_extra=_kind("model"))
    init: dict[str, Any] = Field(
        default={},
        description="Start values by layer type (Linear) or pattern of parameter names (fc*).",
        json_schema_extra=_kind("init", "map"),
    )
    loss: Component | None = Field(
        default=None,
        description="What training makes small; null: the usual loss of the task.",
        json_schema_extra=_kind("loss"),
    )
    optimizer: Component | list[Component] = Field(
        description="How the parameters are updated. A list shares the parameters out by match.",
        json_schema_extra=_kind("optimizer", "one or list"),
    )
    schedule: Component | None = Field(
        default=None,
        description="How the learning rate changes; null: not at all.",
        json_schema_extra=_kind("schedule"),
    )
    train: TrainConfig = Field(default=TrainConfig(), description="The training itself.")
    distributed: DistributedConfig = Field(
        default=DistributedConfig(), description="Several processes that train one model."
    )
    metrics: list[Component] = Field(
        default=[],
        description="Metrics besides the task's own, at the end of the run: torchmetrics' (CohenKappa), or your own "
        "package.module:function of target, prediction, scores.",
        json_schema_extra=_kind("metric", "list"),
    )
    log: list[Component] = Field(
        default=[],
        description="Where the run is logged besides its directory: tensorboard, mlflow, wandb.",
        json_schema_extra=_kind("log", "list"),
    )
    search: dict[str, Any] = Field(
        default={},
        description="What torchwork sweep tries, by key: optimizer.lr: {log_uniform: [1e-4, 1e-1]}. One of choice, "
        "uniform, log_uniform, int, log_int for each; torchwork train does not look at it.",
    )
