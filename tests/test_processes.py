"""Processes told apart by number and start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from torchwork import processes
from torchwork.processes import current, interrupt, standing

SLEEPER = """
import time
try:
    print("ready", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("asked")
"""


@pytest.fixture
def sleeper():
    command = [sys.executable, "-c", SLEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        yield child
        child.kill()


def process_of(child):
    return current()._replace(pid=child.pid, started=processes.started(child.pid))


def test_a_process_is_alive_until_it_has_ended_even_where_nobody_has_fetched_its_end(sleeper):
    process = process_of(sleeper)
    assert standing(process) == "alive"
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its number is still taken
    assert standing(process) == "gone"
    sleeper.wait()
    assert standing(process) == "gone"


def test_a_number_that_is_used_again_is_another_process(sleeper):
    other = process_of(sleeper)._replace(started=current().started + "0")
    assert standing(other) == "gone"
    with pytest.raises(ProcessLookupError):
        interrupt(other)
    assert sleeper.poll() is None


@pytest.mark.parametrize("pid", [0, -1, -12345, 2**40])
def test_no_group_of_processes_is_ever_meant(pid, monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("something was signalled"))
    with pytest.raises(ProcessLookupError):
        interrupt(current()._replace(pid=pid))


@pytest.mark.parametrize("field", ["host", "space"])
def test_a_process_of_another_machine_or_container_is_elsewhere_and_left_alone(field, monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("something was signalled"))
    other = current()._replace(**{field: "another"})
    assert standing(other) == "elsewhere"
    with pytest.raises(ProcessLookupError):
        interrupt(other)


def test_where_the_system_tells_no_start_nobody_knows_and_nothing_is_signalled(monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("something was signalled"))
    nameless = current()._replace(started="")
    assert standing(nameless) == "unknown"
    with pytest.raises(ProcessLookupError):
        interrupt(nameless)


def test_interrupting_is_what_ctrl_c_does(sleeper):
    interrupt(process_of(sleeper))
    assert sleeper.stdout.read() == "asked\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system itself refuses")
def test_the_process_of_another_user_is_left_alone(monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("something was signalled"))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PermissionError, match="another user"):
        interrupt(current())


def test_ps_tells_starts_where_there_is_no_proc():
    try:
        subprocess.run(["ps", "--version"], capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no ps")
    assert processes._start_by_ps(os.getpid()) != ""
    assert processes._start_by_ps(2**22 + 1) == ""


def test_a_programs_name_may_hold_brackets_and_spaces(tmp_path):
    odd = tmp_path / "a) Z (b"
    odd.symlink_to(sys.executable)
    code = "from torchwork.processes import current, standing; print(standing(current()), current().started != '')"
    done = subprocess.run(
        [str(odd), "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "alive True\n", done.stderr
