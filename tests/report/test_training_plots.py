"""Plots of the training are read back: layers over the epochs, learning rates over the steps."""

import numpy as np
import pytest

from torchwork.report.plots import curves, layers, learning_rate, style


def rows(names, epochs, seed=0):
    numbers = np.random.default_rng(seed)
    return [
        {"epoch": epoch, "layer": name, "grad_norm": 10 ** numbers.normal(), "update_ratio": 10 ** numbers.normal()}
        for epoch in range(1, epochs + 1)
        for name in names
    ]


def as_grid(given, names, epochs, measure):
    found = {(row["layer"], row["epoch"]): row[measure] for row in given}
    return np.array([[found[name, epoch] for epoch in range(1, epochs + 1)] for name in names])


def test_a_few_layers_are_lines_over_the_epochs():
    names = ["conv1", "conv2", "fc"]
    given = rows(names, 4)
    figure = layers(given)
    for axes, measure in zip(figure.axes, ("grad_norm", "update_ratio"), strict=True):
        drawn = {line.get_label(): line for line in axes.lines}
        for name, values in zip(names, as_grid(given, names, 4, measure), strict=True):
            assert drawn[name].get_xdata().tolist() == [1, 2, 3, 4]
            np.testing.assert_allclose(drawn[name].get_ydata(), values)
        assert axes.get_yscale() == "log"
    assert figure.axes[1].lines[-1].get_ydata()[0] == 1e-3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names


def test_many_layers_are_rows_of_a_map_in_the_models_order():
    names = [f"layer {k}" for k in range(50)]
    given = rows(names, 6)
    figure = layers(given)
    maps = [axes for axes in figure.axes if axes.images]
    for axes, measure in zip(maps, ("grad_norm", "update_ratio"), strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), as_grid(given, names, 6, measure))
        assert axes.images[0].get_extent() == [0.5, 6.5, 49.5, -0.5]
        shown = {
            int(place): text.get_text() for place, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        }
        assert shown == {place: names[place] for place in shown}
        assert len(shown) >= 20


def test_epochs_that_were_not_measured_and_numbers_that_are_none_are_blank():
    given = [row for row in rows([f"l{k}" for k in range(8)], 5) if row["epoch"] != 3]
    given[0]["grad_norm"] = "nan"
    given[1]["grad_norm"] = 0.0
    image = np.ma.filled(layers(given).axes[0].images[0].get_array(), np.nan)
    assert np.isnan(image[:, 2]).all()
    assert np.argwhere(np.isnan(np.delete(image, 2, axis=1))).tolist() == [[0, 0], [1, 0]]


def test_texts_of_a_file_and_numbers_give_the_same_lines():
    given = rows(["a", "b"], 3)
    texts = [{name: str(value) for name, value in row.items()} for row in given]
    columns = {name: [row[name] for row in given] for name in given[0]}
    first = [line.get_ydata().tolist() for line in layers(given).axes[0].lines]
    assert first == [line.get_ydata().tolist() for line in layers(texts).axes[0].lines]
    assert first == [line.get_ydata().tolist() for line in layers(columns).axes[0].lines]


def test_learning_rates_are_drawn_from_step_one_and_equal_groups_share_a_line():
    rates = np.stack([np.linspace(0.1, 0.0, 20), np.linspace(0.2, 0.0, 20), np.linspace(0.1, 0.0, 20)], axis=1)
    figure = learning_rate(rates, steps_per_epoch=5, names=["body", "head", "rest"])
    first, second = figure.axes[0].lines
    assert first.get_xydata().tolist() == [[step + 1, value] for step, value in enumerate(rates[:, 0])]
    assert second.get_ydata().tolist() == rates[:, 1].tolist()
    assert [line.get_label() for line in (first, second)] == ["body, rest", "head"]


def test_a_long_schedule_keeps_every_high_and_every_low():
    rates = 0.1 * (1 + np.sin(np.arange(100_000) / 500))
    rates[77_777] = 5.0
    x, y = learning_rate(rates).axes[0].lines[0].get_xydata().T
    assert len(x) <= 1000
    assert y.tolist() == rates[x.astype(int) - 1].tolist()
    assert (y.min(), y.max()) == (rates.min(), 5.0)
    assert (x[0], x[-1]) == (1, 100_000)


def test_curves_say_how_many_metrics_are_not_drawn():
    history = {"epoch": [1, 2], "train_loss": [1.0, 0.5], **{f"val_m{k}": [0.1, 0.2] for k in range(9)}}
    figure = curves(history)
    assert len(figure.axes) == 7
    assert figure.axes[-1].get_xlabel() == "epoch (3 more metrics are not drawn)"


@pytest.mark.parametrize(
    "name", ["INK", "MUTED", "FAINT", "PAPER", "BLUE", "VERMILLION", "GREEN", "ORANGE", "SKY", "PURPLE"]
)
def test_every_colour_of_the_style_follows_the_page(name):
    from torchwork.report.plots import svg

    variable = svg.inline(f'<svg style="fill: {getattr(style, name)}"></svg>', "x")
    assert "var(--" in variable
