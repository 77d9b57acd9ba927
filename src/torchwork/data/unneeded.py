"""Steps of torchvision that have nothing to do here, accepted so that a list of transforms can be taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchwork.types import Finding

_LATE = "images stay whole numbers until after the augmentation, then become floats from 0 to 1 of the run's precision"


class Unneeded:
    """A step that is left out; ``said`` is why."""

    said: str


class ToTensor(Unneeded):
    """Accepted and left out: images are tensors from the start, and become floats from 0 to 1 by themselves."""

    said = _LATE


class ToPILImage(Unneeded):
    """Accepted and left out: every step takes tensors."""

    said = "every step takes tensors"


class ConvertImageDtype(Unneeded):
    """Accepted and left out: images become floats from 0 to 1 of the run's precision by themselves.

    Args:
        dtype: float32 or float64. Which of them it is, ``train.precision`` says.

    >>> ConvertImageDtype("torch.float32").said
    "images stay whole numbers until after the augmentation, then become floats from 0 to 1 of the run's precision"
    """

    said = _LATE

    def __init__(self, dtype: str = "float32") -> None:
        if dtype.removeprefix("torch.") not in ("float32", "float", "float64", "double"):
            raise ValueError(
                f"dtype is {dtype}; expected float32 or float64: the model gets floats of the run's precision, "
                "which train.precision sets"
            )


class Compose(Unneeded):
    """Accepted and taken apart: its transforms are done in their order, as data.transform's own are.

    Args:
        transforms: Transforms, as in data.transform.
    """

    said = "data.transform is a list already"

    def __init__(self, transforms: list[Any]) -> None:
        self.transforms = transforms


def flat(specs: Sequence[Mapping[str, Any]], where: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return transforms with their places in the config, those inside a Compose behind it.

    >>> [place for place, _ in flat([{"name": "Compose", "transforms": [{"name": "ToTensor"}]}], "data.transform")]
    ['data.transform[0]', 'data.transform[0].transforms[0]']
    """
    found: list[tuple[str, Mapping[str, Any]]] = []
    for place, spec in enumerate(specs):
        found.append((f"{where}[{place}]", spec))
        inside = spec.get("transforms") if spec["name"] == "Compose" else None
        if isinstance(inside, list):
            found += flat(inside, f"{where}[{place}].transforms")
    return found


def unnecessary(step: Unneeded, name: str, where: str) -> Finding:
    """Say that a step is left out, and why."""
    return Finding("unnecessary", "info", where, f"{name} is not needed: {step.said}", "it may be removed")
