"""torch.nn's losses by name."""

LOSSES = {
    "BCELoss": "torch.nn:BCELoss",
    "BCEWithLogitsLoss": "torch.nn:BCEWithLogitsLoss",
    "CTCLoss": "torch.nn:CTCLoss",
    "CosineEmbeddingLoss": "torch.nn:CosineEmbeddingLoss",
    "CrossEntropyLoss": "torch.nn:CrossEntropyLoss",
    "GaussianNLLLoss": "torch.nn:GaussianNLLLoss",
    "HingeEmbeddingLoss": "torch.nn:HingeEmbeddingLoss",
    "HuberLoss": "torch.nn:HuberLoss",
    "KLDivLoss": "torch.nn:KLDivLoss",
    "L1Loss": "torch.nn:L1Loss",
    "MSELoss": "torch.nn:MSELoss",
    "MarginRankingLoss": "torch.nn:MarginRankingLoss",
    "MultiLabelMarginLoss": "torch.nn:MultiLabelMarginLoss",
    "MultiMarginLoss": "torch.nn:MultiMarginLoss",
    "NLLLoss": "torch.nn:NLLLoss",
    "PoissonNLLLoss": "torch.nn:PoissonNLLLoss",
    "SmoothL1Loss": "torch.nn:SmoothL1Loss",
    "SoftMarginLoss": "torch.nn:SoftMarginLoss",
    "TripletMarginLoss": "torch.nn:TripletMarginLoss",
}
