"""What a page says about the data: what they are, how they were split, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torchwork import rundir
from torchwork.report.facts import Facts
from torchwork.report.figures import figure, number, texts

_INPUTS = {"image": "images", "table": "rows of a table", "array": "arrays", "text": "texts", "audio": "sounds"}
_SPLITS = {
    "random": "Chance decides which sample is in which split.",
    "stratified": "Chance decides which sample is in which split; each class has the same share in all of them.",
    "grouped": "Groups stay whole: no two splits have samples of one group.",
    "time": "The splits follow each other in time: the earliest samples train, the latest test.",
    "hash": "The content of a sample decides its split, so that it stays there when others are added.",
    "given": "The data came with these splits.",
    "manifest": "The splits are those of another run.",
}


def component(value: Any) -> str:
    """Return the name of a component as it stands in a config.

    >>> component({"name": "Adam", "lr": 0.001}), component("LeNet"), component(None)
    ('Adam', 'LeNet', '')
    """
    if isinstance(value, Mapping):
        return str(value.get("name", ""))
    return "" if value is None else str(value)


def section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a mapping that is a mapping itself, empty where it is none."""
    value = content.get(name)
    return value if isinstance(value, Mapping) else {}


def rows(facts: Facts) -> list[tuple[str, str]]:
    """Return what is known of the data as names and values."""
    data, config = facts.data, section(facts.config, "data")
    found = [
        ("source", _call(config.get("source"))),
        ("inputs", _INPUTS.get(str(data.get("inputs")), "")),
        ("shape of one input", " × ".join(texts(data.get("input_shape")))),
    ]
    if data.get("num_tokens"):
        cut = f"{figure(data.get('num_texts_cut', 0))} texts of train cut to {figure(data.get('text_length', 0))}"
        found.append(("tokens", f"{figure(data['num_tokens'])} different; {cut}"))
    if texts(data.get("classes")):
        found.append(("classes", f"{len(data['classes']):,}"))
    found.append(("target", ", ".join(texts(data.get("target_names")))))
    found.append(("number columns", ", ".join(texts(data.get("numbers")))))
    found.append(("category columns", ", ".join(texts(data.get("categories")))))
    for step in ("transform", "augment"):
        steps = config.get(step)
        found.append((step, " → ".join(map(_call, steps)) if isinstance(steps, list) else ""))
    sizes = section(data, "num_samples")
    total = sum(number(size) or 0 for size in sizes.values())
    found += [
        (f"{split} samples", f"{figure(size)} ({(number(size) or 0) / total:.1%})")
        for split, size in sizes.items()
        if total
    ]
    if facts.set_aside:
        found.append(("set aside", f"{len(facts.set_aside):,}"))
    return [(name, value) for name, value in found if value]


def split_sentences(facts: Facts) -> list[str]:
    """Return how the samples were split, and what was set aside, as sentences."""
    spec = section(section(facts.config, "data"), "split")
    said = [_SPLITS.get(str(spec.get("by")), "")]
    if spec.get("group") or spec.get("pattern"):
        what = f"the column {spec['group']}" if spec.get("group") else f"the name, by {spec['pattern']}"
        said.append(f"The group of a sample is read from {what}.")
    if spec.get("time"):
        said.append(f"The time of a sample is read from the column {spec['time']}.")
    if spec.get("file"):
        said.append(f"They are read from {spec['file']}.")
    said += [
        f"The groups of {split} were chosen by name: {', '.join(texts(spec[f'{split}_groups']))}."
        for split in ("test", "val")
        if texts(spec.get(f"{split}_groups"))
    ]
    if spec.get("folds"):
        said.append(f"Of {spec['folds']} folds, number {spec.get('fold') or 1} is val.")
    if said != [""]:
        said.append(f"{rundir.SPLIT} names every sample and its split.")
    if facts.set_aside:
        said.append(aside(facts.set_aside))
    return [sentence for sentence in said if sentence]


def aside(listed: Sequence[Mapping[str, str]]) -> str:
    """Return how many samples were set aside, for what, and from which splits that came with the data, as a sentence.

    >>> aside([{"code": "unreadable", "split": "test"}, {"code": "truncated", "split": ""}])
    '2 samples were set aside (unreadable 1, truncated 1; 1 of test): set-aside.csv names them.'
    """
    counted = Counter(row.get("code") or "without a reason" for row in listed)
    codes = ", ".join(f"{code} {count:,}" for code, count in counted.items())
    parts = Counter(row["split"] for row in listed if row.get("split"))
    given = "".join(f"; {count:,} of {part}" for part, count in parts.items())
    were = "sample was" if len(listed) == 1 else "samples were"
    return f"{len(listed):,} {were} set aside ({codes}{given}): {rundir.SET_ASIDE} names them."


def _call(item: Any) -> str:
    """Return a component on one line, as a call.

    >>> _call({"name": "Resize", "size": 32}), _call("Digits")
    ('Resize(size=32)', 'Digits')
    """
    if not isinstance(item, Mapping):
        return component(item)
    options = ", ".join(f"{key}={value}" for key, value in item.items() if key != "name" and value is not None)
    return f"{component(item)}({options})" if options else component(item)
