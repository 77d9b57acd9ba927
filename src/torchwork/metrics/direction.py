"""Which way a metric is good."""

GREATER_IS_BETTER = (
    "accuracy",
    "r2",
    "roc_auc",
    "lrap",
    "kendall_tau",
    "pairs_in_order",
    "triplets_in_order",
    "recall_at_1",
    "map_at_r",
    "exact_match",
)


def higher_is_better(column: str) -> bool:
    """Tell whether a larger value of a column of history.csv is the better one; losses, errors and deviances: less.

    >>> higher_is_better("val_accuracy"), higher_is_better("val_loss")
    (True, False)
    """
    return column.endswith(GREATER_IS_BETTER)
