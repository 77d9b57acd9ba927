"""A run in a paragraph, and its few headline numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torchwork import rundir
from torchwork.report.facts import Facts
from torchwork.report.tables import duration, figure

_LEADING = (
    *("accuracy", "balanced_accuracy", "f1_macro"),
    *("lrap", "map_at_r", "recall_at_1", "roc_auc"),
    *("kendall_tau", "character_error_rate", "poisson_deviance"),
    *("mae", "rmse", "r2"),
)


class Headline(NamedTuple):
    """One number that is shown large, with a word on what it is of."""

    name: str
    value: str
    note: str


def component(value: Any) -> str:
    """Return the name of a component as it stands in a config.

    >>> component({"name": "Adam", "lr": 0.001}), component("LeNet"), component(None)
    ('Adam', 'LeNet', '')
    """
    if isinstance(value, Mapping):
        return str(value.get("name", ""))
    return "" if value is None else str(value)


def headline_split(facts: Facts) -> str | None:
    """Return the split whose numbers come first: test where there is one, else val, else whatever there is."""
    return next((split for split in ("test", "val", *facts.metrics) if split in facts.metrics), None)


def headlines(facts: Facts) -> list[Headline]:
    """Return the numbers at the top: the metrics of the headline split, the model's size and the time."""
    found = []
    split = headline_split(facts)
    if split is not None:
        size = _size(facts, split)
        note = f"on {split}, {size:,} samples" if size else f"on {split}"
        found += [Headline(name.replace("_", " "), figure(value), note) for name, value in _leading(facts, split)]
    if facts.best_epoch is not None:
        found.append(Headline("best epoch", str(facts.best_epoch), f"of {_epochs(facts)} run"))
    if "parameters" in facts.model:
        trainable = facts.model.get("trainable", facts.model["parameters"])
        note = "all trainable" if trainable == facts.model["parameters"] else f"{figure(trainable)} trainable"
        found.append(Headline("parameters", figure(facts.model["parameters"]), note))
    if "seconds" in facts.history:
        seconds = float(facts.history["seconds"].sum())
        found.append(Headline("training time", duration(seconds), _device(facts) + _waited(facts, seconds)))
    return found


def _waited(facts: Facts, seconds: float) -> str:
    """Return the share of the time in which training waited for data, where it was measured."""
    if "waited" not in facts.history or not seconds:
        return ""
    return f", {float(facts.history['waited'].sum()) / seconds:.0%} waiting for data"


def sentences(facts: Facts) -> list[str]:
    """Return what was done, sentence by sentence, as far as the run directory tells."""
    said = [_what(facts), _how(facts)]
    if not facts.finished:
        said.append(_broke_off(facts))
    split = headline_split(facts)
    if split is not None and facts.metrics[split]:
        numbers = ", ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in _leading(facts, split))
        chosen = f" of epoch {facts.best_epoch}" if facts.best_epoch is not None else ""
        said.append(f"The weights{chosen} give on {split}: {numbers}.")
    if facts.set_aside:
        said.append(aside(facts.set_aside))
    if facts.looks:
        said.append(looked(facts.looks))
    return [sentence for sentence in said if sentence]


def aside(rows: Sequence[Mapping[str, str]]) -> str:
    """Return how many samples were set aside, for what, and from which splits that came with the data, as a sentence.

    >>> aside([{"code": "unreadable", "split": "test"}, {"code": "truncated", "split": ""}])
    '2 samples were set aside (unreadable 1, truncated 1; 1 of test): set-aside.csv names them.'
    """
    codes = ", ".join(f"{code} {count:,}" for code, count in Counter(row["code"] for row in rows).items())
    parts = Counter(row["split"] for row in rows if row.get("split"))
    given = "".join(f"; {count:,} of {part}" for part, count in parts.items())
    were = "sample was" if len(rows) == 1 else "samples were"
    return f"{len(rows):,} {were} set aside ({codes}{given}): {rundir.SET_ASIDE} names them."


def looked(times: int) -> str:
    """Return how often test was looked at, as a sentence.

    >>> looked(1), looked(3)
    ('Test was looked at once.', 'Test was looked at 3 times: what is chosen by it looks better than it is.')
    """
    if times == 1:
        return "Test was looked at once."
    return f"Test was looked at {times:,} times: what is chosen by it looks better than it is."


def _leading(facts: Facts, split: str) -> list[tuple[str, Any]]:
    """Return the four metrics of a split that say most, the others only where these are not there.

    Metrics of one class or one target, as ``recall/cat``, are none of them.
    """
    metrics = facts.metrics[split]
    names = [name for name in _LEADING if name in metrics]
    names += [name for name in metrics if name not in _LEADING and name != "loss" and "/" not in name]
    return [(name, metrics[name]) for name in [*names, *(["loss"] if "loss" in metrics else [])][:4]]


def _what(facts: Facts) -> str:
    model = component(facts.config.get("model")) or str(facts.model.get("model", "")) or "A model"
    source = component(_section(facts.config, "data").get("source"))
    sizes = {split: _size(facts, split) for split in _section(facts.data, "num_samples")}
    counted = _listed([f"{size:,} {split}" for split, size in sizes.items()])
    kinds = facts.data.get("classes")
    called = "symbols" if facts.data.get("task") == "sequence" else "classes"
    classes = f" of {len(kinds):,} {called}" if kinds else ""
    samples = f" ({counted} samples{classes})" if counted else ""
    return f"{model} was trained{f' on {source}' if source else ''}{samples}."


def _how(facts: Facts) -> str:
    epochs = _epochs(facts)
    if not epochs:
        return ""
    parts = [f"It ran for {epochs} {'epoch' if epochs == 1 else 'epochs'}"]
    optimizers = facts.config.get("optimizer")
    listed = optimizers if isinstance(optimizers, list) else [optimizers] if optimizers else []
    if listed:
        parts.append(f"with {_listed([_optimizer(item) for item in listed])}")
    if _section(facts.config, "schedule"):
        parts.append(f"and {component(facts.config['schedule'])}")
    if "seed" in facts.config:
        parts.append(f"from seed {facts.config['seed']}")
    return " ".join(parts) + "."


def _optimizer(item: Any) -> str:
    return f"{component(item)} (lr {item['lr']})" if isinstance(item, Mapping) and "lr" in item else component(item)


def _broke_off(facts: Facts) -> str:
    wanted = _section(facts.config, "train").get("epochs")
    of = f" of {wanted}" if wanted else ""
    return f"The run has not come to its end: {_epochs(facts)}{of} epochs are on record."


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, Mapping) else {}


def _epochs(facts: Facts) -> int:
    return len(facts.history.get("epoch", ()))


def _size(facts: Facts, split: str) -> int:
    if split in facts.predictions:
        return len(facts.predictions[split])
    return int(_section(facts.data, "num_samples").get(split, 0))


def _device(facts: Facts) -> str:
    return f"on {facts.environment['device']}" if facts.environment.get("device") else ""
