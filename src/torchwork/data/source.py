"""From ``data.source`` of a config, or an object from Python, to a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset

from torchwork import catalog
from torchwork.data import SOURCES
from torchwork.data.component import below, call, options_of
from torchwork.data.dataset import DatasetSource
from torchwork.types import InputError, Source

# The sources that are made of others.
COMPOSED = ("CapPerClass", "Concatenate", "Relabel", "Subset")


def open_source(spec: Mapping[str, Any] | Any, where: str = "data.source") -> Source:
    """Open a source by its component, or wrap a ``torch.utils.data.Dataset``.

    Args:
        spec: ``{"name": ..., **options}``, the name one of the catalog or the import path of a Dataset class, of a
            function that returns a Dataset or of a Dataset; or a Dataset object.
        where: The place in the config, for findings.

    Raises:
        InputError: an unknown name or option, or anything that is wrong with the data, all at once where possible.

    >>> len(open_source({"name": "Iris"}))
    150
    """
    if not isinstance(spec, Mapping):
        return _as_source(spec, where)
    component = catalog.load(spec["name"], SOURCES, "source", where)
    options = options_of(spec)
    if isinstance(component, Dataset) and not options:  # the path of an object
        return _as_source(component, where)
    found, findings = call(component, options, where)
    if findings:
        raise InputError(findings)
    return _as_source(found, where)


def innermost(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the component that a source made of others reads its files by: the first of them; its own otherwise.

    >>> innermost({"name": "Subset", "fraction": 0.5, "source": {"name": "ImageFolder", "root": "photos", "mode": "L"}})
    {'name': 'ImageFolder', 'root': 'photos', 'mode': 'L'}
    """
    while spec["name"] in COMPOSED:
        spec = spec["sources"][0] if "sources" in spec else spec["source"]
    return spec


def _as_source(found: Any, where: str) -> Source:
    if callable(getattr(found, "read", None)):  # it is a source already
        return found
    try:
        return DatasetSource(found)
    except InputError as error:
        raise InputError(below(error.findings, where)) from error
