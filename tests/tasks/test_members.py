"""Pairs and triplets: one forward of all members, torch's own loss, ties left out, triplets mined in the batch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.models.build import build
from torchwork.tasks import members, mining
from torchwork.tasks.classification import Classification
from torchwork.tasks.embedding import Embedding
from torchwork.tasks.ranking import Ranking
from torchwork.types import Batch

CLASSES = ("a", "b", "c")


def net(outputs=4):
    torch.manual_seed(0)
    return nn.Linear(5, outputs).double()


def batch(m, target, seed=0):
    inputs = torch.randn(len(target), m, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Batch(inputs if m > 1 else inputs[:, 0], target, np.arange(len(target)))


def test_all_members_go_through_the_model_in_one_forward():
    calls = []
    model = net()
    model.register_forward_hook(lambda module, arguments, output: calls.append(arguments[0].shape))
    task = Embedding(Criterion(nn.TripletMarginLoss()), CLASSES)
    task.loss(model, batch(3, torch.zeros(6, 3).long()))
    assert calls == [(18, 5)]


def test_triplets_are_torchs_loss_of_anchor_positive_and_negative():
    model, data = net(), batch(3, torch.zeros(6, 3).long())
    expected = nn.TripletMarginLoss(0.4, swap=True)(*(model(data.inputs[:, place]) for place in range(3)))
    task = Embedding(Criterion(nn.TripletMarginLoss(0.4, swap=True)), CLASSES)
    assert task.loss(model, data).item() == pytest.approx(expected.item(), abs=1e-15)


def test_pairs_are_alike_where_their_classes_are():
    model, target = net(), torch.tensor([[0, 0], [0, 1], [2, 2], [1, 0]])
    data, sign = batch(2, target), torch.tensor([1.0, -1.0, 1.0, -1.0]).double()
    first, second = (model(data.inputs[:, place]) for place in range(2))
    cosine = Embedding(Criterion(nn.CosineEmbeddingLoss(margin=0.1)), CLASSES)
    assert cosine.loss(model, data).item() == pytest.approx(nn.CosineEmbeddingLoss(0.1)(first, second, sign).item())
    hinge = Embedding(Criterion(nn.HingeEmbeddingLoss()), CLASSES)
    distance = nn.functional.pairwise_distance(first, second)
    assert hinge.loss(model, data).item() == pytest.approx(nn.HingeEmbeddingLoss()(distance, sign).item())
    given = Embedding(Criterion(nn.CosineEmbeddingLoss(margin=0.1)), CLASSES, given="file")
    assert given.loss(model, data._replace(target=sign)).item() == cosine.loss(model, data).item()


def test_pairs_of_equal_numbers_count_for_nothing():
    model, task = net(1), Ranking(Criterion(nn.MarginRankingLoss(margin=0.3)))
    target = torch.tensor([[2.0, 1.0], [1.0, 1.0], [0.0, 3.0]]).double()[..., None]
    data = batch(2, target)
    first, second = (model(data.inputs[[0, 2], place])[:, 0] for place in range(2))
    expected = nn.MarginRankingLoss(0.3)(first, second, torch.tensor([1.0, -1.0]).double())
    assert task.weight(data) == 2
    assert task.loss(model, data).item() == pytest.approx(expected.item(), abs=1e-15)
    _, _, values, weights = task.evaluate_batch(model, data)
    assert weights.tolist() == [1, 0, 1]
    assert values.sum().item() / 2 == pytest.approx(expected.item())


def test_only_ties_weigh_nothing():
    task = Ranking(Criterion(nn.MarginRankingLoss()))
    assert task.weight(batch(2, torch.ones(4, 2, 1))) == 0


def plain_hard(vectors, target):
    found = []
    for a in range(len(target)):
        to = (vectors - vectors[a]).norm(dim=1)
        same = [i for i in range(len(target)) if i != a and target[i] == target[a]]
        other = [i for i in range(len(target)) if target[i] != target[a]]
        if same and other:
            found.append((a, max(same, key=lambda i: to[i].item()), min(other, key=lambda i: to[i].item())))
    return found


def plain_semi_hard(vectors, target):
    found = []
    for a in range(len(target)):
        to = (vectors - vectors[a]).norm(dim=1)
        other = [i for i in range(len(target)) if target[i] != target[a]]
        for p in (i for i in range(len(target)) if i != a and target[i] == target[a]):
            if other:
                beyond = [i for i in other if to[i] > to[p]]
                pick = min(beyond, key=lambda i: to[i].item()) if beyond else max(other, key=lambda i: to[i].item())
                found.append((a, p, pick))
    return found


@pytest.mark.parametrize(("how", "plain"), [("hard", plain_hard), ("semi-hard", plain_semi_hard)])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 14), classes=st.integers(1, 4))
def test_mined_triplets_are_those_of_the_definition(how, plain, seed, count, classes):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    target = torch.randint(0, classes, (count,), generator=generator)
    places = mining.triplets(vectors, target, how)
    assert list(zip(*(part.tolist() for part in places), strict=True)) == plain(vectors, target)
    anchors = torch.bincount(places[0], minlength=count)
    assert anchors.tolist() == mining.num_triplets(target, how).tolist()


def test_mining_learns_from_the_chosen_triplets_alone_and_knows_their_number_beforehand():
    target = torch.tensor([0, 0, 1, 1, 2])
    model, data = net(), batch(1, target)
    task = Embedding(Criterion(nn.TripletMarginLoss()), CLASSES, mining="hard")
    outputs = model(data.inputs)
    chosen = [outputs[list(part)] for part in zip(*plain_hard(outputs.detach(), target), strict=True)]
    assert task.companions is None
    assert task.weight(data) == 4
    assert task.loss(model, data).item() == pytest.approx(nn.TripletMarginLoss()(*chosen).item(), abs=1e-15)


def test_dicts_of_inputs_are_flattened_likewise():
    inputs = {"x": torch.zeros(4, 2, 3), "n": torch.zeros(4, 2)}
    assert {name: tuple(part.shape) for name, part in members.flat(inputs).items()} == {"x": (8, 3), "n": (8,)}
    assert members.count(inputs) == 2


@pytest.mark.parametrize(("name", "size", "shares"), [("googlenet", 64, (0.3, 0.3)), ("inception_v3", 299, (0.4,))])
def test_the_losses_of_auxiliary_heads_are_added_in_training(name, size, shares):
    model = build({"name": name, "dropout": 0.0}, input_shape=(3, size, size), num_outputs=3, seed=0)
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    data = Batch(torch.randn(2, 3, size, size), torch.tensor([0, 2]), np.arange(2))
    task = Classification(Criterion(nn.CrossEntropyLoss()), CLASSES)
    model.train()
    outputs = model(data.inputs)
    losses = [nn.functional.cross_entropy(output, data.target) for output in outputs if output is not None]
    expected = losses[0] + sum(share * loss for share, loss in zip(shares, losses[1:], strict=True))
    assert task.loss(model, data).item() == pytest.approx(expected.item(), rel=1e-4)
    assert task.loss(model, data, 4.0).item() == pytest.approx(expected.item() / 2, rel=1e-4)
    model.eval()
    main = nn.functional.cross_entropy(model(data.inputs), data.target)
    assert task.loss(model, data).item() == pytest.approx(main.item(), rel=1e-4)


def test_auxiliary_heads_of_pairs_are_added_too():
    class Two(nn.Module):
        aux_logits = True

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 1).double()

        def forward(self, x):
            return self.linear(x), 2 * self.linear(x)

    Two.__name__ = "Inception3"
    model, data = Two(), batch(2, torch.tensor([1.0, -1.0]).double())
    task = Ranking(Criterion(nn.MarginRankingLoss(margin=5.0)), "file")
    first, second = (model.linear(data.inputs[:, place])[:, 0] for place in range(2))
    plain = nn.MarginRankingLoss(margin=5.0)
    expected = plain(first, second, data.target) + 0.4 * plain(2 * first, 2 * second, data.target)
    assert task.loss(model, data).item() == pytest.approx(expected.item(), abs=1e-12)
