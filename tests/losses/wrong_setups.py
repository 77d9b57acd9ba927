"""Wrong set-ups of every loss, and what must be said about each: the mistake, then the mend.

A set-up is called without arguments and ends in an InputError; most go the way of ``torchwork.fit``.
"""

import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.losses.criterion import build as build_loss
from torchwork.tasks import contracts
from torchwork.training.fit import fit

N, FEATURES = 24, 6


def inputs(*between, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(N, *between, FEATURES, generator=generator, dtype=dtype)


def net(outputs, *last, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, outputs), *last)


class Doing(nn.Module):
    """A linear layer, then a function."""

    def __init__(self, outputs, function):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.function = nn.Linear(FEATURES, outputs), function

    def forward(self, x):
        return self.function(self.linear(x))


def by_hand(outputs):
    """Sigmoid without torch's own."""
    return Doing(outputs, lambda x: 1 / (1 + (-x).exp()))


def softmax_by_hand(outputs):
    return Doing(outputs, lambda x: x.exp() / x.exp().sum(1, keepdim=True))


def fitting(loss, model, y, x=None):
    return lambda: fit(model, (inputs() if x is None else x, y), loss=loss, optimizer="SGD", epochs=1)


def configured(loss, targets=None, **about):
    def run():
        task = contracts.choose(None, {"name": loss}, **about)
        task.check_targets(targets, "data.source")

    return run


def swapped(loss, *arguments):
    return lambda: Criterion(loss).mean(*arguments)


def built(name, **options):
    return lambda: build_loss({"name": name, **options})


def classes(high=3, low=0):
    return torch.arange(N) % (high - low) + low


def zeros_and_ones(*shape):
    return (torch.arange(N * (shape[0] if shape else 1)) % 2).float().reshape(N, *shape)


def signs(*shape):
    return 2 * zeros_and_ones(*shape) - 1


def numbers(*shape):
    return torch.randn(N, *shape, generator=torch.Generator().manual_seed(1))


CLASSES = {"target": "class", "classes": ("a", "b", "c"), "target_names": ()}
NUMBERS = {"target": "number", "classes": None, "target_names": ("x",)}
COLUMNS = {"target": "number", "classes": None, "target_names": ("x", "y")}


def in_log(rows):
    return rows.log_softmax(1)


GRADIENT = torch.zeros(4, 1, requires_grad=True)
SOFTMAX, LOG_SOFTMAX = nn.Softmax(1), nn.LogSoftmax(1)


