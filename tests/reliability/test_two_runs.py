"""One config gives one result, whatever the hash seed of Python and the number of workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reliability import midway
from reliability.amount import parts

TESTS = Path(__file__).parents[1]
AT_A_TIME = 6


@pytest.mark.parametrize("part", parts(10))
def test_two_runs_of_one_config_are_bit_equal_without_workers_and_with_four(part, tmp_path, counted):
    numbers = range(AT_A_TIME * part, AT_A_TIME * (part + 1))
    seeds = []
    for workers in (0, 4):
        seed = int.from_bytes(os.urandom(4), "little")
        seeds.append(seed)
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent), *sys.path]),
            "TORCHWORK_CACHE": str(tmp_path / "cache"),
        }
        words = [str(tmp_path / str(workers)), str(workers), *map(str, numbers)]
        command = [sys.executable, "-m", "reliability.twice", *words]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for number in numbers:
        one, other = (midway.result(tmp_path / workers / str(number)) for workers in ("0", "4"))
        differing = [name for name in one if one[name] != other[name]]
        assert not differing, (json.dumps(midway.case(number)[0]), seeds)
        counted("Two runs of one config", 1)
