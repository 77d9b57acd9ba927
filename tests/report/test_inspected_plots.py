"""Plots of models and samples, read back: each pixel, bar and word is what was given."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from torchwork.report import plots
from torchwork.report.plots import style, tiles


def picture(figure, panel=0):
    return np.asarray(figure.axes[panel].images[0].get_array())


def test_each_kernel_of_one_channel_is_a_grey_picture_around_zero():
    weight = np.random.default_rng(0).normal(size=(6, 1, 5, 5))
    sheet = picture(plots.kernels(weight, name="conv1"))
    most = np.abs(weight).max()
    for number in range(6):
        left = number * 6
        expected = np.rint((0.5 + weight[number, 0] / (2 * most)) * 255)
        np.testing.assert_array_equal(sheet[:5, left : left + 5, 0], expected)
        assert (sheet[:5, left : left + 5, 3] == 255).all()
    assert (sheet[:, 5, 3] == 0).all()  # nothing between them


def test_kernels_of_three_channels_have_the_colours_of_their_weights():
    weight = np.zeros((7, 3, 1, 1))
    weight[:3, :, 0, 0] = np.eye(3)
    weight[3, :, 0, 0] = -1
    sheet = picture(plots.kernels(weight))
    colours = [tuple(sheet[0, place * 2, :3]) for place in range(5)]
    assert colours == [(255, 128, 128), (128, 255, 128), (128, 128, 255), (0, 0, 0), (128, 128, 128)]


def test_later_kernels_stand_with_outputs_across_and_inputs_down():
    weight = np.random.default_rng(0).uniform(size=(4, 2, 3, 3))
    sheet = picture(plots.kernels(weight))
    assert sheet.shape == (7, 15, 4)
    most = weight.max()
    np.testing.assert_array_equal(sheet[4:7, 8:11, 0], np.rint((0.5 + weight[2, 1] / (2 * most)) * 255))


def test_of_many_kernels_the_first_are_drawn_and_the_title_says_so():
    figure = plots.kernels(np.ones((100, 40, 3, 3)), name="late")
    assert figure.axes[0].get_title("left").split("\n")[1] == "24 of 100 outputs across, 12 of 40 inputs down"
    cut = plots.kernels(np.ones((64, 16, 3, 3)), shape=(512, 256, 3, 3))
    assert "24 of 512 outputs across, 12 of 256 inputs down" in cut.axes[0].get_title("left")
    with pytest.raises(ValueError, match="expected"):
        plots.kernels(np.ones((3, 3)))


def test_kernels_along_one_axis_are_rows():
    figure = plots.kernels(np.arange(40.0).reshape(4, 2, 5), name="conv1", shape=(8, 2, 5))
    assert figure.axes[0].get_title("left").split("\n")[:2] == [
        "conv1: kernels of 1×5",
        "4 of 8 outputs across, 2 inputs down",
    ]


def test_feature_maps_have_one_scale_a_layer():
    maps = np.stack([np.zeros((2, 2)), np.full((2, 2), 2.0), np.full((2, 2), 4.0)])
    figure = plots.feature_maps({"conv": maps}, picture=np.full((2, 2), 0.2))
    assert picture(figure, 0)[0, 0].tolist() == [51, 51, 51, 255]
    assert [picture(figure, 1)[0, place, 0] for place in (0, 3, 6)] == [0, 128, 255]
    assert figure.axes[1].get_title("left") == "conv: 3 maps of 2×2, 0 is black, 4 white"


def test_heat_lies_where_the_map_is_hot_and_the_picture_shows_elsewhere():
    shown = np.full((4, 4), 0.5)
    heat = np.zeros((4, 4))
    heat[0, 3] = 2.0
    found = tiles.heated(shown, heat)
    assert (found[1:, :, 0] == found[3, 0, 0]).all()
    assert found[3, 0, 0] == round(0.5 * 0.8 * 255 - 1e-9)
    assert found[0, 3].tolist() != found[3, 0].tolist()
    assert (tiles.heated(shown, heat * 100) == found).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
def test_an_enlarged_map_keeps_its_range_and_a_constant_stays_one(height, width, to_height, to_width):
    values = np.random.default_rng(height * 10 + width).uniform(size=(height, width))
    found = tiles.enlarged(values, to_height, to_width)
    assert found.shape == (to_height, to_width)
    assert values.min() - 1e-12 <= found.min()
    assert found.max() <= values.max() + 1e-12
    assert np.allclose(tiles.enlarged(np.full((height, width), 3.0), to_height, to_width), 3.0)
    assert np.allclose(tiles.enlarged(values, height, width), values)


def test_enlarging_is_torchs_bilinear_interpolation():
    import torch
    import torch.nn.functional as F

    values = np.random.default_rng(0).uniform(size=(3, 5))
    expected = F.interpolate(torch.from_numpy(values)[None, None], (14, 11), mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(tiles.enlarged(values, 14, 11), expected, atol=1e-12)


def test_maps_have_a_row_for_the_picture_one_for_grad_cam_and_one_for_the_gradient():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    figure = plots.maps(pictures, np.ones((2, 8, 8)), np.ones((2, 2, 2)), labels=["true 1\nsaid 2", "id 3"])
    assert [text.get_text() for text in figure.texts] == ["picture", "Grad-CAM", "gradient"]
    sheet = picture(figure)
    np.testing.assert_array_equal(sheet[:, :8, :3], pictures[0])
    np.testing.assert_array_equal(sheet[:, 9:, :3], pictures[1])
    np.testing.assert_array_equal(picture(figure, 1)[:, :8], tiles.heated(pictures[0], np.ones((2, 2))))
    assert [text.get_text() for text in figure.axes[0].texts] == ["true 1\nsaid 2", "id 3"]
    assert len(plots.maps(pictures, np.ones((2, 8, 8))).axes) == 2


def test_what_stands_above_one_map_does_not_reach_into_the_next():
    said = "id 788\npredicted: class_096 (100%)\npredicted: 猫的手写数字 (51%)"
    figure = plots.maps(np.zeros((6, 8, 8)), np.ones((6, 8, 8)), labels=[said] * 6)
    with style.applied():
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


def test_signals_stand_above_strips_of_their_grad_cam_and_gradient():
    signals, cam = np.random.default_rng(0).normal(size=(2, 3, 50)), np.array([[0.0, 2.0], [1.0, 0.0]])
    figure = plots.signal_maps(signals, np.ones((2, 50)), cam, labels=["id 1\ntrue: a", "id 2"])
    assert len(figure.axes) == 6
    for place in range(2):
        curve, first, second = figure.axes[3 * place : 3 * place + 3]
        np.testing.assert_array_equal([line.get_ydata() for line in curve.lines], signals[place])
        np.testing.assert_array_equal(first.images[0].get_array(), cam[place : place + 1])
        assert first.images[0].get_extent() == [-0.5, 49.5, 0, 1], "as wide as the signal"
        assert [first.get_ylabel(), second.get_ylabel()] == ["Grad-CAM", "gradient"]
        assert curve.get_xlim() == first.get_xlim() == (-0.5, 49.5)
    assert figure.axes[0].get_title("left") == "id 1, true: a"
    assert len(plots.signal_maps(signals, np.ones((2, 50))).axes) == 4


def test_activations_draw_the_quantiles_and_the_dead():
    rows = [
        {"layer": "conv1", "quantiles": [-2, -1, 0.5, 1, 3], "dead": 0.25},
        {"layer": "fc", "quantiles": [-9, -4, 0, 4, 9], "dead": None},
    ]
    axes, dead = plots.activations(rows).axes
    thin, thick = (collection.get_segments() for collection in axes.collections)
    assert [segment[:, 0].tolist() for segment in thin] == [[-2, 3], [-9, 9]]
    assert [segment[:, 0].tolist() for segment in thick] == [[-1, 1], [-4, 4]]
    assert axes.lines[0].get_xdata().tolist() == [0.5, 0]
    assert [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in dead.patches] == [(0, 0.25)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv1", "fc"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first layer on top


def test_embedding_draws_each_class_at_its_points_in_a_colour_and_shape_of_its_own():
    points = np.arange(44.0).reshape(22, 2)
    classes = [str(place % 11) for place in range(22)]
    figure = plots.embedding(points, classes)
    found = [part for part in figure.axes[0].collections if isinstance(part, PathCollection)]
    assert [part.get_label() for part in found] == [str(place) for place in range(11)]
    for number, part in enumerate(found):
        np.testing.assert_array_equal(part.get_offsets(), points[[number, number + 11]])
    looks = {(to_hex(part.get_facecolor()[0]), len(part.get_paths()[0])) for part in found}
    assert len(looks) == 11


def test_a_hundred_classes_are_named_in_their_midst_and_names_do_not_cover_each_other():
    numbers = np.random.default_rng(0)
    middles = numbers.uniform(-10, 10, (100, 2))
    classes = np.repeat(np.arange(100), 10)
    figure = plots.embedding(middles[classes] + numbers.normal(size=(1000, 2)) * 0.1, [f"class {k}" for k in classes])
    axes = figure.axes[0]
    assert 20 < len(axes.texts) < 100
    assert f"100 classes, {len(axes.texts)} of them named" in axes.get_title("left")
    for text in axes.texts:
        number = int(text.get_text().removeprefix("class "))
        assert np.abs(np.array(text.get_position()) - middles[number]).max() < 0.3
    with style.applied():
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes.texts]
    overlapping = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert overlapping == []


def test_numbers_colour_points_by_their_value():
    figure = plots.embedding([[0, 0], [1, 1], [np.nan, 2]], values=[5.0, 7.0, 9.0], value_name="price")
    drawn = figure.axes[0].collections[0]
    assert drawn.get_array().tolist() == [5.0, 7.0]
    assert figure.axes[0].get_title("left") == "1 not finite, left out"
    assert figure.axes[1].get_ylabel() == "price"


def test_worst_samples_show_pictures_words_and_what_is_gone():
    shown = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    figure = plots.worst_samples([shown, "win a prize", None], ["id 1\ntrue: a", "id 2", "id 3"])
    np.testing.assert_array_equal(picture(figure)[..., :3], shown)
    said = [text.get_text() for text in figure.texts]
    assert said == ["id 1\ntrue: a", "win a prize", "id 2", "no longer there", "id 3"]


def test_a_contact_sheet_holds_every_image_in_its_place():
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8), np.uint8)
    sheet = picture(plots.contact_sheet(images, columns=4))
    for number in range(10):
        top, left = number // 4 * 9, number % 4 * 9
        np.testing.assert_array_equal(sheet[top : top + 8, left : left + 8, 0], images[number])


def test_an_alignment_draws_the_probabilities_and_follows_the_likeliest():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.2, 0.6, 0.2], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
    figure = plots.ctc_alignment(probabilities, ["", "a", "b"], target="ab")
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), probabilities.T)
    assert axes.lines[0].get_ydata().tolist() == [0, 1, 1, 0, 2]
    assert axes.get_title("left") == "true ab, read as ab"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["(blank)", "a", "b"]


def test_an_alignment_of_many_symbols_draws_those_that_are_read():
    probabilities = np.full((3, 200), 0.001)
    probabilities[[0, 1, 2], [150, 0, 199]] = 0.9
    axes = plots.ctc_alignment(probabilities, [f"s{k}" for k in range(200)]).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == 30
    assert {"(blank)", "s150", "s199"} <= set(names)
    assert names[int(axes.lines[0].get_ydata()[0])] == "s150"
    assert axes.get_title("left").endswith("read as s150s199")


def test_wide_vectors_are_drawn_in_the_plane_of_their_principal_components():
    from sklearn.decomposition import PCA

    x = np.random.default_rng(0).normal(size=(50, 64)) * np.linspace(0.1, 2, 64)
    axes = plots.embedding(np.vstack([x, np.full((1, 64), np.nan)]), values=range(51)).axes[0]
    drawn = axes.collections[0].get_offsets()
    expected = PCA(2, svd_solver="full").fit_transform(x)
    assert np.allclose(np.abs(drawn), np.abs(expected))
    assert (axes.get_xlabel(), axes.get_title("left")) == ("first axis (PCA)", "1 not finite, left out")
    plots.embedding(np.ones((1, 3)), ["a"])


@pytest.mark.parametrize(
    ("points", "classes", "said"),
    [
        (np.zeros((5, 1)), None, r"\(5, 1\)"),
        (np.zeros(6), None, r"\(6,\)"),
        (np.zeros((2, 2, 2)), None, "expected"),
        (np.zeros((5, 2)), ["a"], "5 points and 1 classes"),
    ],
)
def test_points_that_are_none_are_refused(points, classes, said):
    with pytest.raises(ValueError, match=said):
        plots.embedding(points, classes)


def test_importance_draws_means_and_ranges_with_the_greatest_on_top():
    axes = plots.importance(["a", "b", "c"], [[0.1, 0.3], [-0.1, 0.0], [0.5, 0.7]]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c", "a", "b"]
    assert np.allclose([bar.get_width() for bar in axes.patches], [0.6, 0.2, -0.05])
    ranges = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert ranges == [[0.5, 0.7], [0.1, 0.3], [-0.1, 0.0]]


def test_contributions_for_and_against_have_colours_of_their_own():
    axes = plots.contributions({"a": 1.0, "b": -2.0}).axes[0]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == [style.VERMILLION, style.BLUE]
    assert [bar.get_width() for bar in axes.patches] == [-2.0, 1.0]


def test_words_have_the_colour_of_their_side_and_the_strength_of_their_share():
    figure = plots.word_weights([[("free", 4.0), ("home", -2.0), ("a", 0.0)]], labels=["id 1"])
    assert [text.get_text() for text in figure.texts] == ["id 1", "free", "home", "a"]
    boxes = [(to_hex(box.get_facecolor()), box.get_alpha()) for box in figure.artists]
    assert boxes == [(style.BLUE, 0.75), (style.VERMILLION, 0.375), (style.VERMILLION, 0.0)]


def test_an_explanation_draws_scores_and_columns_the_strongest_on_top():
    figure = plots.explanation("row 1\npredicted: b", scores={"a": 0.2, "b": 0.8}, columns={"x": 0.5, "y": -1.5})
    columns, scores = figure.axes
    assert [label.get_text() for label in scores.get_yticklabels()] == ["b", "a"]
    assert [bar.get_width() for bar in scores.patches] == [0.8, 0.2]
    assert [bar.get_width() for bar in columns.patches] == [-1.5, 0.5]
    assert scores.get_xlim() == (0, 1.12)
