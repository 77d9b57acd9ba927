"""Numbers as they are shown while a run goes on."""

from __future__ import annotations

_ASIDE = ("epoch", "step", "lr", "seconds", "waited")


def figure(value: float) -> str:
    """Return a loss or a metric with four decimals, or four digits where it is very large or small.

    >>> figure(0.51234), figure(0.0), figure(1.5e-7), figure(float("nan"))
    ('0.5123', '0.0000', '1.5e-07', 'nan')
    """
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.4g}"


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """Return an epoch of the history as one line.

    >>> epoch_line({"epoch": 2, "step": 40, "lr": 0.001, "train_loss": 0.51234, "seconds": 1.26}, 10)
    'epoch  2/10  train_loss 0.5123  lr 0.001  1.3 s'
    >>> epoch_line({"epoch": 1, "seconds": 2.0, "waited": 0.5}, 1)
    'epoch 1/1  2.0 s (25% waiting for data)'
    """
    width = len(str(epochs))
    figures = [f"{name} {figure(value)}" for name, value in row.items() if name not in _ASIDE]
    aside = [f"lr {row['lr']:.3g}"] if "lr" in row else []
    took = [_took(row)] if "seconds" in row else []
    return "  ".join([f"epoch {int(row['epoch']):>{width}}/{epochs}", *figures, *aside, *took])


def _took(row: dict[str, float]) -> str:
    """Return how long an epoch took, and what share of it training waited for data."""
    share = f" ({row['waited'] / row['seconds']:.0%} waiting for data)" if row.get("waited") else ""
    return f"{row['seconds']:.1f} s{share}"
