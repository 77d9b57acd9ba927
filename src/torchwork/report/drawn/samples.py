"""What is drawn of single samples: the worst ones, where their predictions come from, and a batch of training."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from torchwork import rundir
from torchwork.report.drawn import inspected
from torchwork.report.drawn.drawing import Drawing, saved
from torchwork.report.facts import Facts
from torchwork.report.figures import figure as figure_of
from torchwork.report.names import label
from torchwork.report.plots import style
from torchwork.report.plots.alignment import ctc_alignment
from torchwork.report.plots.saliency import maps
from torchwork.report.plots.samples import contact_sheet, worst_samples
from torchwork.report.plots.signals import signal_maps
from torchwork.report.plots.words import word_weights

_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}
_SHEET = 640  # pixels of the longer side of the batch's sheet on the page


def worst_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the most wrong and the least certain samples."""
    found = inspected.part(facts, "samples")
    if not found:
        return
    of = f"of the {found['n']:,} {found['split']} samples"
    wrong = found.get("wrong")
    whose = f"Those {of}" if wrong is None else f"Those of the {wrong:,} wrong predictions {of}"
    kinds = {
        "most_wrong": f"{whose} with the greatest loss, the greatest first: look for wrong labels among them.",
        "least_certain": f"Those {of} whose prediction is the least probable, without those among the most wrong.",
    }
    for kind, caption in kinds.items():
        title = f"{kind.replace('_', ' ').capitalize()} samples"
        samples = found.get(kind) or []
        if kind == "most_wrong" and wrong == 0:
            said = f"There are none: the prediction of each {of} is right."
            yield saved(facts, kind, title, said, style.nothing([said]))._replace(element="")  # the caption says it
        if samples:
            pictures = [inspected.file(facts, sample.get("picture")) for sample in samples]
            figure = worst_samples(
                [_shown(sample, path) for sample, path in zip(samples, pictures, strict=True)],
                ["\n".join(_lines(sample)) for sample in samples],
            )
            drawing = saved(facts, kind, title, caption, figure)
            yield drawing._replace(element=_grid(samples, pictures, bool(found.get("is_class"))), wide=True)


def map_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield where predictions come from."""
    found = inspected.part(facts, "maps")
    if not found:
        return
    of = f"the {found['n']:,} {found['split']} samples"
    whose = f"The most wrong of {of}, and those that came out best"
    if "file" not in found:
        labels = [f"{sample['name']}: {', '.join(inspected.said(sample))}" for sample in found["samples"]]
        texts = [[(word, inspected.number(weight)) for word, weight in sample["tokens"]] for sample in found["samples"]]
        caption = (
            f"{whose}, word by word: blue speaks for {found['score']}, vermillion against it, by the gradient times "
            "the word's vector. It tells what a small change would do, not what the word means."
        )
        yield saved(facts, "words", "Words that count", caption, word_weights(texts, labels=labels))
        return
    given = inspected.arrays(facts, found)
    slices = found.get("slices") or [()] * len(found["samples"])
    labels = [
        "\n".join([f"id {sample['id']}", *_apart(sample), *_slice(place)])
        for sample, place in zip(found["samples"], slices, strict=True)
    ]
    drawn = (signal_maps, "signal") if "signal" in given else (maps, "picture")
    figure = drawn[0](given[drawn[1]], given["gradient"], given.get("cam", ()), labels=labels)
    cam = (
        f"Grad-CAM (Selvaraju et al., 2017) shows where the maps of {found['layer']} speak for it; "
        if "cam" in given
        else f"There is no Grad-CAM: {found.get('no_cam')}. "
    )
    where = "the gradient" if "cam" in given else "The gradient"
    what = "steps" if "signal" in given else "pixels"
    some = " Of each volume the slice is shown whose voxels would move it most." if found.get("slices") else ""
    caption = f"{whose}. {cam}{where} shows which {what} would move {found['score']} most.{some}"
    yield saved(facts, "maps", "Where predictions come from", caption, figure)


def _apart(sample: Mapping[str, Any]) -> list[str]:
    """Return what came out, how sure it is on a line of its own, which leaves the names more room."""
    certainty = inspected.number(sample.get("certainty"))
    sure = [f"{certainty:.0%} sure"] if np.isfinite(certainty) else []
    return [*inspected.said({**sample, "certainty": None}), *sure]


def _slice(place: Sequence[int]) -> list[str]:
    return [f"slice {place[0]} of {place[1]}"] if place else []


def alignment_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield how sequences are read."""
    found = inspected.part(facts, "alignments")
    if not found:
        return
    probabilities = inspected.arrays(facts, found)["probabilities"]
    for place, sample in enumerate(found["samples"]):
        figure = ctc_alignment(
            probabilities[place],
            found["symbols"],
            blank=found["blank"],
            target=sample["target"],
            prediction=sample["prediction"],
        )
        which = "the most wrong one" if place == 0 else "the one that came out best"
        caption = (
            f"Of the {found['split']} samples {which}, {sample['name']} (id {sample['id']}): the darker, the likelier "
            "a symbol is at a step. The line follows the likeliest; repeats on it are merged, and blanks left out."
        )
        yield saved(facts, f"ctc_alignment-{place + 1}", f"How a sequence is read: {which}", caption, figure)


