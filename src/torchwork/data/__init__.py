"""Sources, transforms and augmentations by name. Nothing is imported until it is asked for."""

from __future__ import annotations

SOURCES = {
    "Arrays": "torchwork.data.arrays:Arrays",
    "BreastCancer": "torchwork.data.builtin:BreastCancer",
    "Diabetes": "torchwork.data.builtin:Diabetes",
    "DigitStrips": "torchwork.data.strips:DigitStrips",
    "Digits": "torchwork.data.builtin:Digits",
    "ImageCSV": "torchwork.data.images:ImageCSV",
    "ImageFolder": "torchwork.data.images:ImageFolder",
    "Iris": "torchwork.data.builtin:Iris",
    "Table": "torchwork.data.table:Table",
    "TextCSV": "torchwork.data.text:TextCSV",
    "Wine": "torchwork.data.builtin:Wine",
}

TRANSFORMS = {
    "CenterCrop": "torchwork.data.steps:CenterCrop",
    "Grayscale": "torchwork.data.steps:Grayscale",
    "Normalize": "torchwork.data.normalize:Normalize",
    "OneHot": "torchwork.data.onehot:OneHot",
    "Resize": "torchwork.data.steps:Resize",
    "Tokenize": "torchwork.data.tokens:Tokenize",
}

AUGMENTS = {
    "RandomCrop": "torchwork.data.augment.crop:RandomCrop",
    "RandomHorizontalFlip": "torchwork.data.augment.flip:RandomHorizontalFlip",
}
