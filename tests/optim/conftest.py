"""The tests of optimizers name functions of theirs by import path, as a config does: found wherever pytest starts."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
