"""A run in a paragraph, and its few headline numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from torchwork.metrics.direction import direction
from torchwork.report import cost, names
from torchwork.report.data_facts import aside, component, section
from torchwork.report.doubt import doubted
from torchwork.report.facts import Facts
from torchwork.report.figures import duration, figure, number, texts
from torchwork.report.tables import LEADING


class Headline(NamedTuple):
    """One number that is shown large: its 95% interval and its baseline, and a word on it, each empty where not."""

    name: str
    value: str
    interval: str = ""
    baseline: str = ""
    note: str = ""


def headline_split(facts: Facts) -> str | None:
    """Return the split whose numbers come first: test where there is one, else val, else whatever there is."""
    return next((split for split in ("test", "val", *facts.metrics) if split in facts.metrics), None)


def headlines(facts: Facts) -> list[Headline]:
    """Return the numbers at the top: the metrics of the headline split that say most."""
    split = headline_split(facts)
    if split is None:
        return []
    return [Headline(names.metric(name), *doubted(facts, split, name)) for name in _leading(facts, split)]


def headline_note(facts: Facts) -> str:
    """Return what the headlines are of, in one line: the split, its samples, the intervals and the baseline."""
    split = headline_split(facts)
    if split is None:
        return ""
    size = _size(facts, split)
    found = headlines(facts)
    doubt = ", with 95% intervals" if any(headline.interval for headline in found) else ""
    said = f"On {split}{f', {size:,} samples' if size else ''}{doubt}."
    name = facts.baselines.get(split, {}).get("name")
    if name and any(headline.baseline for headline in found):
        said += f" The baseline looks at no input. It predicts {name}."
    return said


def in_short(facts: Facts) -> list[Headline]:
    """Return the few figures of the training itself: the best epoch, the model's size, the time."""
    found = []
    if facts.best_epoch is not None:
        found.append(Headline("best epoch", str(facts.best_epoch), note=f"of {_epochs(facts)} run"))
    if number(facts.model.get("parameters")) is not None:
        trainable = facts.model.get("trainable", facts.model["parameters"])
        note = "all trained" if trainable == facts.model["parameters"] else f"{figure(trainable)} trained"
        found.append(Headline("parameters", figure(facts.model["parameters"]), note=note))
    seconds, share = cost.seconds(facts), cost.waited(facts)
    if seconds is not None:
        waiting = "" if share is None else f", {share:.0%} waiting for data"
        found.append(Headline("training time", duration(seconds), note=_device(facts) + waiting))
    return found


def sentences(facts: Facts) -> list[str]:
    """Return what was done, sentence by sentence, as far as the run directory tells."""
    said = [_what(facts), _how(facts)]
    if not facts.finished:
        said.append(_broke_off(facts))
    split = headline_split(facts)
    found = headlines(facts)
    if found:
        chosen = f" of epoch {facts.best_epoch}" if facts.best_epoch is not None else ""
        said.append(f"On {split} the weights{chosen} have {_with_doubt(found[0])}.")
        said.append(_no_skill(facts, str(split)))
    if found and split == "val":
        said.append(_without_test(facts))
    if facts.set_aside:
        said.append(aside(facts.set_aside))
    if facts.looks:
        said.append(looked(facts.looks))
    return [sentence for sentence in said if sentence]


def _with_doubt(headline: Headline) -> str:
    """Return a number in a sentence.

    >>> _with_doubt(Headline("accuracy", "0.989", "0.968 to 0.996", "0.100"))
    'accuracy 0.989 (0.968 to 0.996), baseline 0.100'
    """
    interval = f" ({headline.interval})" if headline.interval else ""
    baseline = f", baseline {headline.baseline}" if headline.baseline else ""
    return f"{headline.name} {headline.value}{interval}{baseline}"


def _no_skill(facts: Facts, split: str) -> str:
    """Return a sentence where the first number is no better than its baseline, or R² is below 0; else nothing."""
    metric = _leading(facts, split)[0]
    metrics, part = facts.metrics[split], facts.baselines.get(split, {}).get("metrics")
    value, base = number(metrics.get(metric)), number(part.get(metric)) if isinstance(part, Mapping) else None
    way = direction(metric)
    if value is not None and base is not None and way and (value <= base if way == "higher" else value >= base):
        return f"In {names.metric(metric)} it is no better than the baseline, which looks at no input."
    r2 = number(metrics.get("r2"))
    if r2 is not None and r2 < 0:
        return "R² is below 0: to predict the mean of the targets for every sample would be better."
    return ""


def _without_test(facts: Facts) -> str:
    if _size(facts, "test"):
        return "Test was left unseen, and val, by which the epoch was chosen, flatters."
    return "There is no test: val, by which the epoch was chosen, flatters."


def looked(times: int) -> str:
    """Return how often test was looked at, as a sentence.

    >>> looked(1), looked(3)
    ('Test was looked at once.', 'Test was looked at 3 times: what is chosen by it looks better than it is.')
    """
    if times == 1:
        return "Test was looked at once."
    return f"Test was looked at {times:,} times: what is chosen by it looks better than it is."


def started(facts: Facts) -> str:
    """Return when the run began, as people write it."""
    said = str(facts.environment.get("started") or "")
    return said.replace("T", " ").replace("+00:00", " UTC")


def told(facts: Facts) -> str:
    """Return how many errors and warnings the checks found, as a sentence; empty where there are none."""
    counts = Counter(found.severity for found in facts.run_findings)
    parts = [
        f"{counts[kind]:,} {kind}{'' if counts[kind] == 1 else 's'}" for kind in ("error", "warning") if counts[kind]
    ]
    return f"The checks found {_listed(parts)}." if parts else ""


def _leading(facts: Facts, split: str) -> list[str]:
    """Return the four metrics of a split that say most, the others only where these are not there.

    Metrics of one class or one target, as ``recall/cat``, are none of them.
    """
    metrics = facts.metrics[split]
    found = [name for name in LEADING if name in metrics]
    found += [name for name in metrics if name not in LEADING and name != "loss" and "/" not in name]
    return [*found, *(["loss"] if "loss" in metrics else [])][:4]


def _what(facts: Facts) -> str:
    model = component(facts.config.get("model")) or str(facts.model.get("model", "")) or "A model"
    source = component(section(facts.config, "data").get("source"))
    sizes = {split: _size(facts, split) for split in section(facts.data, "num_samples")}
    counted = _listed([f"{size:,} {split}" for split, size in sizes.items()])
    kinds = texts(facts.data.get("classes"))
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
    if section(facts.config, "schedule"):
        parts.append(f"and {component(facts.config['schedule'])}")
    if "seed" in facts.config:
        parts.append(f"from seed {facts.config['seed']}")
    return " ".join(parts) + "."


def _optimizer(item: Any) -> str:
    return f"{component(item)} (lr {item['lr']})" if isinstance(item, Mapping) and "lr" in item else component(item)


def _broke_off(facts: Facts) -> str:
    wanted = section(facts.config, "train").get("epochs")
    of = f" of {wanted}" if wanted else ""
    reason = f" It {facts.ended}." if facts.ended else ""
    return f"The run has not come to its end: {_epochs(facts)}{of} epochs are on record.{reason}"


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _epochs(facts: Facts) -> int:
    return len(facts.history.get("epoch", ()))


def _size(facts: Facts, split: str) -> int:
    if split in facts.predictions:
        return len(facts.predictions[split])
    count = section(facts.data, "num_samples").get(split)
    return count if isinstance(count, int) else 0


def _device(facts: Facts) -> str:
    return f"on {facts.environment['device']}" if facts.environment.get("device") else ""
