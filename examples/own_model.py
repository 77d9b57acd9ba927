"""Your own module, data set and optimizer with Torchwork's loop, without a config: python examples/own_model.py"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset, random_split

import torchwork


class NoisyDigits(Dataset):
    """Digits with noise that is drawn anew in each epoch, and yet the same in each run."""

    def __init__(self, noise: float = 0.1) -> None:
        digits = load_digits()
        self.images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
        self.targets = digits.target.tolist()
        self.noise = noise

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.images[index]
        return image + self.noise * torch.randn_like(image), self.targets[index]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.conv(x).relu(), 2)
        return self.fc(x.flatten(1))


if __name__ == "__main__":
    torch.manual_seed(0)
    train, val = random_split(NoisyDigits(), [0.8, 0.2])
    model = Net()
    result = torchwork.fit(
        model,
        train=train,
        val=val,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-2),
        epochs=8,
        on_epoch=lambda row: print({name: round(value, 4) for name, value in row.items()}),
    )
    print(f"the weights of epoch {result.best_epoch}: {result.history[result.best_epoch - 1]['val_accuracy']:.3f}")
