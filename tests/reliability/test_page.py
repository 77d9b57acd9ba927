"""The page of reliability holds what was counted, and is not written where a test failed."""

import pytest

from reliability import page

MADE = {"date": "2026-01-01"}


def record(test, *counted, outcome="passed"):
    return {"test": f"tests/reliability/{test}", "outcome": outcome, "seconds": 60, "counted": counted, "reason": "why"}


def test_a_row_is_the_sum_of_its_tests_with_the_bound_of_three_in_n():
    kills = "SIGKILL at random moments"
    text = page.written([record("a.py::x", [kills, 100, False]), record("b.py::y", [kills, 200, True])], MADE)
    assert "| SIGKILL at random moments | 300 | 0 | below 0.01 | 2.0 | a.py, b.py |" in text
    assert "- date: 2026-01-01" in text


def test_a_row_of_which_all_cases_were_tried_has_no_bound():
    text = page.written([record("a.py::x", ["Truncation at every byte", 300, True])], MADE)
    assert "| Truncation at every byte | 300 | 0 | every case |" in text


def test_rows_that_the_page_does_not_know_stand_below_the_others():
    text = page.written([record("a.py::x", ["A new row", 1, False], [page.ROWS[-1], 1, False])], MADE)
    assert text.index(page.ROWS[-1]) < text.index("A new row")


def test_no_page_is_written_where_a_test_failed():
    with pytest.raises(ValueError, match=r"1 failed: tests/reliability/b\.py::y"):
        page.written([record("a.py::x", ["A", 1, False]), record("b.py::y", outcome="failed")], MADE)


def test_what_was_skipped_is_told_with_its_reason():
    text = page.written([record("a.py::x", ["A", 1, False]), record("b.py::y", outcome="skipped")], MADE)
    assert "Not tried there:\n\n- tests/reliability/b.py::y: why" in text


def test_a_line_that_was_cut_off_is_no_record(tmp_path):
    (tmp_path / "counts").write_text('{"code": "x"}\n{"test": "a"}\n{"test": "b')
    assert page.read(tmp_path / "counts") == [{"code": "x"}, {"test": "a"}]
