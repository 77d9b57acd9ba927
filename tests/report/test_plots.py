"""Each plot is read back: what it drew is what it was given."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from sklearn import metrics

from torchwork.report import plots
from torchwork.report.names import label
from torchwork.report.names import metric as written
from torchwork.report.plots import style, svg
from torchwork.report.plots.confusion import confusion_matrix, counts
from torchwork.report.plots.history import curves
from torchwork.report.plots.residuals import predicted_against_true

HISTORY = {
    "epoch": [1, 2, 3],
    "step": [10, 20, 30],
    "lr": [0.1, 0.01, 0.001],
    "train_loss": [0.9, 0.5, 0.3],
    "val_loss": [0.8, 0.4, 0.6],
    "val_accuracy": [0.5, 0.8, 0.7],
    "seconds": [1.0, 1.0, 1.0],
}
HOSTILE = [
    "<script>alert(1)</script>",
    "a$b$c^{",
    "_hidden",
    "\"quoted\" & 'more'",
    "a-->b",
    "]]>",
    "\x00\x1b",
    "猫和狗",
    "",
]


def _lines(figure: Figure, panel: int) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): list(map(tuple, line.get_xydata())) for line in figure.axes[panel].lines}


def _renderer(figure: Figure) -> RendererAgg:
    return FigureCanvasAgg(figure).get_renderer()


def _words(document: str) -> list[str]:
    """Return the texts of an SVG document, which must be well-formed XML."""
    root = ElementTree.fromstring(document.encode())
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_name_in_the_catalog_is_a_function_of_the_package():
    for name in plots.PLOTS:
        assert getattr(plots, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'pie'"):
        plots.pie  # noqa: B018


def test_curves_draw_every_column_at_its_epochs():
    figure = curves(HISTORY, best=2)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy", "learning rate"]
    assert _lines(figure, 0)["train"] == [(1, 0.9), (2, 0.5), (3, 0.3)]
    assert _lines(figure, 0)["val"] == [(1, 0.8), (2, 0.4), (3, 0.6)]
    assert _lines(figure, 1)["val"] == [(1, 0.5), (2, 0.8), (3, 0.7)]
    assert figure.axes[2].lines[0].get_ydata().tolist() == [0.1, 0.01, 0.001]


def test_best_epoch_is_marked_in_every_metric_at_its_value():
    figure = curves(HISTORY, best=2)
    for panel, value in ((0, 0.4), (1, 0.8)):
        assert figure.axes[panel].lines[-1].get_xydata().tolist() == [[2, value]]
        assert "best: epoch 2" in _lines(figure, panel)
    assert "best: epoch 2" not in _lines(curves(HISTORY), 0)


def test_axes_are_logarithmic_only_where_values_span_a_wide_positive_range():
    figure = curves(HISTORY)
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "linear", "log"]
    wide = {"epoch": [1, 2], "train_loss": [50.0, 1.0], "val_loss": [40.0, 2.0]}
    assert curves(wide).axes[0].get_yscale() == "log"
    with_zero = {"epoch": [1, 2], "train_loss": [50.0, 0.0]}
    assert curves(with_zero).axes[0].get_yscale() == "linear"


def test_curves_stand_gaps_single_epochs_and_columns_that_hold_no_number():
    gaps = {"epoch": [1, 2, 3], "train_loss": [1.0, float("nan"), float("inf")], "val_f1": [float("nan")] * 3}
    assert [axes.get_title(loc="left") for axes in curves(gaps, best=2).axes] == ["loss"]
    assert len(curves({"epoch": [1], "lr": [0.1], "val_loss": [2.0]}, best=1).axes) == 2
    assert curves({"epoch": []}).axes == []
    svg.text(curves(gaps), "gaps")


def test_a_share_has_no_ticks_above_one():
    perfect = {"epoch": [1, 2, 3], "val_accuracy": [1.0, 1.0, 1.0]}
    assert curves(perfect).axes[0].get_ylim()[1] <= 1.02


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_counts_equal_those_of_scikit_learn(data):
    classes = data.draw(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=8, unique=True))
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(classes), st.sampled_from(classes)), min_size=1, max_size=60))
    targets, predictions = zip(*pairs, strict=True)
    expected = metrics.confusion_matrix(targets, predictions, labels=classes)
    assert np.array_equal(counts(targets, predictions, classes), expected)


def test_confusion_matrix_writes_counts_and_shares_of_the_row():
    figure = confusion_matrix(["a"] * 3 + ["b"], ["a", "a", "b", "b"], ["a", "b", "c"])
    texts = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert texts[0, 0] == "2\n67%"
    assert texts[1, 0] == "1\n33%"  # drawn at (column, row)
    assert texts[0, 1] == "0"
    assert texts[1, 1] == "1\n100%"
    assert len(texts) == 9


def test_confusion_matrix_colours_right_blue_wrong_vermillion_and_by_the_share_of_the_row():
    image = confusion_matrix(["a"] * 4, ["a", "b", "b", "b"], ["a", "b"]).axes[0].images[0].get_array()
    assert matplotlib.colors.to_hex(image[0, 0, :3]) == style.BLUE
    assert matplotlib.colors.to_hex(image[0, 1, :3]) == style.VERMILLION
    assert np.allclose(image[0, :, 3] ** 2, [0.25, 0.75])
    assert np.array_equal(image[1, :, 3], [0, 0])  # a class without samples


@pytest.mark.parametrize(
    ("num", "per_cell"), [(2, "all"), (12, "all"), (13, "some"), (30, "some"), (31, "none"), (100, "none")]
)
def test_confusion_matrix_has_room_for_its_names_and_texts(num, per_cell):
    classes = [f"class number {i}" for i in range(num)]
    targets = classes * 3
    predictions = classes * 2 + classes[::-1]
    figure = confusion_matrix(targets, predictions, classes)
    axes = figure.axes[0]
    written = {"all": num * num, "some": int((counts(targets, predictions, classes) > 0).sum()), "none": 0}
    assert len(axes.texts) == written[per_cell]
    assert len(axes.get_yticklabels()) == num
    with style.applied():
        renderer, page = _renderer(figure), figure.bbox
        labels = [label.get_window_extent(renderer) for label in (*axes.get_yticklabels(), *axes.get_xticklabels())]
        assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 for box in labels)
        rows = sorted((label.get_window_extent(renderer) for label in axes.get_yticklabels()), key=lambda box: box.y0)
        assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(rows))
        cell = axes.get_window_extent(renderer).width / num
        assert all(text.get_window_extent(renderer).width <= cell for text in axes.texts)


def test_counts_in_the_millions_fit_their_cells():
    targets = ["a"] * 5 + ["b"]
    figure = confusion_matrix(targets * 20_000, targets * 20_000, ["a", "b"] + [f"c{i}" for i in range(10)])
    axes, renderer = figure.axes[0], _renderer(figure)
    cell = axes.get_window_extent(renderer).width / 12
    assert max(text.get_window_extent(renderer).width for text in axes.texts) <= cell


def test_of_many_classes_those_with_the_most_mistakes_are_drawn_with_true_shares():
    classes = [f"c{i}" for i in range(150)]
    targets = classes * 2
    predictions = [*classes, *(classes[:50] + classes[50:][::-1])]  # the first fifty are always right
    axes = confusion_matrix(targets, predictions, classes).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(names) == sorted(classes[50:])
    assert all(abs(names.index(f"c{50 + i}") - names.index(f"c{149 - i}")) == 1 for i in range(50))
    said = "the 100 of 150 classes that are confused most, "
    said += "classes taken for each other side by side, 100 of 300 samples are outside"
    assert axes.get_title(loc="left").split() == said.split()
    plain = confusion_matrix(targets, predictions, classes, cluster=False).axes[0]
    assert [label.get_text() for label in plain.get_yticklabels()] == classes[50:]
    wrong_into_hidden = confusion_matrix(["c0"] * 4, ["c0", "c149", "c149", "c149"], classes)
    assert np.isclose(wrong_into_hidden.axes[0].images[0].get_array()[0, 0, 3] ** 2, 0.25)


def test_mistakes_spread_over_a_thousand_classes_fall_inside_the_hundred_that_are_drawn():
    classes = [f"c{i}" for i in range(1000)]
    targets = classes * 3
    predictions = classes[500:] + classes[:500] + classes[1:] + classes[:1] + classes[500:] + classes[:500]
    axes = confusion_matrix(targets, predictions, classes).axes[0]
    rates = axes.images[0].get_array()[..., 3] ** 2
    assert len(rates) == 100
    assert (rates.sum(1) > 0.6).all()  # each is taken for its opposite two times of three, and that one is there
    assert "samples are outside" in axes.get_title(loc="left").replace("\n", " ")


def test_confusion_matrix_says_which_samples_have_no_cell():
    title = confusion_matrix(["a", "z"], ["a", "b"], ["a", "b"]).axes[0].get_title(loc="left")
    assert title.replace("\n", " ") == "1 of 2 samples left out: true or predicted class not among these"
    assert confusion_matrix(["a"], ["a"], ["a", "b"]).axes[0].get_title(loc="left") == ""


def test_a_confusion_matrix_of_no_samples_says_so():
    figure = confusion_matrix([], [], ["a", "b"])
    assert not figure.axes
    assert figure.texts[0].get_text() == "There is no confusion matrix: there are no samples."


def test_predicted_against_true_draws_the_pairs_and_the_residuals():
    figure = predicted_against_true([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], names=["weight"])
    above, below = figure.axes
    assert above.get_title(loc="left") == "weight"
    assert above.collections[0].get_offsets().tolist() == [[1, 1.5], [2, 2], [4, 3]]
    assert below.collections[0].get_offsets().tolist() == [[1.5, 0.5], [2, 0], [3, -1]]
    assert above.lines[0].get_xydata().tolist() == [[1, 1], [4, 4]]


def test_what_is_not_finite_is_left_out_and_said():
    figure = predicted_against_true([1.0, 2.0, np.nan], [np.inf, 2.5, 3.0])
    assert figure.axes[0].collections[0].get_offsets().tolist() == [[2, 2.5]]
    assert "2 not finite, left out" in figure.axes[0].get_title(loc="left")
    svg.text(predicted_against_true([np.nan], [np.nan]), "none")


def test_several_outputs_get_panels_each_and_too_many_are_said():
    two = predicted_against_true(np.zeros((3, 2)), np.ones((3, 2)), names=["left", "right"])
    assert [axes.get_title(loc="left") for axes in two.axes[::2]] == ["left", "right"]
    many = predicted_against_true(np.zeros((3, 9)), np.ones((3, 9)))
    assert len(many.axes) == 12
    assert "3 more outputs are not drawn" in many.axes[-2].get_title(loc="left")


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\) and prediction \(3, 1\)"):
        predicted_against_true(np.zeros(3), np.zeros((3, 1)))


def test_many_points_stay_a_small_file():
    numbers = np.random.default_rng(0).normal(size=50_000)
    assert len(svg.text(predicted_against_true(numbers, numbers), "many")) < 300_000


def test_svg_is_the_same_for_the_same_figure_and_has_no_date():
    first, second = (svg.text(curves(HISTORY, best=2), "curves") for _ in range(2))
    assert first == second
    assert "dc:date" not in first


@pytest.mark.skipif(not style._wide_font(), reason="no font for Chinese is installed")
def test_chinese_names_are_drawn_in_a_png_and_warn_of_nothing(tmp_path):
    def drawn(name):
        figure = confusion_matrix([name], [name], [name, "b"])
        figure.savefig(tmp_path / "a.png")
        return (tmp_path / "a.png").read_bytes()

    assert drawn("猫") != drawn("狗"), "two boxes"


def test_svg_keeps_its_words_as_text():
    words = _words(svg.text(confusion_matrix(["猫"], ["狗"], ["猫", "狗"]), "matrix"))
    assert {"猫", "狗", "true", "predicted"} <= set(words)


def test_svg_names_the_same_fonts_whatever_are_installed(monkeypatch):
    def drawn():
        document = svg.text(confusion_matrix(["猫"], ["狗"], ["猫", "狗"]), "matrix")
        return set(re.findall("font-family[^;]*", document))

    first = drawn()
    monkeypatch.setattr(style, "_wide_font", list)
    assert len(first) == 1
    assert drawn() == first


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_plain_text(name):
    metric = label(written(f"f1_{name}"))
    figures = [
        (label(name, 24), confusion_matrix([name, "other"], [name, name], [name, "other"])),
        (label(name, 40), predicted_against_true([1.0, 2.0], [1.0, 2.0], names=[name])),
        (metric, curves({"epoch": [1, 2], f"val_f1_{name}": [1.0, 2.0]})),
    ]
    for words, figure in figures:
        document = svg.text(figure, "hostile")
        assert "<script" not in document
        assert words in _words(document)
        assert "<script" not in svg.inline(document, name)


def test_colours_of_the_page_replace_those_of_tags_but_not_of_names():
    document = svg.text(confusion_matrix([style.INK], [style.INK], [style.INK, "fill: #ffffff"]), "colours")
    element = svg.inline(document, 'a "title" <b>')
    assert _words(element).count(style.INK) == 2
    assert "fill: #ffffff" in _words(element)
    assert "var(--ink)" in element
    assert 'aria-label="a &quot;title&quot; &lt;b&gt;"' in element


def test_ids_of_two_plots_on_one_page_differ():
    first, second = (svg.text(curves(HISTORY), name) for name in ("one", "two"))
    ids = [{node.get("id") for node in ElementTree.fromstring(text).iter()} - {None} for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    used = set(re.findall(r"url\(#([^)]+)\)", first))
    assert used <= ids[0]


def test_drawing_leaves_the_settings_of_the_caller_alone():
    before = dict(matplotlib.rcParams)
    svg.text(curves(HISTORY), "curves")
    confusion_matrix(["a"], ["a"], ["a", "b"])
    assert dict(matplotlib.rcParams) == before


def test_the_settings_of_the_caller_do_not_change_a_plot():
    plain = svg.text(curves(HISTORY), "curves")
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "figure.dpi": 50}):
        assert svg.text(curves(HISTORY), "curves") == plain


def test_no_pyplot_and_no_torch_are_loaded():
    heavy = ("matplotlib.pyplot", "torch", "sklearn", "pandas")
    code = f"import sys, torchwork.report.drawings; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_labels_are_one_line_that_xml_can_hold_and_no_longer_than_asked():
    assert label("two\nlines\tof  text") == "two lines of text"
    assert label("\x07bell") == "\ufffdbell"
    assert label("\ud800") == "?"
    assert len(label("x" * 300)) == 24
    assert label("") == "(empty)"
