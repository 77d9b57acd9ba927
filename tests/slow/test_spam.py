"""The example finds spam among real text messages, repeated ones on one side; prints measured against required.

Its settings were chosen with the seeds 101 to 108: what is measured here has other splits and starts.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import torchwork
from torchwork import rundir

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "spam.yaml"
SEEDS = (11, 12, 13)  # no setting was fitted to their splits
REQUIRED = 0.93


def test_spam_is_found_in_messages_that_no_training_split_has(tmp_path, capsys):
    folder = os.environ.get("TORCHWORK_TEST_DATA")
    if not folder or not (Path(folder) / "sms-spam.tsv").is_file():
        pytest.skip("needs sms-spam.tsv in the folder that TORCHWORK_TEST_DATA names")
    path = Path(folder) / "sms-spam.tsv"
    texts = [line.split("\t")[1] for line in path.read_text(encoding="utf-8").split("\n")]
    scores = []
    for seed in SEEDS:
        changes = [f"data.source.path={path}", f"seed={seed}"]
        run = torchwork.train(EXAMPLE, overrides=changes, out=tmp_path / str(seed))
        side = {}
        for row in rundir.read_csv(run.path / rundir.SPLIT):
            side.setdefault(texts[int(row["id"])], set()).add(row["split"])
        assert set(side) == set(texts)
        assert all(len(found) == 1 for found in side.values())
        scores.append(run.metrics["test"]["f1/spam"])
    each = ", ".join(f"{score:.4f}" for score in scores)
    with capsys.disabled():
        print(f"\nspam, F1 on test, mean of 3 splits ({each}): {np.mean(scores):.4f} >= {REQUIRED}", end="", flush=True)
    assert np.mean(scores) >= REQUIRED
