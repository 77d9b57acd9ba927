"""Which task a loss and its targets lead to, in a config and for a loss object."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from torchwork.losses import LOSSES
from torchwork.losses.contracts import CONTRACTS
from torchwork.losses.criterion import Criterion, build
from torchwork.tasks import TASKS, contracts
from torchwork.tasks.custom import Custom
from torchwork.training.fit import fit
from torchwork.types import InputError

ABOUT = {
    "class": {"target": "class", "classes": ("a", "b"), "target_names": ()},
    "number": {"target": "number", "classes": None, "target_names": ("x",)},
    "columns": {"target": "number", "classes": None, "target_names": ("x", "y", "z")},
    "sequence": {"target": "sequence", "classes": ("a", "b", "c"), "target_names": ()},
}


def chosen(loss, kind, task=None, **more):
    return contracts.choose(task, loss and {"name": loss}, **ABOUT[kind], **more)


@pytest.mark.parametrize(
    ("loss", "kind", "task", "outputs", "companions"),
    [
        (None, "class", "Classification", 2, None),
        (None, "columns", "Regression", 3, None),
        (None, "sequence", "Sequence", 4, None),
        ("KLDivLoss", "class", "Classification", 2, None),
        ("KLDivLoss", "columns", "Classification", 3, None),
        ("CrossEntropyLoss", "columns", "Classification", 3, None),
        ("BCELoss", "class", "Binary", 1, None),
        ("BCELoss", "columns", "Multilabel", 3, None),
        ("SoftMarginLoss", "class", "Binary", 1, None),
        ("SoftMarginLoss", "number", "Multilabel", 1, None),
        ("MultiLabelMarginLoss", "columns", "Multilabel", 3, None),
        ("GaussianNLLLoss", "columns", "Regression", 6, None),
        ("PoissonNLLLoss", "number", "Regression", 1, None),
        ("MarginRankingLoss", "number", "Ranking", 1, "ranking"),
        ("TripletMarginLoss", "class", "Embedding", 64, "triplets"),
        ("HingeEmbeddingLoss", "class", "Embedding", 64, "pairs"),
        ("CosineEmbeddingLoss", "class", "Embedding", 64, "pairs"),
        ("CTCLoss", "sequence", "Sequence", 4, None),
        ("torch.nn:BCELoss", "class", "Binary", 1, None),
    ],
)
def test_loss_and_targets_decide_the_task(loss, kind, task, outputs, companions):
    found = chosen(loss, kind)
    assert type(found).__name__ == task
    assert found.num_outputs == outputs
    assert found.companions == companions


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_usual_loss_of_its_own(task):
    kind = contracts.TARGETS_OF_TASK[task][0]
    found = chosen(None, kind, task)
    assert f"{type(found).__module__}:{type(found).__name__}" == TASKS[task]
    assert task in CONTRACTS[found.criterion.name].task


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_of_another_task_is_refused_with_both_ways_out(loss):
    other = next(task for task in TASKS if task not in CONTRACTS[loss].task)
    with pytest.raises(InputError, match=rf"{loss} is a loss for .*, the task is {other}; take .*, or task: "):
        chosen(loss, contracts.TARGETS_OF_TASK[other][0], other)


def test_an_unknown_task_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"there is no task 'segmentation'; known: .*embedding.*or sequence"):
        chosen(None, "class", "segmentation")


def test_mining_needs_triplets():
    assert chosen("TripletMarginLoss", "class", mining="semi-hard").companions is None
    with pytest.raises(InputError, match="takes no triplets; remove it, or take TripletMarginLoss"):
        chosen("CrossEntropyLoss", "class", mining="hard")


def test_the_targets_of_samples_do_not_matter_where_a_file_says_who_goes_with_whom():
    assert chosen("CosineEmbeddingLoss", "number", given=True).given == "file"
    assert chosen("MarginRankingLoss", "class", given=True).given == "file"


def test_a_subclass_of_a_loss_is_the_users_own():
    class CrossEntropyLoss(nn.CrossEntropyLoss):
        pass

    assert isinstance(contracts.of_module(Criterion(CrossEntropyLoss()), torch.zeros(2, 3)), Custom)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_object_has_the_task_that_takes_its_targets_as_torch_does(name):
    criterion = build({"name": name})
    output = torch.zeros(4, 5, 3) if name == "CTCLoss" else torch.zeros(4, 4)
    task = contracts.of_module(criterion, output, torch.zeros(4).long())
    assert task.criterion is criterion
    assert task.num_outputs == {"CTCLoss": 3, "MarginRankingLoss": 1}.get(name, 4)


def test_pixels_are_classified():
    x, y = torch.randn(6, 3, 4, 4), torch.randint(0, 2, (6, 4, 4))
    result = fit(nn.Conv2d(3, 2, 1), (x, y), (x, y), loss=nn.CrossEntropyLoss(), optimizer="SGD", epochs=1)
    assert 0 <= result.history[0]["val_accuracy"] <= 1


def test_fit_learns_from_pairs_triplets_and_sequences():
    x = torch.randn(12, 3, 5)
    for loss, model, inputs, target, metric in [
        (nn.TripletMarginLoss(), nn.Linear(5, 4), x, torch.arange(12) % 3, "triplets_in_order"),
        (nn.CosineEmbeddingLoss(), nn.Linear(5, 4), x[:, :2], torch.arange(12) % 2 * 2 - 1, "roc_auc"),
        (nn.MarginRankingLoss(), nn.Linear(5, 1), x[:, :2], torch.arange(12) % 2 * 2 - 1, "pairs_in_order"),
        (
            nn.CTCLoss(),
            nn.Sequential(nn.Linear(5, 4), nn.LogSoftmax(2)),
            x,
            torch.tensor([[1, -1]] * 12),
            "exact_match",
        ),
    ]:
        history = fit(model, (inputs, target), (inputs, target), loss=loss, optimizer="SGD", epochs=2).history
        assert history[1]["train_loss"] <= history[0]["train_loss"]
        assert 0 <= history[0][f"val_{metric}"] <= 1


class Counting(Dataset):
    """Its last target is a mistake that the first batch does not show."""

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return torch.zeros(3), torch.tensor([-1.0 if index == 19 else 1.0])


def test_a_mistake_in_a_later_batch_is_found_when_it_is_read():
    with pytest.raises(InputError, match="train: PoissonNLLLoss needs counts"):
        fit(nn.Linear(3, 1), Counting(), loss="PoissonNLLLoss", optimizer="SGD", batch_size=4, shuffle=False)


def test_a_mistake_in_the_targets_of_val_is_found_before_training():
    x, y, steps = torch.zeros(8, 3), torch.arange(8) % 2, []
    with pytest.raises(InputError, match="val: 8 labels are out of range"):
        fit(nn.Linear(3, 2), (x, y), (x, y + 2), loss="NLLLoss", optimizer="SGD", watchers=[steps.append])
    assert not steps


def test_all_mistakes_of_targets_and_outputs_are_told_at_once():
    x, y = torch.zeros(8, 3), torch.full((8,), 7)
    with pytest.raises(InputError) as caught:
        fit(nn.Sequential(nn.Linear(3, 2), nn.Softmax(1)), (x, y), loss="CrossEntropyLoss", optimizer="SGD")
    assert [finding.code for finding in caught.value.findings] == ["label-range", "probabilities"]


def test_soft_targets_count_as_their_likeliest_class():
    task = chosen("KLDivLoss", "columns")
    from torchwork.tasks.supervised import Evaluation

    outputs = torch.tensor([[0.9, 0.05, 0.05], [0.2, 0.5, 0.3]]).log()
    targets = torch.tensor([[0.6, 0.2, 0.2], [0.1, 0.2, 0.7]])
    evaluation = Evaluation(torch.arange(2), outputs, targets, torch.zeros(2), torch.ones(2))
    assert task.metrics(evaluation) == {"accuracy": 0.5}
    header, rows = task.table(evaluation)
    assert header == ["id", "target", "prediction", "loss", "score_x", "score_y", "score_z"]
    assert [row[1:3] for row in rows] == [["x", "x"], ["z", "y"]]
    assert np.allclose(rows[0][4:], [0.9, 0.05, 0.05])
