"""The samples of a split as the last layer of a model sees them, in two dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork import rundir
from torchwork.inspection.calls import caught, computing
from torchwork.inspection.guard import UnavailableError, untouched
from torchwork.inspection.subject import Subject
from torchwork.tasks.embedding import Embedding
from torchwork.tasks.sequence import Sequence

MOST = 1000
_AT_A_TIME = 64
_EXACTLY = 1000  # features up to which the whole covariance is diagonalised


def embedding(subject: Subject) -> dict[str, Any]:
    """Return the split's samples in the plane of the two directions in which they differ most.

    A model of vectors gives those; of another it is what its last layer with weights gets. Up to 1,000 samples, evenly
    spread over the split; fewer of a model that takes long.

    Returns:
        ``file``, an npz with ``points`` [N, 2], ``id`` [N] and where targets are numbers ``value`` [N]; ``layer``,
        ``features``, ``explained`` (the shares of the variance), ``n``, and for classes ``target`` (names, [N]).

    Raises:
        UnavailableError: sequences, vectors of one number, values that are not finite.
    """
    if isinstance(subject.task, Sequence):
        raise UnavailableError("a sequence has no single place in the plane")
    judged = subject.judged
    if isinstance(subject.task, Embedding):
        places, vectors, layer = _outputs(subject)
    else:
        number = subject.at_most(min(MOST, len(judged.ids)))
        places = np.unique(np.linspace(0, len(judged.ids) - 1, number).round().astype(np.int64))
        vectors, layer = penultimate(subject, judged.ids[places])
    points, explained = principal(vectors)
    arrays = {"points": points.astype(np.float32), "id": judged.ids[places]}
    found = {
        "split": judged.split,
        "layer": layer,
        "features": vectors.shape[1],
        "explained": explained,
        "n": len(places),
        "of": len(judged.ids),
    }
    texts = [judged.target[place] for place in places.tolist()]
    if judged.is_class or subject.facts.get("target") == "class":
        found["target"] = texts
    elif (values := _numbers(texts)) is not None:
        arrays["value"] = values
        found["value"] = (subject.facts.get("target_names") or ["target"])[0]
    return {"file": subject.keep("embedding", arrays), **found}


def penultimate(subject: Subject, ids: np.ndarray) -> tuple[np.ndarray, str]:
    """Return what the last layer with weights gets for samples, [N, D] (of maps the mean), and its name."""
    layers = computing(subject.calls)
    if not layers:
        raise UnavailableError("no layer with weights was seen at work")
    parts = []
    for start in range(0, len(ids), _AT_A_TIME):
        inputs = subject.batch(ids[start : start + _AT_A_TIME]).inputs
        with untouched(subject.model), torch.no_grad(), caught(layers[-1], entering=True) as found:
            subject.model(inputs)
        parts.append(_flat(found[0] if found else None, layers[-1].name, len(ids[start : start + _AT_A_TIME])))
    return torch.cat(parts).double().cpu().numpy(), layers[-1].name


def _flat(given: Tensor | None, name: str, count: int) -> Tensor:
    if given is None or given.dim() < 2 or len(given) != count or not given.is_floating_point():
        raise UnavailableError(f"what the last layer, {name}, gets is no vector for each sample")
    return given.flatten(2).mean(2) if given.dim() > 3 else given.flatten(1)


def _outputs(subject: Subject) -> tuple[np.ndarray, np.ndarray, str]:
    judged = subject.judged
    places = np.unique(np.linspace(0, len(judged.ids) - 1, min(MOST, len(judged.ids))).round().astype(np.int64))
    with np.load(subject.directory / rundir.ARRAYS / f"outputs-{judged.split}.npz") as arrays:
        vectors = arrays["output"][judged.rows[places]]
    return places, np.asarray(vectors, np.float64).reshape(len(places), -1), "the model's output"


def principal(vectors: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return points [N, 2] on the first two principal axes, and the share of the variance along each.

    Raises:
        UnavailableError: fewer than three samples, one feature, values that are not finite or all the same.

    Source: scikit-learn's PCA, solved exactly.

    >>> points, explained = principal(np.array([[0.0, 0], [1, 0], [2, 0]]))
    >>> [round(abs(x)) for x in points[:, 0].tolist()], explained
    ([1, 0, 1], [1.0, 0.0])
    """
    from sklearn.decomposition import PCA  # 1 s to load, for what is done once

    if len(vectors) < 3 or vectors.shape[1] < 2:
        raise UnavailableError(f"{len(vectors)} samples of {vectors.shape[1]} features make no plane")
    if not np.isfinite(vectors).all():
        raise UnavailableError("some of its values are NaN or infinite")
    if not vectors.std(0).any():
        raise UnavailableError("all samples lie in one point")
    solver = "covariance_eigh" if vectors.shape[1] <= _EXACTLY else "arpack"
    fitted = PCA(2, svd_solver=solver, random_state=0)
    return fitted.fit_transform(vectors), [float(share) for share in fitted.explained_variance_ratio_]


def _numbers(texts: list[str]) -> np.ndarray | None:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
