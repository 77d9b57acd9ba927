"""What is to be seen of a run: its state, whatever is missing, half written or wrong."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchwork import processes, rundir
from torchwork.watch import seen
from watch.made_live import finished, going_on

GONE = processes.current()._replace(pid=processes.current().pid, started="another boot 1")


def test_a_run_that_goes_on_says_where_it_stands(tmp_path):
    found = seen.state(going_on(tmp_path / "run"))
    assert (found["phase"], found["said"], found["going_on"], found["can_stop"]) == ("training", "Training", True, True)
    figures = {name: found[name] for name in ("epoch", "epochs", "step", "steps", "train_loss", "samples_per_second")}
    assert figures == {
        "epoch": 4, "epochs": 10, "step": 5, "steps": 10, "train_loss": 0.25, "samples_per_second": 1280.5
    }  # fmt: skip
    assert found["waiting"] == pytest.approx(0.2)
    assert found["left"] == pytest.approx(6.5 * 0.5), "six epochs and a half of half a second each"
    assert found["done"] == 3
    assert found["log"] == ["2026-01-02 03:04:05  epoch 3"]
    assert found["where"] == ""


def test_in_the_first_epoch_the_time_left_is_told_from_its_own_share(tmp_path):
    directory = going_on(tmp_path / "run", epoch=1, epochs=2, step=5, steps=10, seconds=3.0)
    (directory / rundir.HISTORY).unlink()
    assert seen.state(directory)["left"] == pytest.approx(9.0)
    (directory / rundir.LIVE).write_text(json.dumps({**json.loads((directory / rundir.LIVE).read_text()), "step": 0}))
    assert seen.state(directory)["left"] is None


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({"phase": "training"}, "died"),
        ({"phase": "finishing"}, "died"),
        ({"phase": "stopped"}, "stopped"),
        ({"phase": "failed", "message": "the loss is nan"}, "failed"),
        ({"phase": "unheard of"}, "idle"),
    ],
)
def test_a_run_whose_process_is_gone_can_not_be_stopped_and_is_what_it_last_said_or_died(changes, phase, tmp_path):
    found = seen.state(going_on(tmp_path / "run", GONE, **changes))
    assert (found["phase"], found["can_stop"], found["left"], found["epoch"]) == (phase, False, None, None)
    assert found["message"] == changes.get("message", "")
    assert found["resume"] == f"torchwork resume {tmp_path / 'run'}"


@pytest.mark.parametrize(("phase", "can"), [("evaluating", True), ("finishing", False)])
def test_while_the_report_is_written_there_is_nothing_left_to_stop(phase, can, tmp_path):
    found = seen.state(going_on(tmp_path / "run", phase=phase))
    assert (found["going_on"], found["can_stop"]) == (True, can)


@pytest.mark.parametrize(
    ("text", "name"), [("name: digits", "digits"), ("name: 3", ""), ("- a", ""), ("{", ""), ("", "")]
)
def test_a_run_is_called_what_its_config_calls_it(text, name, tmp_path):
    directory = going_on(tmp_path / "run")
    (directory / rundir.CONFIG).write_text(text)
    assert seen.state(directory)["name"] == name


def test_a_run_of_another_machine_is_shown_and_not_stopped(tmp_path):
    found = seen.state(going_on(tmp_path / "run", processes.current()._replace(host="node7")))
    assert (found["phase"], found["where"], found["can_stop"]) == ("training", "node7", False)


def test_a_run_that_signals_cannot_reach_is_not_offered_to_be_stopped(tmp_path):
    assert seen.state(going_on(tmp_path / "run", stops=False))["can_stop"] is False


def test_a_finished_run_is_finished_even_where_its_last_word_was_lost(tmp_path):
    assert seen.state(finished(tmp_path / "a"))["phase"] == "finished"
    directory = going_on(tmp_path / "b", GONE, phase="finishing")
    rundir.write_json(directory / rundir.METRICS, {"val": {}, "test": {}})
    assert seen.state(directory)["phase"] == "finished"


def test_a_finished_run_that_is_gone_on_with_goes_on(tmp_path):
    directory = going_on(tmp_path / "run")
    rundir.write_json(directory / rundir.METRICS, {"val": {}, "test": {}})
    assert seen.state(directory)["phase"] == "training"


def test_a_directory_with_a_config_alone_has_a_state(tmp_path):
    (tmp_path / rundir.CONFIG).touch()
    found = seen.state(tmp_path)
    assert (found["phase"], found["done"], found["log"]) == ("idle", 0, [])
    assert set(found["files"].values()) == {None}
    assert seen.history(tmp_path) == {"columns": [], "titles": {}, "rows": [], "every": 1}
    assert seen.worst(tmp_path) == {}


def test_every_cut_of_live_json_gives_a_state(tmp_path):
    directory = going_on(tmp_path / "run")
    whole = (directory / rundir.LIVE).read_bytes()
    for length in range(len(whole)):
        (directory / rundir.LIVE).write_bytes(whole[:length])
        assert seen.state(directory)["phase"] == "idle"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from([*processes.current()._asdict(), "stops", "phase", "message", "at", "epoch", "epochs", "step",
                        "steps", "train_loss", "lr", "seconds", "waited", "samples_per_second"])  # fmt: skip


@given(st.dictionaries(keys, anything))
def test_whatever_live_json_holds_there_is_a_state_that_json_can_hold(content):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / rundir.LIVE).write_text(json.dumps(content))
        found = json.loads(seen.encoded(seen.state(Path(folder))))
    assert found["phase"] in seen.SAID
    assert found["can_stop"] is False, "nothing here names a process with its start"


def test_every_cut_of_the_history_gives_its_whole_rows_and_no_mistake(tmp_path):
    directory = going_on(tmp_path / "run")
    whole = (directory / rundir.HISTORY).read_bytes()
    rows = seen.history(directory)["rows"]
    assert len(rows) == 3
    for length in range(len(whole)):
        (directory / rundir.HISTORY).write_bytes(whole[:length])
        found = seen.history(directory)
        json.dumps(found, allow_nan=False)
        complete = whole[:length].count(b"\n") - 1
        assert found["rows"][: max(0, complete)] == rows[: max(0, complete)]


def test_what_is_no_number_in_the_history_is_none(tmp_path):
    rundir.write_csv(tmp_path / rundir.HISTORY, ["epoch", "val_loss"], [[1, float("nan")], [2, float("inf")], [3, 0.5]])
    assert seen.history(tmp_path)["rows"] == [[1, None], [2, None], [3, 0.5]]


def test_the_curves_are_called_what_people_call_the_metrics(tmp_path):
    rundir.write_csv(tmp_path / rundir.HISTORY, ["epoch", "val_r2", "train_f1_macro"], [[1, 0.5, 0.5]])
    assert seen.history(tmp_path)["titles"] == {
        "epoch": "epoch",
        "val_r2": "val R²",
        "train_f1_macro": "train F1 macro",
    }


def test_of_a_very_long_history_evenly_spaced_epochs_are_sent_and_always_the_last(tmp_path):
    count = 2 * seen.MOST_EPOCHS + 1
    rundir.write_csv(tmp_path / rundir.HISTORY, ["epoch"], [[epoch + 1] for epoch in range(count)])
    found = seen.history(tmp_path)
    epochs = [row[0] for row in found["rows"]]
    assert found["every"] == 3
    assert epochs[-1] == count
    assert {after - before for before, after in pairwise(epochs)} == {3}
    assert len(epochs) <= seen.MOST_EPOCHS


def test_the_log_is_its_last_whole_lines(tmp_path):
    lines = [f"2026-01-02 03:04:05  line {number} 猫" for number in range(5000)]
    (tmp_path / rundir.LOG).write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert seen.log(tmp_path) == lines[-40:]
    (tmp_path / rundir.LOG).write_bytes(b"half \xe7\x8c")
    assert seen.log(tmp_path) == ["half �"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"samples": 3}', "null"])
def test_worst_samples_that_are_half_written_are_none(content, tmp_path):
    directory = going_on(tmp_path / "run")
    (directory / rundir.SAMPLES / rundir.WORST).write_text(content)
    assert seen.worst(directory) == {}


@pytest.mark.parametrize("pid", [True, 0, 1, -1, "12", 1.5, None, [7]])
def test_what_is_no_number_of_a_process_is_none(pid, tmp_path):
    directory = going_on(tmp_path / "run", pid=pid)
    assert seen.process_of(directory) is None
    assert seen.state(directory)["can_stop"] is False


def test_stamps_change_with_their_files(tmp_path):
    directory = going_on(tmp_path / "run")
    before = seen.state(directory)["files"]
    rundir.write_csv(directory / rundir.HISTORY, ["epoch"], [[1]])
    (directory / rundir.SAMPLES / rundir.LAST_BATCH).write_bytes(b"x")
    after = seen.state(directory)["files"]
    assert {name for name in before if before[name] != after[name]} == {"history", "batch"}
