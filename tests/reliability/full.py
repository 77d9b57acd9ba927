"""make reliability: every test of this folder at full length, then docs/reliability.md from what was counted.

Each test that ended is written down at once, so a run that was cut off goes on where it was. Another code begins anew.
Options are given to pytest: ``-k kills`` runs a part, and the page is written when nothing is left to do.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from reliability import page  # noqa: E402

COUNTS = ROOT / "test-output" / "reliability.jsonl"
PAGE = ROOT / "docs" / "reliability.md"
FOLDER = "tests/reliability"
PYTEST = [sys.executable, "-m", "pytest", FOLDER, "-m", "", "--timeout", "7200", "-p", "no:cacheprovider"]


def main(arguments: list[str]) -> int:
    """Run what is left to do; return the exit code."""
    code = _of_code()
    records = page.read(COUNTS) if COUNTS.is_file() else []
    if not records or records[0] != {"code": code}:
        COUNTS.parent.mkdir(exist_ok=True)
        COUNTS.write_text(json.dumps({"code": code}) + "\n", encoding="utf-8")
        records = [{"code": code}]
    done = [record["test"] for record in records[1:]]
    print(f"{len(done)} tests of this code are done; {COUNTS} holds what they counted", flush=True)
    environment = {**os.environ, "TORCHWORK_RELIABILITY": "full", "TORCHWORK_RELIABILITY_COUNTS": str(COUNTS)}
    without = [part for test in done for part in ("--deselect", test)]
    ended = subprocess.run([*PYTEST, *without, *arguments], cwd=ROOT, env=environment, check=False).returncode
    if ended not in (0, 5):  # 5: there was nothing to do
        print(f"pytest ended with {ended}: {PAGE} is not written")
        return 1
    return _write() if _nothing_left(environment) else 0


def _write() -> int:
    try:
        text = page.written(page.read(COUNTS)[1:], page.circumstances(_commit()))
    except ValueError as error:
        print(f"{PAGE} is not written: {error}. A failure stands until the code is another, or {COUNTS} is removed")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


def _nothing_left(environment: dict[str, str]) -> bool:
    done = {record["test"] for record in page.read(COUNTS)[1:]}
    listed = subprocess.run(
        [*PYTEST, "--collect-only"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    found = [line for line in listed.splitlines() if line.startswith(f"{FOLDER}/") and "::" in line]
    assert found, f"pytest lists no tests: {listed}"
    left = [line for line in found if line not in done]
    if left:
        print(f"{len(left)} tests are left to do, as {left[0]}: {PAGE} is written after them")
    return not left


def _of_code() -> str:
    """Return a hash of the code that is tested and of the tests."""
    hashed = hashlib.sha256()
    for path in sorted(p for folder in ("src", FOLDER) for p in (ROOT / folder).rglob("*") if p.is_file()):
        if "__pycache__" not in path.parts:
            hashed.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return hashed.hexdigest()


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", FOLDER)
    return f"commit {git('rev-parse', '--short=12', 'HEAD')}{' with changes' if changed else ''}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
