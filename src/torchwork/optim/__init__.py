"""torch.optim by name: the optimizers and the learning-rate schedules that a config may name."""

OPTIMIZERS = {
    "ASGD": "torch.optim:ASGD",
    "Adadelta": "torch.optim:Adadelta",
    "Adafactor": "torch.optim:Adafactor",
    "Adagrad": "torch.optim:Adagrad",
    "Adam": "torch.optim:Adam",
    "AdamW": "torch.optim:AdamW",
    "Adamax": "torch.optim:Adamax",
    "LBFGS": "torch.optim:LBFGS",
    "Muon": "torch.optim:Muon",
    "NAdam": "torch.optim:NAdam",
    "RAdam": "torch.optim:RAdam",
    "RMSprop": "torch.optim:RMSprop",
    "Rprop": "torch.optim:Rprop",
    "SGD": "torch.optim:SGD",
    "SparseAdam": "torch.optim:SparseAdam",
}

SCHEDULES = {
    "ChainedScheduler": "torch.optim.lr_scheduler:ChainedScheduler",
    "ConstantLR": "torch.optim.lr_scheduler:ConstantLR",
    "CosineAnnealingLR": "torch.optim.lr_scheduler:CosineAnnealingLR",
    "CosineAnnealingWarmRestarts": "torch.optim.lr_scheduler:CosineAnnealingWarmRestarts",
    "CyclicLR": "torch.optim.lr_scheduler:CyclicLR",
    "ExponentialLR": "torch.optim.lr_scheduler:ExponentialLR",
    "LambdaLR": "torch.optim.lr_scheduler:LambdaLR",
    "LinearLR": "torch.optim.lr_scheduler:LinearLR",
    "MultiStepLR": "torch.optim.lr_scheduler:MultiStepLR",
    "MultiplicativeLR": "torch.optim.lr_scheduler:MultiplicativeLR",
    "OneCycleLR": "torch.optim.lr_scheduler:OneCycleLR",
    "PolynomialLR": "torch.optim.lr_scheduler:PolynomialLR",
    "ReduceLROnPlateau": "torch.optim.lr_scheduler:ReduceLROnPlateau",
    "SequentialLR": "torch.optim.lr_scheduler:SequentialLR",
    "StepLR": "torch.optim.lr_scheduler:StepLR",
}
