"""An audit as plain values: whole for programs, and in part but with pictures for a page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torchwork.data.audit.duplicates import Samples
from torchwork.data.audit.examples import data_uri, example
from torchwork.data.audit.records import Audit, Seen
from torchwork.types import Source

_GROUPS = 12  # of a finding on the page
_SINGLE = 24  # where a group is one sample
_MEMBERS = 6


def whole(audit: Audit, samples: Samples | None) -> dict[str, Any]:
    """Return all that an audit found, as JSON can hold it; each finding with the names of all its samples."""
    return {
        "samples": audit.num_samples,
        "inputs": audit.inputs,
        "splits": audit.splits,
        "class_counts": audit.counts,
        "findings": [
            {
                **_finding(seen),
                "samples": [[samples.name(place) for place in group] for group in seen.groups] if samples else [],
            }
            for seen in audit.seen
        ],
        "columns": [asdict(column) for column in audit.columns],
        "histograms": [asdict(histogram) for histogram in audit.histograms],
    }


def page(audit: Audit, source: Source | None, samples: Samples | None) -> dict[str, Any]:
    """Return what a page shows: of each finding the first samples, as they look, and the mean images."""
    return {
        **whole(audit, None),
        "findings": [
            {**_finding(seen), **(_shown(seen, source, samples) if source and samples else {"groups": [], "more": 0})}
            for seen in audit.seen
        ],
        "means": {name: data_uri(mean) for name, mean in audit.means.items()},
    }


def _finding(seen: Seen) -> dict[str, Any]:
    found = seen.finding
    return {"code": found.code, "severity": found.severity, "message": found.message, "fix": found.fix}


def _shown(seen: Seen, source: Source, samples: Samples) -> dict[str, Any]:
    most = _SINGLE if all(len(group) == 1 for group in seen.groups) else _GROUPS
    groups = []
    for group in seen.groups[:most]:
        members = []
        for place in group[:_MEMBERS]:
            said = {
                "name": samples.name(place),
                "label": "" if samples.labels is None else str(samples.labels[place]),
                "split": "" if samples.parts is None else str(samples.parts[place] or ""),
                "note": seen.notes.get(place, ""),
            }
            members.append({**said, **example(source, place, seen.finding.message)})
        groups.append({"members": members, "more": len(group) - len(members)})
    return {"groups": groups, "more": len(seen.groups) - len(groups)}
