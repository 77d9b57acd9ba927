"""Every loss is a whole contract: an entry without one, without wrong set-ups or without a working one fails here."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from losses.working_setups import WORKING
from losses.wrong_setups import WRONG
from torchwork.losses import LOSSES
from torchwork.losses.contracts import CONTRACTS
from torchwork.losses.criterion import Criterion, build
from torchwork.tasks import TASKS, contracts, members
from torchwork.tasks.probe import probe
from torchwork.training.evaluate import evaluate
from torchwork.training.loop import updates
from torchwork.training.state import State
from torchwork.types import Batch, InputError

WORKING_CASES = [(name, index) for name, setups in WORKING.items() for index in range(len(setups))]


def test_every_loss_has_a_contract_wrong_setups_and_a_working_one():
    assert set(LOSSES) == set(CONTRACTS) == set(WRONG) == set(WORKING)
    assert all(len(setups) >= 3 for setups in WRONG.values())
    assert all(WORKING.values())


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_names_tasks_of_the_catalog_and_leaves_nothing_out(name):
    contract = CONTRACTS[name]
    assert contract.task
    assert set(contract.task) <= set(TASKS)
    assert all(getattr(contract, field) for field in type(contract).__dataclass_fields__ if field != "soft")
    assert contracts.task_of(build({"name": name})) in TASKS


@pytest.mark.parametrize(
    ("setup", "said"),
    [pytest.param(*case, id=f"{name}-{at}") for name, cases in WRONG.items() for at, case in enumerate(cases)],
)
def test_a_wrong_setup_is_refused_with_the_mistake_and_the_mend(setup, said):
    with pytest.raises(InputError, match=f"(?s){said}"):
        setup()


def made(name, index):
    torch.manual_seed(0)
    setup = WORKING[name][index]()
    return setup.task, setup.model.double(), setup.batch


@pytest.mark.parametrize(("name", "index"), WORKING_CASES)
def test_a_working_setup_is_accepted_and_trains(name, index):
    task, model, batch = made(name, index)
    found = probe(model, members.flat(batch.inputs) if task.companions else batch.inputs)
    task.check_output(found.output, batch, found)
    state = State(model, torch.optim.SGD(model.parameters(), lr=1e-3))
    losses = [step.loss.item() for step in updates(state, [[batch]] * 3, task)]
    assert len(losses) == 3
    assert losses[2] < losses[0]


@pytest.mark.parametrize(
    ("name", "index"),
    [case for case in WORKING_CASES if case[0] != "TripletMarginLoss" or case[1] == 0],  # others are mined in a batch
)
def test_a_cut_of_a_batch_gives_the_gradient_of_the_whole(name, index):
    task, model, batch = made(name, index)
    other = copy.deepcopy(model)
    task.loss(model, batch).backward()
    parts = cut(batch, (5, 1, len(batch.ids) - 6))
    total = sum(task.weight(part) for part in parts)
    assert total == pytest.approx(task.weight(batch), abs=1e-12)
    loss = sum(task.loss(other, part, total) for part in parts)
    loss.backward()
    assert loss.item() == pytest.approx(task.loss(model, batch).item(), abs=1e-12)
    for ours, theirs in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "index"), WORKING_CASES)
def test_an_evaluation_has_a_row_a_sample_whose_terms_give_the_loss(name, index):
    task, model, batch = made(name, index)
    evaluation = evaluate(model, task, One(batch))
    assert len(evaluation.ids) == len(evaluation.outputs) == len(evaluation.targets) == len(evaluation.values)
    assert evaluation.loss == pytest.approx(task.loss(model, batch).item(), abs=1e-12)
    assert evaluation.weights.sum().item() == pytest.approx(task.weight(batch))
    assert all(isinstance(value, float) for value in task.metrics(evaluation).values())
    header, rows = task.table(evaluation)
    assert header[0] == "id"
    assert all(len(row) == len(header) for row in rows)
    assert [row[0] for row in rows] == batch.ids.tolist()
    if getattr(task, "given", "no") != "file":  # then outputs are pairs
        assert len(task.predictions(evaluation.outputs)) == len(rows)


class One:
    def __init__(self, batch):
        self.batch = batch

    def batches(self, epoch, start=0):
        return iter([self.batch])


def cut(batch, sizes):
    ids = np.split(batch.ids, np.cumsum(sizes)[:-1])
    return [Batch(*part) for part in zip(batch.inputs.split(sizes), batch.target.split(sizes), ids, strict=True)]


HALVES = torch.tensor([[0.3, 0.7], [0.5, 0.5]])
LECTURE = [
    (nn.MultiLabelMarginLoss(), 0.4500, (torch.tensor([[0.9, 0.2, 0.4, 0.8]]), torch.tensor([[3, 0, -1, 1]]))),
    (nn.SoftMarginLoss(), 0.6764, (HALVES, torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))),
    (nn.MultiMarginLoss(), 0.6000, (HALVES, torch.tensor([0, 1]))),
    (nn.HingeEmbeddingLoss(), 0.7667, (torch.tensor([[1.0, 0.8, 0.5]]), torch.tensor([[1.0, 1.0, -1.0]]))),
    (
        nn.CosineEmbeddingLoss(),
        0.5000,
        (torch.tensor([[0.3, 0.5, 0.7]] * 2), torch.tensor([[0.1, 0.3, 0.5]] * 2), torch.tensor([1.0, -1.0])),
    ),
]


@pytest.mark.parametrize(("loss", "printed", "arguments"), LECTURE, ids=lambda value: type(value).__name__)
def test_the_values_that_the_lecture_prints(loss, printed, arguments):
    assert round(Criterion(loss).mean(*arguments).item(), 4) == printed
    assert round(loss(*arguments).item(), 4) == printed


def test_the_negative_divergence_of_the_lecture_is_torchs_refused_here_and_explained():
    output = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
    target = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.7, 0.2]])
    with pytest.warns(UserWarning, match="batchmean"):
        assert round(nn.KLDivLoss()(output, target).item(), 4) == -0.3335
    batchmean = nn.KLDivLoss(reduction="batchmean")
    assert round(batchmean(output, target).item(), 4) == -1.0006
    with pytest.raises(InputError, match=r"reduction='mean', which divides by the elements.*batchmean"):
        Criterion(nn.KLDivLoss())
    criterion, batch = Criterion(batchmean), Batch(output, target, np.arange(2))
    with pytest.raises(InputError, match=r"gives probabilities.*no divergence, and may be negative.*LogSoftmax"):
        contracts.of_module(criterion, output, target).check_output(output, batch)
    contracts.of_module(criterion, output, target).check_output(output.log(), batch)
    assert round(criterion.mean(output.log(), target).item(), 4) == 0.3553
