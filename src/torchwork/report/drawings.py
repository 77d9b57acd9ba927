"""All plots of one run, by the section of the page that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torchwork.report.drawn import model, predictions, samples, scores, training
from torchwork.report.drawn.drawing import Drawing
from torchwork.report.facts import Facts
from torchwork.types import Finding

# What fails takes the rest of its own function with it, and no other: one function for what stands or falls together.
KINDS: Mapping[str, tuple[Callable[[Facts], Iterator[Drawing]], ...]] = {
    "predictions": (
        predictions.drawings,
        scores.rate_drawings,
        scores.score_drawings,
        scores.pair_drawings,
        scores.length_drawings,
    ),
    "samples": (
        samples.worst_drawings,
        samples.map_drawings,
        samples.alignment_drawings,
    ),
    "training": (training.drawings, training.layer_drawings),
    "model": (
        model.embedding_drawings,
        model.importance_drawings,
        model.kernel_drawings,
        model.feature_map_drawings,
        model.activation_drawings,
    ),
    "data": (samples.batch_drawings,),
}


def draw(facts: Facts) -> tuple[dict[str, list[Drawing]], list[Finding]]:
    """Return the plots of each section, and a finding for each function of `KINDS` that failed."""
    failed: list[Finding] = []
    return {section: list(one_by_one(facts, section, failed)) for section in KINDS}, failed


def one_by_one(facts: Facts, section: str, failed: list[Finding]) -> Iterator[Drawing]:
    """Yield the plots of a section, each drawn when it is asked for; put what could not be drawn into ``failed``."""
    for kind in KINDS[section]:
        try:
            yield from kind(facts)
        except Exception as error:  # whatever a run holds, its page comes out
            failed.append(_not_drawn(section, kind, error))


def _not_drawn(section: str, kind: Callable[..., object], error: Exception) -> Finding:
    reason = f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error) else type(error).__name__
    lacks = (kind.__doc__ or "the plots.").splitlines()[0].removeprefix("Yield ").rstrip(".")
    return Finding(
        "not-drawn", "warning", f"plots of {section}", f"could not be drawn: {reason}", f"the report lacks {lacks}"
    )
