"""``make bench``, ``bench-quick`` and ``bench-many``: measure, keep, and tell required against measured."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.suite import measure, page
from benchmarks.suite.jobs import JOBS, MANY
from benchmarks.suite.verdict import disagreements, noise, verdicts

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run the suite from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data, few blocks; the page stays as it is")
    parser.add_argument("--jobs", nargs="*", default=None, choices=list(JOBS))
    parser.add_argument("--many", action="store_true", help="several processes, instead of all other jobs")
    parser.add_argument("--blocks", type=int, default=None, help="blocks of each job")
    parser.add_argument("--minutes", type=float, default=None, help="no block starts later; what is missing is told")
    parser.add_argument("--scratch", type=Path, default=ROOT / ".bench", help="where the data of the jobs are made")
    parser.add_argument("--page-only", action="store_true", help="write the page from the results that are there")
    given = parser.parse_args()
    to = given.scratch / "quick" if given.quick else ROOT / "benchmarks" / "results"
    if not given.page_only:
        data = os.environ.get("TORCHWORK_TEST_DATA")
        if not data:
            raise SystemExit("TORCHWORK_TEST_DATA names no folder of real data: nothing to measure on")
        minutes = given.minutes or (5.0 if given.quick else 170.0)
        options = {"quick": given.quick, "blocks": given.blocks, "minutes": minutes}
        measure.suite(
            given.jobs or [name for name in JOBS if (name in MANY) == given.many],
            **options,
            data=Path(data),
            scratch=given.scratch,
            to=to,
            say=lambda text: print(text, flush=True),
        )
    results = page.read(to)
    if not given.quick:
        page.write(results, ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "images" / "benchmarks.svg")
    _tell(results)


def _tell(results: dict[str, dict]) -> None:
    """Print the table, and what is to be doubted."""
    for line in page.table(verdicts({name: found["blocks"] for name, found in results.items()})):
        print(line)
    if "lenet" in results:
        found, warning = noise(results["lenet"]["blocks"])
        print(warning or f"the bare loop against itself: {found.median:.3f}" if found else warning)
    for name, found in results.items():
        for said in disagreements(name, found["proof"], found["blocks"]):
            print(f"warning: {said}")


if __name__ == "__main__":
    main()
