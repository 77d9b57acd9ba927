"""What ``torchwork explain`` prints: the contract of a loss."""

from __future__ import annotations

import textwrap

from torchwork import catalog
from torchwork.losses import LOSSES
from torchwork.losses.contracts import CONTRACTS
from torchwork.types import Finding, InputError


def print_contract(name: str) -> None:
    """Print what a loss asks for and what it gives. Imports no torch.

    Raises:
        InputError: there is no such loss.

    >>> print_contract("MSELoss")  # doctest: +ELLIPSIS
    MSELoss: ...
    """
    findings = catalog.check_name(name, LOSSES, "loss", "explain")
    if name not in CONTRACTS:
        fix = "the losses of the catalog have one: torchwork list losses"
        raise InputError(findings or Finding("no-contract", "error", "explain", f"{name} has no contract here", fix))
    contract = CONTRACTS[name]
    print(f"{name}: {contract.formula}")
    facts = [
        ("task", " or ".join(contract.task)),
        ("target", contract.target),
        ("output", contract.output),
        ("activation", contract.activation),
        ("batches", contract.batches),
        ("prediction", contract.prediction),
        ("metrics", ", ".join(contract.metrics)),
        ("divided by", contract.denominator),
        ("MixUp", "targets can be mixed" if contract.soft else "refused: targets cannot be mixed"),
    ]
    for title, fact in facts:
        first, *rest = textwrap.wrap(fact, 88)
        print("\n".join([f"  {title:<10}  {first}", *(f"  {'':<10}  {line}" for line in rest)]))
