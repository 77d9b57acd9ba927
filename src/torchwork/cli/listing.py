"""What ``torchwork list`` prints: the components of a kind."""

from __future__ import annotations

from torchwork import catalog
from torchwork.config import components
from torchwork.types import Finding, InputError


def plural(kind: str) -> str:
    """Return the name of all of a kind.

    >>> plural("loss"), plural("model")
    ('losses', 'models')
    """
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def print_kind(wanted: str) -> None:
    """Print the components of a kind, each with one line and its options.

    Raises:
        InputError: there is no such kind.
    """
    kinds = {plural(kind): kind for kind in components.CATALOGS}
    kind = kinds.get(wanted, wanted)
    if kind not in components.CATALOGS:
        message = f"there is no kind {wanted!r}"
        near = catalog.nearest(wanted, kinds)
        fix = f"did you mean {near!r}?" if near else f"known: {', '.join(kinds)}"
        raise InputError(Finding("unknown-kind", "error", "list", message, fix))
    from torchwork.cli import options

    for found in options.describe(kind):
        print(f"{found.name}: {found.line}" if found.line else found.name)
        shown = [_option(option) for option in found.options]
        shown += [f"{option.name} ({options.FOLLOWS[kind]})" for option in found.follows]
        shown += ["any others"] if found.free else []
        if shown:
            print(f"    {', '.join(shown)}")


def _option(option: object) -> str:
    from torchwork.cli import options

    assert isinstance(option, options.Option)
    if option.default is options.MISSING:
        return f"{option.name} (required)"
    return f"{option.name}={options.value_text(option.default)}"
