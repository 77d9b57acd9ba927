"""For every plot of the catalog what it is called with: plain lists, of the usual kind and of the awkward ones.

A new plot needs an entry here, and has the contract's tests by it. An awkward case called ``nothing...`` has nothing
that could be drawn: the figure must say so.
"""

import math
import random

NAN = math.nan
LONG = "a very long name, as people give them to their classes " * 6
NAMES = ["<script>alert(1)</script>", "a$b$c^{", "_hidden & 'quoted' \"so\"", "猫和狗的照片", LONG]

_numbers = random.Random(0)


def normal(count):
    return [_numbers.gauss(0, 1) for _ in range(count)]


def scored(num_classes, count):
    """Return targets and probabilities of a model that is right more often than not."""
    targets, scores = [], []
    for place in range(count):
        true = place % num_classes
        raw = [math.exp(_numbers.gauss(2.5 if k == true else 0, 1)) for k in range(num_classes)]
        targets.append(true)
        scores.append([value / sum(raw) for value in raw])
    return targets, scores


def labelled(count):
    return [[int(_numbers.random() < 0.4) for _ in NAMES] for _ in range(count)], [
        [_numbers.random() for _ in NAMES] for _ in range(count)
    ]


def predicted(num_classes, count):
    names = [f"class {k}" for k in range(num_classes)]
    targets = [names[k % num_classes] for k in range(count)]
    return targets, [name if _numbers.random() < 0.7 else _numbers.choice(names) for name in targets], names


def picture(height=8, width=8, channels=0):
    def value():
        return [_numbers.random() for _ in range(channels)] if channels else _numbers.random()

    return [[value() for _ in range(width)] for _ in range(height)]


def by_layer(num_layers, epochs, value=1e-3, names=None):
    return [
        {
            "epoch": str(epoch + 1),
            "step": str(10 * epoch),
            "layer": names[k] if names else f"features.{k}.conv",
            "weight_norm": "1.0",
            "grad_norm": str(value * (k + 1)),
            "update_ratio": str(value * (epoch + 1)),
        }
        for epoch in range(epochs)
        for k in range(num_layers)
    ]


def _of_scores():
    two, ten, hundred = scored(2, 60), scored(10, 200), scored(100, 400)
    return {
        "two classes": two,
        "one column of scores": ([0, 1, 1, 0], [0.2, 0.9, 0.4, 0.3], ["ham", "spam"]),
        "five classes": ([NAMES[k] for k in scored(5, 60)[0]], scored(5, 60)[1], NAMES),
        "names": (*two, NAMES[2:4]),
        "ten classes": ten,
        "a hundred classes": (*hundred, [f"{LONG}{k}" for k in range(100)]),
        "labels": (*labelled(40), NAMES),
        "a sample of a class that is not known": (["a", "?", "b"], [[0.8, 0.2], [0.1, 0.9], [0.4, 0.6]], ["a", "b"]),
        "some NaN": ([0, 1, 1, 0], [[0.5, 0.5], [NAN, NAN], [0.2, 0.8], [0.9, 0.1]]),
        "one class occurs": ([0, 0, 0], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], NAMES[:2]),
        "one sample": ([1], [[0.1, 0.9]]),
        "equal scores": ([0, 1, 0, 1], [[0.5, 0.5]] * 4),
        "logits": ([0, 1, 2], [[9.0, -3.0, 0.0], [1.0, 2.0, 0.0], [-1.0, 5.0, 7.0]]),
        "nothing but NaN": ([0, 1], [[NAN, NAN], [NAN, NAN]]),
        "nothing": ([], []),
    }


_SCORES = _of_scores()

