"""Tasks by name: what outputs and targets mean."""

TASKS = {
    "binary": "torchwork.tasks.binary:Binary",
    "classification": "torchwork.tasks.classification:Classification",
    "embedding": "torchwork.tasks.embedding:Embedding",
    "multilabel": "torchwork.tasks.multilabel:Multilabel",
    "ranking": "torchwork.tasks.ranking:Ranking",
    "regression": "torchwork.tasks.regression:Regression",
    "sequence": "torchwork.tasks.sequence:Sequence",
}
