"""What is drawn of the model itself: its kernels, what its layers give, and how it sees the samples."""

from __future__ import annotations

from collections.abc import Iterator

from torchwork.report.drawn import inspected
from torchwork.report.drawn.drawing import Drawing, saved
from torchwork.report.facts import Facts
from torchwork.report.plots.activity import activations
from torchwork.report.plots.channels import feature_maps
from torchwork.report.plots.columns import importance
from torchwork.report.plots.convolutions import kernels
from torchwork.report.plots.plane import embedding


def kernel_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the kernels of the convolutions."""
    found = inspected.part(facts, "kernels")
    if not found:
        return
    weights, total = inspected.arrays(facts, found), found.get("of", len(found["layers"]))
    for place, layer in enumerate(found["layers"]):
        figure = kernels(weights[layer["key"]], name=layer["layer"], shape=tuple(layer["shape"]))
        colours = layer["shape"][1] == 3 and place == 0
        caption = (
            f"The weights of {layer['layer']}, one of {total} convolutions, with which it goes over its input. "
            + ("Each kernel is in the colours of its weights for red, green and blue. " if colours else "")
            + "Kernels that have learned something show edges, spots or waves; noise is what they started as."
        )
        yield saved(facts, f"kernels-{place + 1}", f"Kernels of {layer['layer']}", caption, figure)


def feature_map_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the feature maps of a sample."""
    found = inspected.part(facts, "feature_maps")
    if not found:
        return
    given = inspected.arrays(facts, found)
    layers = {layer["layer"]: given[layer["key"]] for layer in found["layers"]}
    figure = feature_maps(layers, picture=given.get("picture"))
    sample = found["sample"]
    caption = (
        f"What the convolutions make of one {found['split']} sample, {sample['name']} (id {sample['id']}; "
        f"{', '.join(inspected.said(sample))}), before the activation: the brighter, the stronger the answer there."
    )
    yield saved(facts, "feature_maps", "Feature maps of a sample", caption, figure)


def activation_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the activations by layer."""
    found = inspected.part(facts, "activations")
    if not found:
        return
    rows = [{**row, "quantiles": [inspected.number(q) for q in row["quantiles"]]} for row in found["layers"]]
    caption = (
        f"The outputs of each layer for {found['n']} {found['split']} samples: the point is the median, half of all "
        "values lie in the thick line and 98% in the thin one."
    )
    dead = [row["dead"] for row in rows if row.get("dead") is not None]
    if dead:
        caption += (
            " A unit is dead where the ReLU behind it gives 0 for all of these samples: it learns nothing from them."
        )
    yield saved(facts, "activations", "Activations by layer", caption, activations(rows))


def embedding_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the samples in two dimensions."""
    found = inspected.part(facts, "embedding")
    if not found:
        return
    given = inspected.arrays(facts, found)
    shares = [inspected.number(share) for share in found["explained"]]
    figure = embedding(
        given["points"],
        found.get("target"),
        values=given.get("value"),
        names=[f"principal axis {place + 1} ({share:.0%} of the variance)" for place, share in enumerate(shares)],
        value_name=str(found.get("value", "")),
    )
    which = f"{found['n']:,} of the {found['of']:,}" if found["n"] < found["of"] else f"The {found['n']:,}"
    caption = (
        f"{which} {found['split']} samples by what {_layer(found['layer'])} ({found['features']:,} numbers each), "
        "projected onto the two directions in which they differ most (PCA). Samples that lie together look alike to "
        "the model; what the two axes leave out is not seen here."
    )
    yield saved(facts, "embedding", "Samples as the model sees them", caption, figure)


def _layer(name: str) -> str:
    return "the model gives for them" if name == "the model's output" else f"the last layer, {name}, gets"


def importance_drawings(facts: Facts) -> Iterator[Drawing]:
    """Yield the importance of the columns."""
    found = inspected.part(facts, "importance")
    if not found:
        return
    rise = [[inspected.number(value) for value in row] for row in found["rise"]]
    which = f"{found['n']:,} of the {found['of']:,}" if found["n"] < found["of"] else f"the {found['n']:,}"
    caption = (
        f"How much the mean loss of {which} {found['split']} samples ({inspected.number(found['loss']):.4g}) rises "
        "where the cells of a column are shuffled among them: the mean of three shuffles, and their range. A column "
        "that another one stands in for may seem to count for nothing."
    )
    yield saved(facts, "importance", "Importance of the columns", caption, importance(found["columns"], rise))
