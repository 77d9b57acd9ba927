"""Keras on torch and on JAX: as its documentation shows it, and tuned."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from benchmarks.contenders.work import Marks, Work


def _network(work: Work) -> Any:
    """Return LeNet as Keras writes it, with the same first weights."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ]
    )
    start = {name: value.numpy() for name, value in work.model().state_dict().items()}
    first = start["fc1.weight"]
    side = round((first.shape[1] // 16) ** 0.5)
    start["fc1.weight"] = first.reshape(-1, 16, side, side).transpose(0, 2, 3, 1).reshape(first.shape)
    values = []
    for name in ("conv1", "conv2", "fc1", "fc2", "fc3"):
        weight = start[f"{name}.weight"]
        values += [weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T, start[f"{name}.bias"]]
    model.set_weights(values)
    return model


def _run(work: Work, backend: str, **options: Any) -> dict[str, Any]:
    os.environ["KERAS_BACKEND"] = backend
    import keras

    marks = Marks()
    (x, y), val = (tuple(part.numpy() for part in pair) for pair in (work.train(), work.val() or ()))
    x, val = x.transpose(0, 2, 3, 1), (val[0].transpose(0, 2, 3, 1), val[1])

    class InOrder(keras.utils.PyDataset):
        """The training samples in the given order."""

        epoch = 0

        def __len__(self) -> int:
            return -(-len(x) // work.batch)

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            rows = orders[min(self.epoch, len(orders) - 1)][index * work.batch : (index + 1) * work.batch]
            return x[rows], y[rows]

    class Watching(keras.callbacks.Callback):
        """Notes the end of each epoch; from Keras's running means the losses of steps, where they are compared."""

        before = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            ordered.epoch = epoch  # Keras calls the data set's own on_epoch_end before the first epoch, too

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if work.prove:
                total = logs["loss"] * (batch + 1)
                marks.loss(total - self.before)
                self.before = total

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            marks.epoch(logs["val_loss"], logs["val_accuracy"])

    orders, ordered = work.orders(), InOrder()
    model = _network(work)
    optimizer = keras.optimizers.Adam(work.lr, epsilon=1e-8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compiling = {"steps_per_execution": options.pop("steps_per_execution")} if "steps_per_execution" in options else {}
    model.compile(optimizer, loss, metrics=["accuracy"], **compiling)
    common = {"validation_data": val, "epochs": work.epochs, "callbacks": [Watching()], **options}
    if options.get("shuffle"):  # arrays in memory are Keras's fastest; the order is its own
        model.fit(x, y, batch_size=work.batch, **common)
    else:
        model.fit(ordered, shuffle=False, **common)
    return marks.result(updates=int(optimizer.iterations), samples=len(x) * work.epochs)


def documented(work: Work, backend: str) -> dict[str, Any]:
    """Fit on arrays, as Keras's own MNIST example does; where losses are compared, in the order of all others."""
    return _run(work, backend) if work.prove else _run(work, backend, shuffle=True)


def tuned(work: Work, backend: str) -> dict[str, Any]:
    """Fit on arrays with several steps an execution and without a progress bar."""
    several = {"verbose": 0} if backend == "torch" or work.prove else {"verbose": 0, "steps_per_execution": 32}
    return _run(work, backend, **several) if work.prove else _run(work, backend, shuffle=True, **several)


CONTENDERS = {
    "keras-torch": lambda work: documented(work, "torch"),
    "keras-torch-tuned": lambda work: tuned(work, "torch"),
    "keras-jax": lambda work: documented(work, "jax"),
    "keras-jax-tuned": lambda work: tuned(work, "jax"),
}