EXAMPLES = {
    "activations": {
        "usual": ([{"layer": name, "quantiles": [-2, -1, 0, 1, 2], "dead": 0.25} for name in NAMES],),
        "no ReLU": ([{"layer": "fc", "quantiles": [0, 0, 0, 0, 0], "dead": None}],),
        "many": ([{"layer": f"l{k}", "quantiles": [-2, -1, 0, 1, 2], "dead": k / 100} for k in range(100)],),
        "NaN": ([{"layer": "fc", "quantiles": [NAN] * 5, "dead": NAN}],),
        "empty": ([],),
    },
    "calibration": _SCORES,
    "confusion_matrix": {
        "two classes": (["a", "a", "b"], ["a", "b", "b"], ["a", "b"]),
        "names": (NAMES * 4, NAMES * 3 + NAMES[::-1], NAMES),
        "a hundred classes": predicted(100, 1000),
        "three hundred classes": predicted(300, 900),
        "one class": (["a"], ["a"], ["a"]),
        "numbers": ([0, 1, 1], [0, 1, 0], [0, 1]),
        "classes that nobody knows": (["x"], ["y"], ["a", "b"]),
        "nothing": ([], [], []),
    },
    "contact_sheet": {
        "usual": ([picture() for _ in range(10)],),
        "colours and names": ([picture(8, 8, 3) for _ in range(5)], {"labels": NAMES}),
        "unequal": ([picture(8, 4), picture(4, 8)],),
        "NaN": ([[[NAN, NAN], [0.5, 1.0]]],),
        "empty": ([],),
    },
    "contributions": {
        "usual": ({"width": -2.0, "length": 1.0},),
        "names": ({name: float(k) for k, name in enumerate(NAMES)}, {"of": NAMES[0]}),
        "many": ({f"c{k}": float(k) for k in range(100)},),
        "zeros": ({"a": 0.0},),
        "NaN": ({"a": NAN, "b": 1.0},),
        "empty": ({},),
    },
    "ctc_alignment": {
        "usual": (scored(4, 30)[1], ["-", "a", "b", "c"], {"target": "abc", "prediction": "abc"}),
        "names": (scored(5, 30)[1], NAMES, {"target": NAMES[0], "prediction": NAMES[1]}),
        "many symbols": (scored(100, 30)[1], [f"s{k}" for k in range(100)]),
        "NaN": ([[NAN, NAN], [0.5, 0.5]], ["-", "a"]),
        "empty": ([], ["-", "a"]),
    },
    "curves": {
        "usual": (
            {"epoch": [1, 2, 3], "lr": [0.1, 0.01, 0.001], "train_loss": [0.9, 0.5, 0.3], "val_loss": [0.8, 0.4, 0.6]},
            {"best": 2},
        ),
        "many": ({"epoch": list(range(1, 301)), **{f"val_m{k}": normal(300) for k in range(12)}},),
        "names": ({"epoch": [1, 2], **{f"val_f1_{name}": [0.1, 0.2] for name in NAMES}},),
        "one epoch": ({"epoch": [1], "lr": [0.1], "train_loss": [1.0], "val_loss": [0.9]}, {"best": 1}),
        "gaps and infinities": ({"epoch": [1, 2, 3], "train_loss": [1.0, NAN, math.inf]}, {"best": 3}),
        "zeros": ({"epoch": [1, 2], "lr": [0.0, 0.0], "train_loss": [0.0, 0.0]},),
        "nothing but NaN": ({"epoch": [1, 2], "train_loss": [NAN, NAN]},),
        "nothing": ({"epoch": []},),
    },
    "curves_of_runs": {
        "usual": (
            {
                "a": {"epoch": [1, 2], "val_loss": [0.9, 0.4]},
                "b": {"epoch": [1, 2, 3], "val_loss": [0.8, 0.5, 0.3], "val_accuracy": [0.1, 0.2, 0.3]},
            },
        ),
        "names": ({name: {"epoch": [1, 2], "val_loss": [0.9, 0.4]} for name in NAMES},),
        "many": ({f"run {k}": {"epoch": list(range(1, 51)), "val_loss": normal(50)} for k in range(20)},),
        "NaN": ({"a": {"epoch": [1], "val_loss": [NAN]}, "b": {"epoch": [1], "val_loss": [0.5]}},),
        "nothing": ({},),
    },
    "embedding": {
        "usual": ([[0, 1], [2, 3], [1, 1]], ["a", "b", "a"]),
        "names": ([[k, -k] for k in range(5)], NAMES),
        "a hundred classes": ([normal(2) for _ in range(500)], [f"class {k % 100}" for k in range(500)]),
        "numbers": ([normal(2) for _ in range(50)], {"values": normal(50)}),
        "one point": ([[1.0, 2.0]],),
        "NaN": ([[NAN, 1.0], [0.0, 1.0]],),
        "empty": ([],),
    },
    "error_by_length": {
        "usual": ([3, 3, 5], [0.0, 1.0, 0.2]),
        "many": ([k % 60 for k in range(300)], normal(300)),
        "NaN": ([1, 2], [NAN, 0.5]),
        "zeros": ([0, 0], [0.0, 0.0], {"unit": NAMES[0]}),
        "nothing but NaN": ([1, NAN], [NAN, 0.5]),
        "nothing": ([], []),
    },
    "error_quantiles": {
        "usual": (normal(50), normal(50)),
        "names": ([normal(1) for _ in range(30)], [normal(1) for _ in range(30)], {"names": NAMES[3:]}),
        "many outputs": ([normal(9) for _ in range(30)], [normal(9) for _ in range(30)]),
        "many samples": (normal(20_000), normal(20_000)),
        "right": ([1.0, 2.0], [1.0, 2.0]),
        "one output is NaN": ([[1.0, NAN], [2.0, NAN]], [[1.5, 1.0], [2.5, 1.0]]),
        "nothing but NaN": ([NAN], [1.0]),
        "nothing": ([], []),
    },
    "explanation": {
        "usual": ("id 3: 7", {"scores": {"7": 0.9, "1": 0.1}, "picture": picture(), "gradient": picture()}),
        "names": (NAMES[4], {"scores": dict.fromkeys(NAMES, 0.2), "columns": dict.fromkeys(NAMES, 1.0)}),
        "words": ("spam", {"weights": [["free", 2.0], [NAMES[0], -1.0]], "decisive": NAMES[1]}),
        "NaN": ("a", {"scores": {"a": NAN}, "picture": picture(2, 2), "gradient": [[NAN, 1.0], [0.0, 0.0]]}),
        "only a title": ("nothing to say",),
    },
    "feature_maps": {
        "usual": ({"conv1": [picture() for _ in range(6)]}, {"picture": picture()}),
        "names": ({name: [picture(4, 4)] for name in NAMES},),
        "many": ({f"conv{k}": [picture(4, 4) for _ in range(64)] for k in range(5)},),
        "NaN": ({"conv1": [[[NAN, NAN], [1.0, 2.0]]]},),
        "empty": ({},),
    },
    "importance": {
        "usual": (["a", "b"], [[0.1, 0.3], [0.5, 0.7]]),
        "names": (NAMES, [0.1, -0.2, 0.3, 0.0, 0.5]),
        "many": ([f"c{k}" for k in range(200)], normal(200)),
        "NaN": (["a", "b"], [NAN, 0.5]),
        "empty": ([], []),
    },
    "kernels": {
        "usual": ([[picture(5, 5)] for _ in range(6)],),
        "colours": ([[picture(3, 3) for _ in range(3)] for _ in range(64)],),
        "many": ([[picture(3, 3) for _ in range(8)] for _ in range(100)],),
        "zeros": ([[[[0.0] * 3] * 3]],),
        "NaN": ([[[[NAN, 1.0], [0.0, 1.0]]]],),
    },
    "layers": {
        "two layers": (by_layer(2, 3),),
        "names": (by_layer(5, 4, names=NAMES),),
        "one epoch": (by_layer(3, 1),),
        "twenty layers": (by_layer(20, 5),),
        "many layers and epochs": (by_layer(160, 60),),
        "a hundred epochs": (by_layer(6, 100),),
        "columns": ({"epoch": [1, 2], "layer": ["a", "a"], "grad_norm": [1.0, 2.0], "update_ratio": [0.1, 0.2]},),
        "without a gradient": (by_layer(8, 2, NAN) + by_layer(2, 2),),
        "a column is missing": ([{"epoch": "1", "layer": "a", "update_ratio": "0.1"}],),
        "nothing but NaN": (by_layer(2, 2, NAN),),
        "nothing but zeros": (by_layer(20, 2, 0.0),),
        "nothing": ([],),
    },
    "learning_rate": {
        "usual": ([0.1, 0.2, 0.1], {"steps_per_epoch": 1}),
        "groups": ([[0.1, 0.01, 0.5, 0.1, 0.3]] * 50, {"names": NAMES, "note": NAMES[0], "steps_per_epoch": 10}),
        "many groups": ([[k / 10 for k in range(1, 13)]] * 5,),
        "a long run": ([0.1 * (1 + math.sin(k / 30)) for k in range(20_000)], {"steps_per_epoch": 1000}),
        "falling far": ([10.0**-k for k in range(6)],),
        "zeros": ([0.0, 0.0],),
        "one step": ([0.1],),
        "a gap": ([0.1, NAN, 0.2],),
        "nothing but NaN": ([NAN, NAN],),
        "nothing": ([],),
    },
    "maps": {
        "usual": ([picture()] * 2, [picture()] * 2, [picture(2, 2)] * 2),
        "names": ([picture(8, 8, 3)] * 5, [picture()] * 5, {"labels": NAMES}),
        "zeros": ([picture()], [[[0.0] * 8] * 8]),
        "NaN": ([picture(2, 2)], [[[NAN, NAN], [NAN, 1.0]]]),
        "empty": ([], []),
    },
    "signal_maps": {
        "usual": ([[normal(40)]] * 2, [[1.0] * 40] * 2, [[0.0, 1.0, 2.0]] * 2),
        "names": ([[normal(9)] * 6] * 5, [[1.0] * 9] * 5, {"labels": NAMES}),
        "zeros": ([[[0.0] * 8]], [[0.0] * 8], [[0.0]]),
        "NaN": ([[[NAN, 1.0]]], [[NAN, NAN]]),
        "empty": ([], []),
    },
    "precision_recall": _SCORES,
    "predicted_against_true": {
        "usual": ([1.0, 2.0, 3.0], [1.1, 1.9, 3.0]),
        "names": ([normal(5) for _ in range(30)], [normal(5) for _ in range(30)], {"names": NAMES}),
        "many samples": (normal(20_000), normal(20_000)),
        "many outputs": ([normal(9)], [normal(9)]),
        "one sample": ([1.0], [1.0]),
        "nothing but NaN": ([NAN], [1.0]),
        "nothing": ([], []),
    },
    "roc": _SCORES,
    "score_against_true": {
        "usual": ([1.0, 2.0, 3.0], [1.1, 1.9, 3.0]),
        "many samples": (normal(20_000), normal(20_000)),
        "nothing but NaN": ([NAN], [1.0]),
        "nothing": ([], []),
    },
    "score_histograms": {
        **_SCORES,
        "a threshold": ([0, 1, 1], [0.2, 0.9, 0.4], ["ham", "spam"], {"threshold": 0.3}),
    },
    "verification": {
        "usual": ([1, 1, 0, 0, 1], [0.9, 0.6, 0.7, 0.1, 0.8]),
        "distances": ([1, -1] * 500, [-abs(value) for value in normal(1000)]),
        "equal": ([1, 0, 1], [0.5, 0.5, 0.5]),
        "some NaN": ([1, 0, 1], [0.5, 0.1, NAN]),
        "nothing of one kind": ([1, 1], [0.9, 0.8]),
        "nothing but NaN": ([1, 0], [NAN, NAN]),
        "nothing": ([], []),
    },
    "word_weights": {
        "usual": ([[["free", 2.0], ["today", -1.0]]], {"labels": ["true spam, said spam"]}),
        "names": ([[[name, 1.0] for name in NAMES]], {"labels": NAMES[:1]}),
        "many": ([[[f"word{k}", value] for k, value in enumerate(normal(60))] for _ in range(4)],),
        "zeros and NaN": ([[["a", 0.0]], [["b", NAN], ["c", 1.0]]],),
        "empty": ([],),
    },
    "worst_samples": {
        "usual": ([picture(), picture()], ["id 3\ntrue 9", "id 7\ntrue 8"]),
        "pictures, words and one that is gone": ([picture(), "free entry", None], ["id 3\ntrue 9", "id 7", "id 9"]),
        "names": ([*NAMES[:4], picture(8, 8, 3)], NAMES),
        "NaN": ([[[NAN, 1.0], [0.0, 0.5]]], ["id 1"]),
        "empty": ([], []),
    },
}
