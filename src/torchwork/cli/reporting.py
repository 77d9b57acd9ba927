"""How a command ends when something is wrong: what is printed, and the exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import typer

from torchwork import dist
from torchwork.types import Finding, InputError, RunError, printable

FAILED, WRONG_INPUT, COME_BACK, SIGINT_EXIT, SIGTERM_EXIT = 1, 2, 75, 130, 143


@contextmanager
def reporting(
    config: Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    *,
    as_json: bool = False,
) -> Iterator[None]:
    """Turn what a command raises into a message on standard error and an exit code.

    Args:
        config: The config file, where the command has one: mistakes are then told with its lines.
        overrides: Changes to it; what they set has no line.
        options: The options of the command that set a place of the config, by place: mistakes there are theirs.
        as_json: Whether the message is one JSON object on a line: ``event`` (error), ``exit`` (the exit code),
            ``message``, and ``findings``, the mistakes one by one.
    """

    def end(text: str, code: int, findings: Sequence[Finding] = ()) -> typer.Exit:
        if not getattr(sys.exception(), "told", False):  # of several processes the first one tells what all know
            text = f"rank {dist.rank()}: {text}" if dist.rank() else text
            _tell(_as_json(text, code, findings) if as_json else text)
        return typer.Exit(code)

    try:
        yield
        sys.stdout.flush()
    except InputError as error:
        findings = [replace(found, where=(options or {}).get(found.where, found.where)) for found in error.findings]
        raise end(mistakes(findings, config, overrides), WRONG_INPUT, findings) from None
    except RunError as error:
        raise end(f"error: {error}", FAILED) from None
    except BrokenPipeError:  # whoever read the output has gone, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt as error:
        from torchwork.training.interrupt import Interrupted

        number = error.signal if isinstance(error, Interrupted) else signal.SIGINT
        code = COME_BACK if number == signal.SIGUSR1 else 128 + number
        raise end(str(error) or "interrupted", code) from None
    except MemoryError:
        text = "error: out of memory; take a smaller data.batch_size or smaller samples"
        raise end(text, FAILED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        raise end(_unexpected(error), FAILED) from None


def _as_json(text: str, code: int, findings: Sequence[Finding]) -> str:
    content = {"event": "error", "exit": code, "message": text.removeprefix("error: ")}
    return json.dumps({**content, "findings": [vars(found) for found in findings]}, ensure_ascii=False)


def mistakes(findings: Sequence[Finding], config: Path | None = None, overrides: Sequence[str] = ()) -> str:
    """Return findings as text: one alone, or how many there are and a line each.

    >>> two = [Finding("a", "error", "train.epochs", "got 0", "expected 1"), Finding("b", "error", "lr", "x")]
    >>> print(mistakes(two))
    error: 2 mistakes
      train.epochs: got 0; expected 1
      lr: x
    """
    places = _lines(config)
    said = [_with_line(finding, config, places, overrides) for finding in findings]
    if len(said) == 1:
        return f"error: {said[0]}"
    title = f"error: {len(said)} mistakes{f' in {config}' if config is not None else ''}"
    return "\n".join([title, *(f"  {line}" for line in said)])


def _lines(config: Path | None) -> dict[str, int]:
    if config is None:
        return {}
    from torchwork.config import text

    return text.lines(config)


def _with_line(finding: Finding, config: Path | None, places: dict[str, int], overrides: Sequence[str]) -> str:
    where = finding.where
    set_elsewhere = any(_overlap(where, override.partition("=")[0]) for override in overrides)
    while where and where not in places:
        cut = max(where.rfind("."), where.rfind("["))
        where = where[: max(cut, 0)]
    return str(finding) if not where or set_elsewhere else f"{config}:{places[where]}: {finding}"


def _overlap(where: str, place: str) -> bool:
    return (
        where == place or where.startswith((f"{place}.", f"{place}[")) or place.startswith((f"{where}.", f"{where}["))
    )


def _unexpected(error: Exception) -> str:
    kind = type(error).__name__
    if "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower():
        return f"error: {str(error).splitlines()[0]}; take a smaller data.batch_size or smaller samples"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
        return f"error: {error.strerror}{f': {error.filename}' if error.filename else ''}"
    trace = "".join(traceback.format_exception(error))
    return (
        f"{trace}error: {kind}: {error}\nThis was not expected: it is a mistake in Torchwork, or in code of your own."
    )


def _tell(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
