"""torch.nn's losses by name."""

LOSSES = {
    "CrossEntropyLoss": "torch.nn:CrossEntropyLoss",
    "L1Loss": "torch.nn:L1Loss",
    "MSELoss": "torch.nn:MSELoss",
    "SmoothL1Loss": "torch.nn:SmoothL1Loss",
}
