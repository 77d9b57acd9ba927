"""Tasks by name: what outputs and targets mean."""

TASKS = {
    "classification": "torchwork.tasks.classification:Classification",
    "regression": "torchwork.tasks.regression:Regression",
}
