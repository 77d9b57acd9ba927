"""Where things are kept that can be computed again: Torchwork's own, and in a command those of the libraries too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for what can be computed again; it may not be there yet.

    ``$TORCHWORK_CACHE``, else ``$XDG_CACHE_HOME/torchwork``, else ``~/.cache/torchwork``.
    """
    if said := os.environ.get("TORCHWORK_CACHE"):
        return Path(said)
    if said := os.environ.get("XDG_CACHE_HOME"):
        return Path(said) / "torchwork"
    try:
        return Path.home() / ".cache" / "torchwork"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / f"torchwork-{os.getuid()}"


@contextmanager
def of_libraries() -> Iterator[None]:
    """Have the libraries keep their caches below ours while inside, where the user has not said where.

    matplotlib would make a folder in the user's home and ask other programs which fonts there are, torch one for
    compiled code beside the temporary files. For commands, whose process is ours; a user's own process is left alone.
    """
    folder = cache_folder().absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        yield
        return
    wanted = {
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "MPL_IGNORE_SYSTEM_FONTS": "1",  # those that are needed are looked for where they lie
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
    }
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in ours.items():
            if os.environ.get(name) == value:
                del os.environ[name]
