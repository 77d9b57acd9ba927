"""Arguments and options for every loss: what the tests over the whole catalog draw from."""

import torch

K = 4


def _normal(g, *shape):
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def _classes(g, rows):
    return torch.randint(0, K, (rows,), generator=g)


def _zeros_and_ones(g, rows):
    return torch.randint(0, 2, (rows, K), generator=g).double()


def _signs(g, *shape):
    return torch.randint(0, 2, shape, generator=g).double() * 2 - 1


def classes(g, n):
    return _normal(g, n, K), _classes(g, n)


def class_probabilities(g, n):
    return _normal(g, n, K), _normal(g, n, K).softmax(1)


def pixels(g, n):
    return _normal(g, n, K, 3, 2), torch.randint(0, K, (n, 3, 2), generator=g)


def log_classes(g, n):
    return _normal(g, n, K).log_softmax(1), _classes(g, n)


def numbers(g, n):
    return _normal(g, n, 3), _normal(g, n, 3)


def probabilities(g, n):
    return _normal(g, n, K).sigmoid(), _zeros_and_ones(g, n)


def logits(g, n):
    return _normal(g, n, K), _zeros_and_ones(g, n)


def counts(g, n):
    return _normal(g, n, 2), torch.randint(0, 6, (n, 2), generator=g).double()


def rates(g, n):
    output, target = counts(g, n)
    return output.exp(), target


def distributions(g, n):
    return _normal(g, n, K).log_softmax(1), _normal(g, n, K).softmax(1)


def log_distributions(g, n):
    output, target = distributions(g, n)
    return output, target.log()


def gaussians(g, n):
    return _normal(g, n, 2), _normal(g, n, 2), _normal(g, n, 2).exp()


def ranked_pairs(g, n):
    return _normal(g, n), _normal(g, n), _signs(g, n)


def label_lists(g, n):
    target = torch.full((n, K), -1)
    for row in target:
        chosen = torch.randperm(K, generator=g)[: int(torch.randint(0, K + 1, (), generator=g))]
        row[: len(chosen)] = chosen
    return _normal(g, n, K), target


def signed(g, n):
    return _normal(g, n, 3), _signs(g, n, 3)


def triplets(g, n):
    return _normal(g, n, 5), _normal(g, n, 5), _normal(g, n, 5)


def distances(g, n):
    return _normal(g, n).abs(), _signs(g, n)


def vector_pairs(g, n):
    return _normal(g, n, 5), _normal(g, n, 5), _signs(g, n)


def sequences(g, n, blank=0):
    """Log-probabilities [T, N, C] of 12 steps, padded targets [N, 5] of 0 to 5 labels, and both lengths."""
    log_probs = _normal(g, 12, n, K + 1).log_softmax(2)
    lengths = torch.randint(0, 6, (n,), generator=g)
    target = torch.randint(0, K, (n, 5), generator=g)
    target = target + (target >= blank)
    return log_probs, target, torch.randint(11, 13, (n,), generator=g), lengths


def last_blank_sequences(g, n):
    return sequences(g, n, blank=K)


def impossible_sequences(g, n):
    """Some rows have fewer steps than labels: their loss is infinite, or 0 with ``zero_infinity``."""
    log_probs, target, _, lengths = sequences(g, n)
    return log_probs, target, torch.randint(2, 13, (n,), generator=g), lengths


WEIGHT = [0.5, 2.0, 0.0, 1.25]

# (loss, options, arguments); every option of every loss stands here with a value that is not its default
CASES = [
    ("BCELoss", {}, probabilities),
    ("BCELoss", {"weight": WEIGHT}, probabilities),
    ("BCEWithLogitsLoss", {}, logits),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": [3.0, 0.5, 1.0, 2.0]}, logits),
    ("CTCLoss", {}, sequences),
    ("CTCLoss", {"blank": K}, last_blank_sequences),
    ("CTCLoss", {"zero_infinity": True}, impossible_sequences),
    ("CosineEmbeddingLoss", {}, vector_pairs),
    ("CosineEmbeddingLoss", {"margin": 0.4}, vector_pairs),
    ("CrossEntropyLoss", {}, classes),
    ("CrossEntropyLoss", {"weight": WEIGHT}, classes),
    ("CrossEntropyLoss", {"ignore_index": 1}, classes),
    ("CrossEntropyLoss", {"weight": WEIGHT, "ignore_index": 3, "label_smoothing": 0.2}, classes),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1}, class_probabilities),
    ("CrossEntropyLoss", {"ignore_index": 0, "weight": WEIGHT}, pixels),
    ("GaussianNLLLoss", {}, gaussians),
    ("GaussianNLLLoss", {"full": True, "eps": 0.5}, gaussians),
    ("HingeEmbeddingLoss", {}, distances),
    ("HingeEmbeddingLoss", {"margin": 2.5}, distances),
    ("HuberLoss", {}, numbers),
    ("HuberLoss", {"delta": 0.3}, numbers),
    ("KLDivLoss", {}, distributions),
    ("KLDivLoss", {"log_target": True}, log_distributions),
    ("L1Loss", {}, numbers),
    ("MSELoss", {}, numbers),
    ("MarginRankingLoss", {}, ranked_pairs),
    ("MarginRankingLoss", {"margin": 0.7}, ranked_pairs),
    ("MultiLabelMarginLoss", {}, label_lists),
    ("MultiMarginLoss", {}, classes),
    ("MultiMarginLoss", {"p": 2, "margin": 0.4, "weight": WEIGHT}, classes),
    ("NLLLoss", {}, log_classes),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 0}, log_classes),
    ("PoissonNLLLoss", {}, counts),
    ("PoissonNLLLoss", {"full": True}, counts),
    ("PoissonNLLLoss", {"log_input": False, "eps": 0.1, "full": True}, rates),
    ("SmoothL1Loss", {}, numbers),
    ("SmoothL1Loss", {"beta": 0.3}, numbers),
    ("SmoothL1Loss", {"beta": 0.0}, numbers),
    ("SoftMarginLoss", {}, signed),
    ("TripletMarginLoss", {}, triplets),
    ("TripletMarginLoss", {"margin": 0.3, "p": 1.0, "eps": 1e-3, "swap": True}, triplets),
]


def cut(name, arguments, sizes):
    """Cut a batch into parts of these sizes along its samples."""
    if name == "CTCLoss":
        log_probs, *rest = arguments
        pieces = [log_probs.split(sizes, dim=1), *(a.split(sizes) for a in rest)]
    else:
        pieces = [a.split(sizes) for a in arguments]
    return list(zip(*pieces, strict=True))
