"""From blocks to what is told: each claim with its figure and interval, and what makes a figure worth nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from benchmarks.suite.jobs import CLAIMS, Claim
from benchmarks.suite.statistics import Estimate, estimate

Block = Mapping[str, Mapping[str, Any]]
NOISE = 0.03  # the bare loop against itself must be within this of 1
CLOSE = 1e-5  # losses of the first updates at equal precision
POINTS = 0.003  # accuracy where precision or the order of the samples differ


class Verdict(NamedTuple):
    """A claim and what was measured of it; ``estimate`` is None where there is nothing, and ``missing`` says why."""

    claim: Claim
    estimate: Estimate | None
    best: str = ""
    missing: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches the bound; None where nothing was measured."""
        if self.estimate is None:
            return None
        found = self.estimate.median
        return found >= self.claim.bound if self.claim.kind == "ratio" else found <= self.claim.bound


def verdicts(results: Mapping[str, Sequence[Block]]) -> list[Verdict]:
    """Return a verdict on every claim."""
    return [judged(claim, results.get(claim.job, ())) for claim in CLAIMS]


def judged(claim: Claim, blocks: Sequence[Block]) -> Verdict:
    """Judge one claim by the blocks of its job; of several rows of a peer the one with the better median counts."""
    if not blocks:
        return Verdict(claim, None, missing="not measured yet")
    if not any(_figure(block, claim.ours, claim) is not None for block in blocks):
        return Verdict(claim, None, missing=_why(blocks, claim.ours))
    if claim.kind == "below":
        return Verdict(claim, estimate(list(_figures(blocks, claim))))
    medians = {name: _median(blocks, name, claim) for name in claim.against}
    medians = {name: found for name, found in medians.items() if found is not None}
    if not medians:
        return Verdict(claim, None, missing=_why(blocks, claim.against[0]))
    best = min(medians, key=lambda name: medians[name])
    ratios = list(_ratios(blocks, best, claim))
    return Verdict(claim, estimate(ratios), best) if ratios else Verdict(claim, None, missing="no block has both")


def _figure(block: Block, name: str, claim: Claim) -> float | None:
    found = block.get(name, {})
    return found.get(claim.value) if "failed" not in found else None


def _figures(blocks: Sequence[Block], claim: Claim) -> Iterator[float]:
    for block in blocks:
        ours = _figure(block, claim.ours, claim)
        less = _figure(block, claim.minus, claim) if claim.minus else 0.0
        if ours is not None and less is not None:
            yield ours - less


def _ratios(blocks: Sequence[Block], other: str, claim: Claim) -> Iterator[float]:
    for block in blocks:
        ours, theirs = _figure(block, claim.ours, claim), _figure(block, other, claim)
        if ours is not None and theirs is not None:
            yield theirs / ours if ours > 0 else math.inf  # a step that costs nothing over the bare one


def _median(blocks: Sequence[Block], name: str, claim: Claim) -> float | None:
    found = [figure for block in blocks if (figure := _figure(block, name, claim)) is not None]
    return median(found) if found else None


def _why(blocks: Sequence[Block], name: str) -> str:
    for block in blocks:
        said = block.get(name, {}).get("failed")
        if said:
            return f"{name} failed: {said.splitlines()[-1][:160]}"
    return f"{name} was not run"


def noise(blocks: Sequence[Block]) -> tuple[Estimate | None, str]:
    """Return the bare loop's ratio to itself, and what is to be said where it is too far from 1."""
    claim = Claim("", "", ("bare-again",), 1.0, ours="bare")
    ratios = list(_ratios(blocks, "bare-again", claim))
    if not ratios:
        return None, "the bare loop was not measured against itself"
    found = estimate(ratios)
    if abs(found.median - 1) > NOISE + 1e-9:
        return found, f"the machine was too noisy: the bare loop against itself gives {found.median:.2f}"
    return found, ""


def disagreements(job: str, proof: Mapping[str, Any], blocks: Sequence[Block]) -> list[str]:
    """Return what makes a speed worth nothing: other samples, another number of updates, losses or accuracies."""
    found = [*_losses(job, proof), *_counts(job, blocks)]
    if job == "lenet":
        found += _accuracies(blocks)
    return found


def _losses(job: str, proof: Mapping[str, Any]) -> Iterator[str]:
    expected = proof.get("bare", {}).get("losses")
    for name, told in proof.items():
        if "failed" in told:
            yield f"{job}: {name} did not tell its losses: {told['failed'].splitlines()[-1][:160]}"
        elif expected and told["losses"]:
            apart = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(told["losses"], expected, strict=False))
            if apart > CLOSE or len(told["losses"]) != len(expected):
                yield f"{job}: the first losses of {name} are up to {apart:.1e} from the bare loop's"


def _counts(job: str, blocks: Sequence[Block]) -> Iterator[str]:
    for key in ("updates", "samples"):
        counts: dict[int, set[str]] = {}
        for block in blocks:
            for name, told in block.items():
                if key in told:
                    counts.setdefault(told[key], set()).add(name)
        if len(counts) > 1:
            said = "; ".join(f"{count:,}: {', '.join(sorted(names))}" for count, names in sorted(counts.items()))
            yield f"{job}: not all have the same number of {key}: {said}"


def _accuracies(blocks: Sequence[Block]) -> Iterator[str]:
    """Compare the mean accuracy over the blocks, whose seeds differ, with the bare loop's."""
    means: dict[str, list[float]] = {}
    for block in blocks:
        for name, told in block.items():
            if told.get("judged"):
                means.setdefault(name, []).append(told["judged"][-1][1])
    if "bare" not in means or len(means["bare"]) < 3:
        return
    expected = fmean(means["bare"])
    for name, found in means.items():
        if len(found) == len(means["bare"]) and abs(fmean(found) - expected) > POINTS:
            yield f"lenet: {name} has an accuracy of {fmean(found):.4f}, the bare loop {expected:.4f}"
