"""Trains cases of `midway` in a process of its own: ``python -m reliability.twice FOLDER WORKERS NUMBERS...``."""

import sys
from pathlib import Path

from reliability import midway
from torchwork.run import train


def main(folder, workers, *numbers):
    midway.light()
    for number in numbers:
        config, _ = midway.case(int(number))
        config["data"]["num_workers"] = int(workers)
        train(config, out=Path(folder) / number)


if __name__ == "__main__":
    main(*sys.argv[1:])
