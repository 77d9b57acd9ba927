"""Who shows a run, where nobody was chosen."""

from __future__ import annotations

import sys

from torchwork.progress.bars import TerminalProgress
from torchwork.progress.lines import PlainProgress
from torchwork.progress.notebook import NotebookProgress
from torchwork.progress.outlook import Progress


def chosen(progress: Progress | bool | None) -> Progress | None:
    """Return who shows a run.

    Args:
        progress: Somebody who does. True: bars in a notebook and on a terminal, one line an epoch elsewhere. False:
            nobody. None: as True in a notebook, as False in a script.

    >>> chosen(None) is None, type(chosen(True)).__name__
    (True, 'PlainProgress')
    """
    if progress is None:
        progress = in_notebook()
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return None
    if in_notebook():
        return NotebookProgress()
    return TerminalProgress() if sys.stdout.isatty() else PlainProgress()


def in_notebook() -> bool:
    """Tell whether this code runs in the kernel of a notebook: Jupyter, Colab, VS Code."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
