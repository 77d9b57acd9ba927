"""A model that reads a strip of digits from left to right: convolutions, an LSTM, and a log-probability a step."""

from torch import Tensor, nn


class StripReader(nn.Module):
    """[B, C, H, W] to log-probabilities [B, W / 2, num_classes], the blank among the classes."""

    def __init__(self, in_channels: int, num_classes: int, hidden: int = 64) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
            nn.Conv2d(64, 64, (4, 3), padding=(0, 1)),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.lstm = nn.LSTM(64, hidden, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        steps = self.features(x).amax(2).transpose(1, 2)
        return self.output(self.lstm(steps)[0]).log_softmax(2)
