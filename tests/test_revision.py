"""The commit of a directory and whether it is dirty, as git itself says, without starting git."""

import os
import shutil
import subprocess
import sys

import pytest

from torchwork import revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words):
    config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(folder)}
    names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-c", "protocol.file.allow=always", *words]
    return subprocess.run(
        command, cwd=folder, env=os.environ | config | names, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "below").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.py").write_text("one\n")
    (folder / "below" / "b.py").write_text("two\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def as_git_says(folder):
    """Return commit, and tracked files that differ from it, staged or not."""
    changed = git(folder, "diff", "--name-only", "HEAD").splitlines()
    found = {"commit": git(folder, "rev-parse", "HEAD"), "dirty": bool(changed)}
    return {**found, "changed": changed} if changed else found


def edited(folder):
    (folder / "a.py").write_text("another\n")


def edited_to_the_same_length(folder):
    (folder / "a.py").write_text("ONE\n")


def touched(folder):
    os.utime(folder / "a.py", ns=(1, 1))


def staged(folder):
    (folder / "new.py").write_text("three\n")
    git(folder, "add", "new.py")


def staged_and_put_back(folder):
    (folder / "a.py").write_text("another\n")
    git(folder, "add", "a.py")
    (folder / "a.py").write_text("one\n")


def deleted(folder):
    (folder / "below" / "b.py").unlink()


def untracked(folder):
    (folder / "notes.txt").write_text("mine")


def packed(folder):
    git(folder, "gc", "-q")
    git(folder, "pack-refs", "--all")
    edited(folder)


def detached(folder):
    git(folder, "checkout", "-q", "--detach")


def committed(folder):
    edited(folder)
    git(folder, "commit", "-qam", "second")


def index_of_version_4(folder):
    git(folder, "update-index", "--index-version", "4")
    edited(folder)


CHANGES = [
    *(lambda folder: None, edited, edited_to_the_same_length, touched, staged, deleted, untracked, packed),
    *(detached, committed, index_of_version_4),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_commit_and_changed_files_are_those_that_git_tells(change, repository):
    change(repository)
    expected = as_git_says(repository)
    assert revision.of(repository) == expected
    assert revision.of(repository / "below") == expected


def test_what_is_staged_counts_even_where_the_file_is_as_in_the_commit(repository):
    staged_and_put_back(repository)
    assert revision.of(repository)["changed"] == ["a.py"]


def test_worktrees_and_submodules_are_at_commits_of_their_own(repository, tmp_path):
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    (tmp_path / "tree" / "a.py").write_text("another\n")
    git(tmp_path / "tree", "commit", "-qam", "second")
    assert revision.of(tmp_path / "tree") == as_git_says(tmp_path / "tree") != revision.of(repository)
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "add", "-q", str(repository), "inner")
    git(outer, "commit", "-qm", "with inner")
    assert revision.of(outer / "inner") == as_git_says(outer / "inner")
    assert revision.of(outer) == as_git_says(outer)
    edited(outer / "inner")
    assert revision.of(outer) == as_git_says(outer)
    assert revision.of(outer)["changed"] == ["inner"]
    git(outer / "inner", "commit", "-qam", "second")
    assert revision.of(outer) == as_git_says(outer)
    git(outer, "submodule", "-q", "deinit", "-f", "inner")
    assert revision.of(outer) == as_git_says(outer)


def test_outside_of_a_repository_nothing_is_said(tmp_path):
    assert revision.of(tmp_path) is None


def damaged_head(folder):
    (folder / ".git" / "HEAD").write_text("nonsense")


def damaged_index(folder):
    (folder / ".git" / "index").write_bytes(b"DIRC" + bytes(40))


def no_commit_yet(folder):
    git(folder, "checkout", "-q", "--orphan", "empty")


def filtered(folder):
    (folder / ".gitattributes").write_text("*.py filter=mine\n")
    edited(folder)


@pytest.mark.parametrize("change", [damaged_head, damaged_index, no_commit_yet, filtered], ids=lambda c: c.__name__)
def test_what_cannot_be_known_is_said_and_stops_nothing(change, repository):
    change(repository)
    found = revision.of(repository)
    assert found["dirty"] is None
    assert found["unknown"]


def test_no_program_is_started_and_nothing_is_written(repository):
    edited(repository)
    code = f"""
import sys
from pathlib import Path
def hook(event, arguments):
    if event.startswith(("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")):
        raise SystemExit(event)
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & 3 and "{repository}" in str(arguments[0]):
        raise SystemExit(str(arguments))
from torchwork import revision
sys.addaudithook(hook)
print(revision.of(Path({str(repository)!r}))["changed"])
"""
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['a.py']", done.stderr