def batch_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the batch of training."""
    path = inspected.file(facts, f"{rundir.SAMPLES}/train-batch.png")
    if path is None:
        return
    with Image.open(path) as sheet:
        small = sheet.convert("RGB")
    if max(small.size) > _SHEET:
        small.thumbnail((_SHEET, _SHEET), Image.Resampling.LANCZOS)
    figure = contact_sheet([np.asarray(small)], columns=1)
    caption = f"The first batch of training as the model gets it, {_augmented(facts)}; each stretched to its own range."
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80)
    image = f'<img class="sheet" src="{_data(content.getvalue(), ".jpg")}" alt="{escape(caption)}">'
    yield saved(facts, "train_batch", "A batch of training", caption, figure)._replace(element=image)


def _augmented(facts: Facts) -> str:
    data = facts.config.get("data")
    steps = (data.get("augment") if isinstance(data, Mapping) else None) or []
    names = [str(step.get("name") if isinstance(step, Mapping) else step) for step in steps]
    return f"after {', '.join(names)}" if names else "without augmentation"


def _lines(sample: Mapping[str, Any]) -> list[str]:
    name = f"{sample['name']} (id {sample['id']})"
    return [name, *inspected.said(sample), f"loss: {figure_of(inspected.number(sample.get('loss')))}"]


def _shown(sample: Mapping[str, Any], path: Path | None) -> Any:
    """Return a sample's picture as an array, or in words; None where its picture is gone."""
    if path is not None:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    return None if "picture" in sample else _words(sample)


def _words(sample: Mapping[str, Any]) -> str:
    if sample.get("columns"):
        return ", ".join(f"{name} {value}" for name, value in sample["columns"])
    return str(sample.get("words") or sample.get("numbers") or sample.get("reason") or "(nothing)")


def _grid(samples: Sequence[Mapping[str, Any]], pictures: Sequence[Path | None], is_class: bool) -> str:
    """Return the samples as a list for the page, their pictures inside; everything from the data is escaped."""
    items = []
    for sample, path in zip(samples, pictures, strict=True):
        first, *lines = (escape(label(line, 60)) for line in _lines(sample))
        said = "".join(f"<li>{line}</li>" for line in lines)
        wrong = ' class="wrong"' if is_class and sample.get("target") != sample.get("prediction") else ""
        items.append(f"<li{wrong}>{_element(sample, path)}<p>{first}</p><ul>{said}</ul></li>")
    return f'<ul class="samples">{"".join(items)}</ul>'


def _element(sample: Mapping[str, Any], path: Path | None) -> str:
    if path is not None:
        small = path.suffix == ".png"
        alt = escape(label(f"{sample['name']}: {', '.join(inspected.said(sample))}", 200))
        kind = ' class="pixels"' if small else ""
        return f'<img{kind} src="{_data(path.read_bytes(), path.suffix)}" alt="{alt}">'
    if "picture" in sample:
        return '<p class="gone">Its picture is no longer in the run directory.</p>'
    if sample.get("columns"):
        rows = "".join(
            f'<tr><th scope="row">{escape(label(name, 40))}</th><td>{escape(label(value, 40))}</td></tr>'
            for name, value in sample["columns"]
        )
        return f"<table>{rows}</table>"
    kind = "gone" if "reason" in sample else "words"
    return f'<p class="{kind}">{escape(label(_words(sample), 420))}</p>'


def _data(content: bytes, suffix: str) -> str:
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(content).decode()}"
