"""What is printed when a run has ended stays readable whatever the classes are called."""

from __future__ import annotations

from report.made_run import classification
from torchwork import rundir
from torchwork.cli import results


def test_the_table_of_classes_is_not_as_wide_as_the_longest_name(tmp_path, capsys):
    directory = classification(tmp_path / "run", ["x" * 300, "cat\u202e", "dog"])
    metrics = rundir.read_json(directory / rundir.METRICS)
    results.print_evaluation(directory, {"test": metrics["test"]})
    lines = capsys.readouterr().out.splitlines()
    table = lines[: next(place for place, line in enumerate(lines) if "weighted avg" in line) + 1]
    assert all(len(line) <= 80 for line in table)
    assert any(f"{'x' * 16}…{'x' * 15}" in line for line in table)
    assert "cat\\u202e" in "\n".join(table)
    assert "\u202e" not in "\n".join(lines)