def lists(*rows):
    """Label lists of four labels, the rows repeated."""
    return torch.tensor(rows).repeat(N // len(rows) + 1, 1)[:N]


def reading(symbols, steps, last=None):
    """A model [B, 6] -> [B, steps, symbols + blank]."""
    last = nn.LogSoftmax(2) if last is None else last
    return net(steps * (symbols + 1), nn.Unflatten(1, (steps, symbols + 1)), last)


def regression(name):
    """What no loss of numbers takes."""
    make = getattr(nn, name)
    return [
        (fitting(make(), net(1), numbers()), r"\[24, 1\].*\[24\].*same shape.*squeeze"),
        (fitting(make(), net(1), classes()[:, None]), r"whole numbers.*\.float\(\)"),
        (fitting(make(), net(1), numbers(1).log()), r"NaN or infinite.*mend or remove"),
        (fitting(make(), net(1, nn.Sigmoid()), numbers(1) * 100), r"ends in Sigmoid.*0 to 1.*take the Sigmoid off"),
        (configured(name, **CLASSES), rf"{name} .*needs targets that are numbers.*take CrossEntropyLoss"),
        (swapped(make(), torch.zeros(4, 1), GRADIENT), r"target that needs a gradient; output and target are swapped"),
    ]


WRONG = {
    "CrossEntropyLoss": [
        (fitting(nn.CrossEntropyLoss(), net(3, SOFTMAX), classes()), r"gives probabilities.*take the Softmax off"),
        (fitting(nn.CrossEntropyLoss(), softmax_by_hand(3), classes()), r"gives probabilities.*take the Softmax off"),
        (fitting(nn.CrossEntropyLoss(), net(3), classes(4, 1)), r"out of range: 3.*0 to 2.*subtract 1"),
        (fitting(nn.CrossEntropyLoss(), net(3), classes().float()), r"these are floats.*\.long\(\)"),
        (fitting(nn.CrossEntropyLoss(), net(3), classes()[:, None]), r"\[24, 1\].*squeeze\(1\)"),
        (fitting(nn.CrossEntropyLoss(), net(3), numbers(3)), r"no distributions.*add up to 1"),
        (fitting(nn.CrossEntropyLoss(), Doing(3, lambda x: x.argmax(1)), classes()), r"whole numbers.*without argmax"),
        (fitting(nn.CrossEntropyLoss(weight=torch.ones(2)), net(3), classes()), r"2 numbers for 3 classes; give one"),
        (configured("CrossEntropyLoss", **NUMBERS), r"needs targets that are classes.*take MSELoss"),
        (swapped(nn.CrossEntropyLoss(), classes(), net(3)(inputs())), r"swapped"),
        (built("CrossEntropyLoss", label_smoothing=1.5), r"got 1.5; expected 0 to 1"),
    ],
    "NLLLoss": [
        (fitting(nn.NLLLoss(), net(3), classes()), r"gives raw scores.*LogSoftmax\(dim=1\), or take CrossEntropyLoss"),
        (fitting(nn.NLLLoss(), net(3, SOFTMAX), classes()), r"gives probabilities.*LogSoftmax.*instead of Softmax"),
        (fitting(nn.NLLLoss(), net(3, LOG_SOFTMAX), classes(5)), r"out of range: 3, 4.*classes from 0 to 2"),
        (fitting(nn.NLLLoss(), net(4, LOG_SOFTMAX), torch.eye(4).long()[classes(4)]), r"one-hot: take \.argmax\(1\)"),
        (swapped(nn.NLLLoss(), classes(), net(3)(inputs())), r"swapped"),
    ],
    "MultiMarginLoss": [
        (fitting(nn.MultiMarginLoss(), net(3, SOFTMAX), classes()), r"gives probabilities.*margin of 1 is never"),
        (fitting(nn.MultiMarginLoss(), net(3), classes() - 1), r"out of range: -1.*0 to 2"),
        (fitting(nn.MultiMarginLoss(), net(3), classes().int()), r"int32.*\.long\(\)"),
        (built("MultiMarginLoss", p=3), r"p == 1 and p == 2"),
        (swapped(nn.MultiMarginLoss(), classes(), net(3)(inputs())), r"swapped"),
    ],
    "KLDivLoss": [
        (
            fitting(nn.KLDivLoss(reduction="batchmean"), net(3, SOFTMAX), numbers(3).softmax(1)),
            r"gives probabilities.*no divergence, and may be negative; end the model in LogSoftmax",
        ),
        (
            fitting(nn.KLDivLoss(reduction="batchmean"), net(3), numbers(3).softmax(1)),
            r"raw scores.*end the model in LogSoftmax",
        ),
        (
            fitting(nn.KLDivLoss(reduction="batchmean"), net(3, LOG_SOFTMAX), classes()),
            r"needs a distribution.*take CrossEntropyLoss or NLLLoss",
        ),
        (
            fitting(nn.KLDivLoss(reduction="batchmean"), net(3, LOG_SOFTMAX), in_log(numbers(3))),
            r"their logarithms; set log_target: true",
        ),
        (
            fitting(nn.KLDivLoss(reduction="batchmean", log_target=True), net(3, LOG_SOFTMAX), numbers(3).softmax(1)),
            r"targets are logarithms.*leave log_target out",
        ),
        (
            fitting(nn.KLDivLoss(), net(3, LOG_SOFTMAX), numbers(3).softmax(1)),
            r"divides by the elements.*reduction='batchmean'|reduction='mean'.*batchmean",
        ),
        (swapped(nn.KLDivLoss(reduction="batchmean"), torch.ones(4, 1), GRADIENT), r"swapped"),
    ],
    "BCELoss": [
        (fitting(nn.BCELoss(), net(1), zeros_and_ones(1)), r"raw scores.*Sigmoid, or take BCEWithLogitsLoss"),
        (fitting(nn.BCELoss(), net(1, nn.Sigmoid()), signs(1)), r"0 and 1, found -1.*\(target \+ 1\) / 2"),
        (fitting(nn.BCELoss(), net(1, nn.Sigmoid()), zeros_and_ones()), r"\[24, 1\].*\[24\].*same shape"),
        (fitting(nn.BCELoss(), net(1, nn.Sigmoid()), classes()[:, None]), r"floats.*CrossEntropyLoss"),
        (fitting(nn.BCELoss(), net(1, SOFTMAX), zeros_and_ones(1)), r"Softmax over one number.*Sigmoid"),
        (configured("BCELoss", **CLASSES), r"two classes apart, the data have 3; take CrossEntropyLoss"),
        (swapped(nn.BCELoss(), torch.ones(4, 1), GRADIENT), r"swapped"),
    ],
    "BCEWithLogitsLoss": [
        (
            fitting(nn.BCEWithLogitsLoss(), net(1, nn.Sigmoid()), zeros_and_ones(1)),
            r"gives probabilities.*take the Sigmoid.*off",
        ),
        (fitting(nn.BCEWithLogitsLoss(), by_hand(2), zeros_and_ones(2)), r"gives probabilities.*take the Sigmoid"),
        (fitting(nn.BCEWithLogitsLoss(), net(1, nn.ReLU()), zeros_and_ones(1)), r"never below 0.*take the ReLU off"),
        (fitting(nn.BCEWithLogitsLoss(), net(2), signs(2)), r"0 and 1, found -1.*SoftMarginLoss"),
        (fitting(nn.BCEWithLogitsLoss(), net(1), zeros_and_ones()), r"\[24, 1\].*\[24\].*same shape"),
        (swapped(nn.BCEWithLogitsLoss(), torch.ones(4, 1), GRADIENT), r"swapped"),
    ],
    "SoftMarginLoss": [
        (fitting(nn.SoftMarginLoss(), net(1), zeros_and_ones(1)), r"1 and -1, found 0.*2 \* target - 1"),
        (fitting(nn.SoftMarginLoss(), net(2), lists([-1, 0], [1, 1]).sign().float()), r"found 0.*sign\(\) gives 0"),
        (fitting(nn.SoftMarginLoss(), net(1, nn.Sigmoid()), signs(1)), r"gives probabilities.*take the Sigmoid"),
        (fitting(nn.SoftMarginLoss(), net(1), signs()), r"\[24, 1\].*\[24\].*same shape"),
        (configured("SoftMarginLoss", zeros_and_ones(2), **COLUMNS), r"found 0.*2 \* target - 1"),
        (swapped(nn.SoftMarginLoss(), torch.ones(4, 1), GRADIENT), r"swapped"),
    ],
    "MultiLabelMarginLoss": [
        (fitting(nn.MultiLabelMarginLoss(), net(4), lists([1, 1, -1, -1])), r"a class twice before the -1.*once"),
        (fitting(nn.MultiLabelMarginLoss(), net(4), lists([4, -1, -1, -1])), r"out of range: 4.*0 to 3"),
        (fitting(nn.MultiLabelMarginLoss(), net(4), lists([1, -1, 2, -1])), r"after the -1.*labels first"),
        (fitting(nn.MultiLabelMarginLoss(), net(4), lists([-1, 0, 0, 0])), r"name no class.*leave out"),
        (fitting(nn.MultiLabelMarginLoss(), net(4, nn.Sigmoid()), lists([3, 0, -1, 1])), r"gives probabilities"),
        (fitting(nn.MultiLabelMarginLoss(), net(4), classes()), r"lists of labels.*filled up with -1"),
        (configured("MultiLabelMarginLoss", torch.zeros(N, 2), **COLUMNS), r"no label at all.*BCEWithLogitsLoss"),
        (swapped(nn.MultiLabelMarginLoss(), lists([1, -1]), net(2)(inputs())), r"swapped"),
    ],
    "MSELoss": regression("MSELoss"),
    "L1Loss": regression("L1Loss"),
    "SmoothL1Loss": [*regression("SmoothL1Loss"), (built("SmoothL1Loss", beta=-1.0), r"got -1.0; expected 0 or more")],
    "HuberLoss": [*regression("HuberLoss"), (built("HuberLoss", delta=0.0), r"got 0.0; expected more than 0")],
    "GaussianNLLLoss": [
        (
            fitting(nn.GaussianNLLLoss(), net(1), numbers(1)),
            r"1 means, then as many logarithms of variances.*\[24, 2\]",
        ),
        (fitting(nn.GaussianNLLLoss(), net(2), numbers()), r"\[24, 1\].*\[24\].*same shape"),
        (
            fitting(nn.GaussianNLLLoss(), net(2, nn.Softplus()), numbers(1)),
            r"ends in Softplus.*takes exp of the second",
        ),
        (fitting(nn.GaussianNLLLoss(), net(2), numbers(1).log()), r"NaN or infinite"),
        (configured("GaussianNLLLoss", **CLASSES), r"needs targets that are numbers"),
        (swapped(nn.GaussianNLLLoss(), torch.ones(4, 1), GRADIENT, torch.ones(4, 1)), r"swapped"),
    ],
    "PoissonNLLLoss": [
        (fitting(nn.PoissonNLLLoss(), net(1), numbers(1)), r"needs counts, and \d+ targets are negative.*MSELoss"),
        (fitting(nn.PoissonNLLLoss(), net(1, nn.Softplus()), numbers(1).abs()), r"as rates do.*log_input: false"),
        (fitting(nn.PoissonNLLLoss(log_input=False), net(1), numbers(1).abs()), r"below 0.*end the model in Softplus"),
        (fitting(nn.PoissonNLLLoss(), net(1), numbers().abs()), r"\[24, 1\].*\[24\].*same shape"),
        (fitting(nn.PoissonNLLLoss(), net(1), classes()[:, None]), r"whole numbers.*\.float\(\)"),
        (configured("PoissonNLLLoss", numbers(1), **NUMBERS), r"negative.*0 or more"),
        (swapped(nn.PoissonNLLLoss(), torch.ones(4, 1), GRADIENT), r"swapped"),
    ],
    "MarginRankingLoss": [
        (fitting(nn.MarginRankingLoss(), net(1), signs()), r"compares samples.*\[B, 2, \.\.\.\]"),
        (fitting(nn.MarginRankingLoss(), net(1), zeros_and_ones(), inputs(2)), r"1 and -1, found 0.*2 \* target - 1"),
        (fitting(nn.MarginRankingLoss(), net(1), (classes() - 1).sign(), inputs(2)), r"found 0.*sign\(\) gives 0"),
        (fitting(nn.MarginRankingLoss(), net(3), signs(), inputs(2)), r"\[48, 3\].*one score each.*\[48, 1\]"),
        (configured("MarginRankingLoss", torch.ones(N, 1), **NUMBERS), r"all targets are 1.*different targets"),
        (configured("MarginRankingLoss", **CLASSES), r"needs targets that are numbers"),
        (configured("MarginRankingLoss", **COLUMNS), r"ordered by one number.*choose one target column"),
        (swapped(nn.MarginRankingLoss(), torch.ones(4, 1), torch.ones(4, 1), GRADIENT), r"swapped"),
    ],
    "TripletMarginLoss": [
        (fitting(nn.TripletMarginLoss(), net(4), classes()), r"compares samples.*anchor, positive and negative"),
        (fitting(nn.TripletMarginLoss(), net(4), classes(), inputs(2)), r"compares samples.*triplets"),
        (configured("TripletMarginLoss", torch.zeros(N).long(), **CLASSES), r"all samples are of one class"),
        (configured("TripletMarginLoss", torch.arange(N), **CLASSES), r"no two samples are of one class.*several"),
        (configured("TripletMarginLoss", **NUMBERS), r"needs targets that are classes"),
        (built("TripletMarginLoss", margin=-1.0), r"margin.*greater than 0"),
        (
            fitting(nn.TripletMarginLoss(), net(4, nn.Unflatten(1, (2, 2))), classes(), inputs(3)),
            r"\[72, 2, 2\].*\[72, D\]: end in Flatten",
        ),
    ],
    "HingeEmbeddingLoss": [
        (fitting(nn.HingeEmbeddingLoss(), net(4), signs()), r"compares samples.*pairs"),
        (fitting(nn.HingeEmbeddingLoss(), net(4), zeros_and_ones(), inputs(2)), r"found 0.*2 \* target - 1"),
        (fitting(nn.HingeEmbeddingLoss(), net(4), (classes() - 1).sign(), inputs(2)), r"found 0.*sign\(\)"),
        (configured("HingeEmbeddingLoss", torch.zeros(N).long(), **CLASSES), r"all samples are of one class"),
        (configured("HingeEmbeddingLoss", mining="hard", **CLASSES), r"takes no triplets.*TripletMarginLoss"),
        (built("HingeEmbeddingLoss", margin=0.0), r"more than 0: with others a pair that differs costs nothing"),
        (swapped(nn.HingeEmbeddingLoss(), torch.ones(4, 1), GRADIENT), r"swapped"),
    ],
    "CosineEmbeddingLoss": [
        (fitting(nn.CosineEmbeddingLoss(), net(4), signs()), r"compares samples.*pairs"),
        (fitting(nn.CosineEmbeddingLoss(), net(4), zeros_and_ones(), inputs(2)), r"found 0.*2 \* target - 1"),
        (fitting(nn.CosineEmbeddingLoss(), net(1), signs(), inputs(2)), r"one number a sample.*two numbers or more"),
        (built("CosineEmbeddingLoss", margin=2.0), r"got 2.0; expected -1 to 1: it is a cosine"),
        (configured("CosineEmbeddingLoss", **NUMBERS), r"needs targets that are classes"),
        (swapped(nn.CosineEmbeddingLoss(), torch.ones(4, 2), torch.ones(4, 2), GRADIENT), r"swapped"),
    ],
    "CTCLoss": [
        (fitting(nn.CTCLoss(), reading(3, 6, nn.Identity()), lists([1, 2, -1])), r"raw scores.*LogSoftmax\(dim=-1\)"),
        (fitting(nn.CTCLoss(), reading(3, 6, nn.Softmax(2)), lists([1, 2, -1])), r"gives probabilities.*instead of"),
        (fitting(nn.CTCLoss(), reading(3, 2), lists([1, 1, -1])), r"2 steps, too few.*longest needs 3.*more steps"),
        (fitting(nn.CTCLoss(), reading(3, 6), lists([1, 0, 2])), r"hold the blank \(0\).*set blank"),
        (fitting(nn.CTCLoss(), reading(3, 6), lists([4, 1, -1])), r"out of range: 4.*0 to 3"),
        (fitting(nn.CTCLoss(blank=9), reading(3, 6), lists([1, 2, -1])), r"got 9.*choose 0 to 3"),
        (
            fitting(nn.CTCLoss(), Doing(24, lambda x: x.reshape(-1, 6, 4).transpose(0, 1)), lists([1, 2, -1])),
            r"the steps come first; give samples first",
        ),
        (fitting(nn.CTCLoss(), net(4, LOG_SOFTMAX), lists([1, 2, -1])), r"\[24, 4\].*at every step.*\[24, T, "),
        (configured("CTCLoss", **CLASSES), r"needs targets that are sequences, these are classes"),
        (fitting(nn.CTCLoss(), reading(3, 6), numbers(3)), r"sequences of symbols.*padded with -1"),
    ],
}
