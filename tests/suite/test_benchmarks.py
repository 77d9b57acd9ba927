"""The suite's own logic: ratios, intervals, verdicts, the page, and that a run that was broken off goes on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.contenders.work import InOrder, Marks
from benchmarks.profiling import profiled
from benchmarks.suite import measure, page, prepare
from benchmarks.suite.jobs import CLAIMS, JOBS, Claim, Job
from benchmarks.suite.statistics import estimate
from benchmarks.suite.verdict import disagreements, judged, noise, verdicts
from hypothesis import given
from hypothesis import strategies as st

RATIO = Claim("lenet", "an epoch", ("peer", "peer-tuned"), 2.0)


def told(**seconds):
    return {name.replace("_", "-"): {"seconds": value} for name, value in seconds.items()}


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=15))
def test_the_interval_holds_the_median_and_lies_within_the_values(values):
    found = estimate(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)
    assert found == estimate(values), "another interval of the same values"


def test_the_interval_is_that_of_medians_and_no_wider():
    # 15 blocks, of which one is far off: the median's interval does not reach it
    assert estimate([1.0] * 14 + [9.0]).high == 1.0
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert (found.median, found.blocks) == (4.0, 7)
    assert found.low in (1.0, 2.0, 3.0)
    assert found.high in (5.0, 6.0, 7.0)


def test_a_ratio_is_taken_within_each_block_before_the_median():
    # a machine that is twice as slow in one block leaves the ratio what it is; the ratio of medians would be 6 / 2
    blocks = [told(ours=1, peer=3), told(ours=2, peer=6), told(ours=4, peer=12)]
    assert judged(RATIO, blocks).estimate.median == 3.0
    assert judged(RATIO, [told(ours=1, peer=2), told(ours=2, peer=6), told(ours=4, peer=20)]).estimate.median == 3.0


def test_the_better_row_of_a_peer_counts():
    found = judged(RATIO, [told(ours=1, peer=3, peer_tuned=1.5)])
    assert (found.best, found.estimate.median, found.reached) == ("peer-tuned", 1.5, False)
    assert judged(RATIO, [told(ours=1, peer=3)]).reached


def test_what_was_not_measured_is_told_with_its_reason():
    assert judged(RATIO, []).missing == "not measured yet"
    failed = [{"ours": {"failed": "Traceback\nValueError: no"}, "peer": {"seconds": 1.0}}]
    assert judged(RATIO, failed).missing == "ours failed: ValueError: no"
    assert judged(RATIO, [told(ours=1)]).missing == "peer was not run"
    assert judged(RATIO, [told(ours=1), told(peer=1)]).missing == "no block has both"
    assert judged(RATIO, []).reached is None


def test_a_figure_below_its_bound_may_have_another_taken_off():
    claim = Claim("start", "import", (), 0.05, "below", ours="fit", minus="torch")
    found = judged(claim, [told(fit=2.25, torch=2.0), told(fit=2.5, torch=2.25)])
    assert (found.estimate.median, found.reached) == (0.25, False)


def test_a_step_that_costs_nothing_over_the_bare_one_is_better_than_any_ratio():
    found = judged(replace(RATIO, value="over"), [{"ours": {"over": -1e-6}, "peer": {"over": 1e-4}}])
    assert math.isinf(found.estimate.median)
    assert found.reached


@pytest.mark.parametrize(("again", "quiet"), [(1.0, True), (1.03, True), (1.031, False), (0.96, False)])
def test_a_noisy_machine_is_told(again, quiet):
    found, warning = noise([{"bare": {"seconds": 1.0}, "bare-again": {"seconds": again}}])
    assert found.median == again
    assert (warning == "") == quiet


def test_a_speed_with_other_losses_or_counts_is_told():
    right = {"bare": {"losses": [2.0, 1.0]}, "ours": {"losses": [2.0, 1.000001]}}
    assert not disagreements("mlp", right, [])
    wrong = right | {"peer": {"losses": [2.0, 1.1]}, "short": {"losses": [2.0]}, "broken": {"failed": "no"}}
    assert len(disagreements("mlp", wrong, [])) == 3
    blocks = [{"bare": {"updates": 10, "samples": 80}, "peer": {"updates": 9, "samples": 80}}]
    assert disagreements("mlp", {}, blocks) == ["mlp: not all have the same number of updates: 9: peer; 10: bare"]


def test_an_accuracy_that_is_off_over_three_seeds_is_told():
    blocks = [{"bare": {"judged": [[1, 0.98]]}, "peer": {"judged": [[1, accuracy]]}} for accuracy in (0.97, 0.98, 0.98)]
    assert disagreements("lenet", {}, blocks) == ["lenet: peer has an accuracy of 0.9767, the bare loop 0.9800"]
    assert not disagreements("lenet", {}, blocks[1:])


def test_every_claim_names_contenders_of_its_job():
    jobs = {claim.job for claim in CLAIMS}
    assert jobs <= set(JOBS)
    for claim in CLAIMS:
        assert {claim.ours, *claim.against, *([claim.minus] if claim.minus else [])} <= set(JOBS[claim.job].contenders)


def test_the_page_says_what_is_missing_and_keeps_what_was_written_by_hand(tmp_path):
    written = tmp_path / "benchmarks.md"
    written.write_text(f"# Speed\n\n{page.BEGIN}\nwhat was\n{page.END}\n\nBy hand.\n")
    key = {"machine": {"processor": "P", "cores": 2, "versions": {"torch": "2"}, "code": "abc"}}
    blocks = [told(bare=1, bare_again=1, ours=1, lecture=5), told(bare=1, bare_again=1, ours=1, lecture=5)]
    page.write({"lenet": {"key": key, "proof": {}, "blocks": blocks}}, written, tmp_path / "images" / "drawn.svg")
    text = written.read_text()
    assert text.startswith("# Speed")
    assert text.endswith("By hand.\n")
    assert "what was" not in text
    assert "| lecture | ≥ 4 | 5 | 5 to 5 | 2 | reached |" in text
    assert "| keras-torch was not run |" in text
    assert text.count("not measured yet") == sum(claim.job != "lenet" for claim in CLAIMS)
    assert "The bare loop against itself: 1.000" in text
    assert "<svg" in (tmp_path / "images" / "drawn.svg").read_text()
    with pytest.raises(ValueError, match="no place for the results"):
        (tmp_path / "other.md").write_text("x") and page.write({}, tmp_path / "other.md", tmp_path / "x.svg")


def test_the_page_of_nothing_says_so():
    assert "Nothing has been measured yet" in page.measured({})
    assert len(page.table(verdicts({}))) == len(CLAIMS) + 2


def test_epochs_are_timed_but_for_the_first():
    marks = Marks(at=[(0.0, 0.0), (9.0, 9.0), (10.0, 11.0), (13.0, 12.0)])
    assert {"seconds": 2.0, "cpu": 1.5}.items() <= marks.result(updates=3, samples=3).items()


def test_each_epoch_has_its_own_order():
    order = InOrder(np.array([[2, 0, 1], [1, 2, 0]]))
    assert [list(order), list(order), len(order)] == [[2, 0, 1], [1, 2, 0], 3]


def _counting(job, contender, settings, folder, seed):
    calls.append((seed, contender))
    return {"failed": "no"} if contender == "bad" else {"seconds": 1.0, "losses": []}


calls: list[tuple[int, str]] = []


def test_a_broken_off_suite_goes_on_and_a_failing_contender_is_given_up(tmp_path, monkeypatch):
    job = Job("tiny", ("a", "bad"), 4, {"samples": 1}, {}, lambda *rest: None)
    monkeypatch.setitem(measure.JOBS, "tiny", job)
    monkeypatch.setattr(measure, "contend", _counting)
    calls.clear()
    common = {"quick": False, "minutes": 60.0, "data": tmp_path, "scratch": tmp_path, "to": tmp_path, "say": print}
    measure.suite(["tiny"], blocks=1, **common)
    assert sorted(calls) == [(0, "a"), (0, "bad")]
    measure.suite(["tiny"], blocks=None, **common)
    assert sorted(calls) == [(0, "a"), (0, "bad"), (1, "a"), (1, "bad"), (2, "a"), (3, "a")]
    said = []
    measure.suite(["tiny"], blocks=5, **{**common, "minutes": -1.0, "say": said.append})
    assert said == ["the time is over: tiny has 4 of 5 blocks; run again to go on"]
    monkeypatch.setattr(measure, "_code", lambda: "other code")
    assert measure.suite(["tiny"], blocks=1, **common)["tiny"].blocks[0].keys() == {"a", "bad"}


def test_contenders_in_processes_of_their_own_train_on_the_same_samples(tmp_path):
    job, settings = JOBS["mlp"], {"samples": 64, "batch": 8, "lr": 1e-3, "epochs": 2}
    proof = measure.prove(replace(job, proved=("bare", "ours-fit")), ("ours-fit",), settings, tmp_path, tmp_path)
    assert {name: told.get("failed") for name, told in proof.items()} == {"bare": None, "ours-fit": None}
    assert proof["bare"]["losses"] == proof["ours-fit"]["losses"]
    assert len(set(proof["bare"]["losses"])) == 10
    assert not disagreements("mlp", proof, [proof])


def test_the_data_of_a_seed_are_made_once(tmp_path):
    folder = prepare.mlp(tmp_path / "mlp-3", samples=32, epochs=2)
    before = (folder / "orders.npy").stat().st_mtime_ns
    assert prepare.mlp(tmp_path / "mlp-3", samples=32, epochs=2) == folder
    assert (folder / "orders.npy").stat().st_mtime_ns == before


def test_a_profile_of_a_config_has_its_steps_and_its_update(tmp_path):
    spec = {"data": {"source": "Iris", "batch_size": 8}, "model": "MLP", "optimizer": {"name": "Adam"}}
    found = {event.key: event.count for event in profiled(spec, tmp_path / "trace.json", steps=3).key_averages()}
    assert found["a whole step"] == found["a batch is read"] == found["Optimizer.step#Adam.step"] == 3
    assert "a whole step" in (tmp_path / "trace.json").read_text()
