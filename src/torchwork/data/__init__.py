"""Sources, transforms and augmentations by name. Nothing is imported until it is asked for."""

from __future__ import annotations

SOURCES = {
    "Arrays": "torchwork.data.arrays:Arrays",
    "AudioFolder": "torchwork.data.audio:AudioFolder",
    "BreastCancer": "torchwork.data.builtin:BreastCancer",
    "CIFAR10": "torchwork.data.cifar:CIFAR10",
    "CIFAR100": "torchwork.data.cifar:CIFAR100",
    "CapPerClass": "torchwork.data.compose:CapPerClass",
    "Concatenate": "torchwork.data.concatenate:Concatenate",
    "Diabetes": "torchwork.data.builtin:Diabetes",
    "DigitStrips": "torchwork.data.strips:DigitStrips",
    "Digits": "torchwork.data.builtin:Digits",
    "FashionMNIST": "torchwork.data.mnist:FashionMNIST",
    "ImageCSV": "torchwork.data.images:ImageCSV",
    "ImageFolder": "torchwork.data.images:ImageFolder",
    "Iris": "torchwork.data.builtin:Iris",
    "MNIST": "torchwork.data.mnist:MNIST",
    "Relabel": "torchwork.data.compose:Relabel",
    "Subset": "torchwork.data.compose:Subset",
    "Table": "torchwork.data.table:Table",
    "TextCSV": "torchwork.data.text:TextCSV",
    "Wine": "torchwork.data.builtin:Wine",
}

TRANSFORMS = {
    "CenterCrop": "torchwork.data.steps:CenterCrop",
    "Grayscale": "torchwork.data.steps:Grayscale",
    "Impute": "torchwork.data.impute:Impute",
    "LogMelSpectrogram": "torchwork.data.sound.spectrogram:LogMelSpectrogram",
    "Normalize": "torchwork.data.normalize:Normalize",
    "OneHot": "torchwork.data.encode:OneHot",
    "Ordinal": "torchwork.data.encode:Ordinal",
    "Pad": "torchwork.data.steps:Pad",
    "Resize": "torchwork.data.steps:Resize",
    "RobustScale": "torchwork.data.scale:RobustScale",
    "Standardize": "torchwork.data.scale:Standardize",
    "Tokenize": "torchwork.data.tokens:Tokenize",
    "TrimSilence": "torchwork.data.sound.trim:TrimSilence",
}

AUGMENTS = {
    "ColorJitter": "torchwork.data.augment.jitter:ColorJitter",
    "CutMix": "torchwork.data.augment.mix:CutMix",
    "FrequencyMasking": "torchwork.data.augment.spectrogram:FrequencyMasking",
    "FrequencyWarp": "torchwork.data.augment.spectrogram:FrequencyWarp",
    "GaussianBlur": "torchwork.data.augment.blur:GaussianBlur",
    "MixUp": "torchwork.data.augment.mix:MixUp",
    "RandAugment": "torchwork.data.augment.automatic:RandAugment",
    "RandomAffine": "torchwork.data.augment.affine:RandomAffine",
    "RandomCrop": "torchwork.data.augment.crop:RandomCrop",
    "RandomErasing": "torchwork.data.augment.erase:RandomErasing",
    "RandomHorizontalFlip": "torchwork.data.augment.flip:RandomHorizontalFlip",
    "RandomResizedCrop": "torchwork.data.augment.resized:RandomResizedCrop",
    "RandomRotation": "torchwork.data.augment.affine:RandomRotation",
    "RandomVerticalFlip": "torchwork.data.augment.flip:RandomVerticalFlip",
    "TimeMasking": "torchwork.data.augment.spectrogram:TimeMasking",
    "TimeWarp": "torchwork.data.augment.spectrogram:TimeWarp",
    "TrivialAugmentWide": "torchwork.data.augment.automatic:TrivialAugmentWide",
}
