"""Running commands inside the test's own process, in a directory of its own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from torchwork.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def torchwork(capsys, tmp_path, monkeypatch):
    """Run a command as from the shell, in ``tmp_path``; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return run
