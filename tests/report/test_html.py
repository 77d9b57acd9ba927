"""The report is a function of the run directory, complete or not, and lets nothing from the data out of its place."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from report.made_run import classification, ranking, regression
from torchwork import rundir
from torchwork.report import facts, html, summary
from torchwork.training.loop import improves
from torchwork.types import InputError

VOID = {"meta", "br", "hr", "img", "input", "link"}
CLASSES = ["cat", "dog", "猫"]
SCRIPT = (Path(html.__file__).parent / "page.js").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Reads a page: its words, tags, ids and references; every tag must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[str] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts.append(data)
        elif data.strip() and "style" not in self.open:
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.words)


def _page(directory) -> Page:
    return Page(html.write(directory).read_text(encoding="utf-8"))


def _words(directory) -> Page:
    """Return the page without its plots, which take longest."""
    return Page(html.render(facts.read(directory), {}))


def test_report_of_a_classifier_says_what_was_done_and_how_well(tmp_path):
    page = _page(classification(tmp_path / "run", CLASSES))
    assert "LeNet was trained on Digits (160 train, 40 val and 40 test samples of 3 classes)." in page.text
    assert "It ran for 3 epochs with Adam (lr 0.001) from seed 3." in page.text
    assert "On test the weights of epoch 2 have accuracy 0.8250." in page.text
    for heading in ("Results", "Predictions", "By class", "Training", "Data and split", "Model", "Environment"):
        assert heading in page.words
    for words in ("Confusion matrix", "猫", "Resize(size=32) → Normalize", "Linear", "8 × 10", "650"):
        assert words in page.text
    assert "What this report lacks" not in page.text


def test_report_of_a_regression_draws_predicted_against_true_and_no_classes(tmp_path):
    directory = regression(tmp_path / "run")
    page = _page(directory)
    assert "Predicted against true" in page.words
    assert "Confusion matrix" not in page.words
    assert "By class" not in page.words
    assert "progression" in page.text
    drawn = {path.name for path in (directory / "plots").iterdir()}
    assert {"curves.svg", "predicted_against_true-test.svg"} <= drawn


def test_report_of_a_ranking_never_puts_scores_and_true_values_on_one_scale(tmp_path):
    directory = ranking(tmp_path / "run")
    page = _page(directory)
    assert "Score against true" in page.words
    assert "Predicted against true" not in page.words
    assert "On the line the prediction is right" not in page.text
    drawn = {path.name for path in (directory / "plots").iterdir()}
    assert {"curves.svg", "score_against_true-test.svg"} <= drawn
    assert "predicted_against_true-test.svg" not in drawn
    assert "Kendall tau" in page.text


def test_report_of_vectors_says_what_a_prediction_is(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    content = rundir.read_json(directory / rundir.DATA)
    rundir.write_json(directory / rundir.DATA, {**content, "task": "embedding"})
    assert "what it was taken for, the class of the nearest other sample" in _page(directory).text


def test_report_of_sequences_counts_symbols(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    content = rundir.read_json(directory / rundir.DATA)
    rundir.write_json(directory / rundir.DATA, {**content, "task": "sequence"})
    page = _words(directory)
    assert "Symbols in the targets" in page.text
    assert "of 3 symbols" in page.text
    assert "Samples by class" not in page.text
    assert "Confusion matrix" not in page.words


def test_metrics_of_single_classes_are_no_headlines(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    figures = {"loss": 0.5, "lrap": 0.9, "roc_auc/cat": 0.8, "roc_auc": 0.85}
    rundir.write_json(directory / rundir.METRICS, {"test": figures})
    found = [headline.name for headline in summary.headlines(facts.read(directory))]
    assert found == ["LRAP", "ROC AUC", "loss"]


def test_report_of_several_outputs_names_each(tmp_path):
    made = facts.read(regression(tmp_path / "run", ["width", "height"]))
    found = made.predictions["test"]
    assert found.names == ("width", "height")
    assert found.target.shape == found.prediction.shape == (30, 2)
    page = _page(made.directory)
    assert {"width", "height"} <= set(page.words)


def test_page_needs_nothing_beside_it(tmp_path):
    page = _page(classification(tmp_path / "run", CLASSES))
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert not {"link", "iframe", "object", "img"} & set(page.tags)
    assert page.scripts == [SCRIPT]
    assert len(page.ids) == len(set(page.ids))


def test_same_directory_gives_the_same_bytes(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    first = html.write(directory).read_bytes()
    plots = {path.name: path.read_bytes() for path in (directory / "plots").iterdir()}
    assert html.write(directory).read_bytes() == first
    assert {path.name: path.read_bytes() for path in (directory / "plots").iterdir()} == plots


def test_names_from_the_data_show_as_they_are_and_do_nothing(tmp_path):
    odd = [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}",
        "</title><b>",
        "&lt;",
        "--><b>",
    ]
    directory = classification(tmp_path / "run", [*odd, "x" * 300], num=70)
    page = _page(directory)
    assert page.scripts == [SCRIPT]
    assert not {"img", "b"} & set(page.tags)
    assert not [attribute for attribute in page.attributes if attribute.startswith("on")]
    for name in [*odd, f"{'x' * 20}…{'x' * 19}"]:
        assert name in page.text
    assert facts.read(directory).predictions["test"].target[:7] == [*odd, "x" * 300]


def test_hostile_text_in_every_other_file_is_escaped_too(tmp_path):
    directory = regression(tmp_path / "run", ["<script>a</script>", "b"])
    hostile = "<script>x</script>"
    rundir.write_json(directory / rundir.ENVIRONMENT, {hostile: hostile, "device": hostile, "started": hostile})
    rundir.write_json(directory / rundir.METRICS, {hostile: {hostile: 1.0}, "test": {hostile: hostile}})
    layer = {"name": hostile, "type": hostile, "output_shape": [hostile], "parameters": 1, "trainable": 1}
    rundir.write_json(directory / rundir.MODEL_SUMMARY, {"model": hostile, "layers": [layer], "parameters": 1})
    (directory / rundir.CONFIG).write_text(f"name: '{hostile}'\nmodel: {{name: '{hostile}'}}\n")
    page = _words(directory)
    assert page.scripts == [SCRIPT]


FILES = {
    rundir.ENVIRONMENT: "the environment",
    rundir.DATA: "the facts about the data",
    rundir.MODEL_SUMMARY: "the model's layers",
    rundir.METRICS: "the final numbers",
    rundir.HISTORY: "the curves",
    rundir.predictions("test"): "the plots of test",
}


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_with_what_the_report_lacks(tmp_path, name):
    directory = classification(tmp_path / "run", CLASSES)
    (directory / name).unlink()
    page = _words(directory)
    assert name in page.words
    assert f"is not there: the report lacks {FILES[name]}" in page.text
    if name == rundir.METRICS:
        assert "The run has not come to its end: 3 of 3 epochs are on record." in page.text
        assert f"torchwork resume {directory}" in page.text


@pytest.mark.parametrize("content", ["", "\x00\xff", "[1, 2]", '{"a": ', "id\n", "epoch,train_loss\n"])
def test_broken_files_are_named_and_the_rest_is_there(tmp_path, content):
    directory = classification(tmp_path / "run", CLASSES)
    for name in FILES:
        (directory / name).write_bytes(content.encode("latin-1"))
    page = _words(directory)
    assert set(FILES) <= set(page.words)
    assert page.text.count("cannot be read") == len(FILES)
    assert "LeNet was trained" in page.text


def test_nothing_but_the_config_still_gives_a_report(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    for path in list(directory.iterdir()):
        if path.name != rundir.CONFIG:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = _words(directory)
    assert "LeNet was trained on Digits." in page.text
    assert "The run has not come to its end: 0 of 3 epochs are on record." in page.text
    assert "config.yaml" in page.text


def test_a_history_line_that_a_crash_cut_short_is_left_out(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    text = (directory / rundir.HISTORY).read_text()
    (directory / rundir.HISTORY).write_text(text[: text.rindex(",") - 4])
    assert facts.read(directory).history["epoch"].tolist() == [1, 2]


def test_without_a_test_split_val_is_shown(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    (directory / rundir.predictions("test")).unlink()
    data = rundir.read_json(directory / rundir.DATA)
    data["num_samples"].pop("test")
    rundir.write_json(directory / rundir.DATA, data)
    metrics = rundir.read_json(directory / rundir.METRICS)
    rundir.write_json(directory / rundir.METRICS, {"val": metrics["val"]})
    page = _words(directory)
    assert "Each class, on val" in page.words
    assert "What this report lacks" not in page.text


def test_no_run_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not a run directory"):
        html.write(tmp_path)


def test_hundreds_of_classes_stay_under_three_megabytes_and_say_what_is_left_out(tmp_path):
    directory = classification(tmp_path / "run", [f"class {i}" for i in range(1000)], num=3000)
    path = html.write(directory)
    assert path.stat().st_size < 3_000_000
    text = Page(path.read_text(encoding="utf-8")).text
    assert "These are the 200 with the lowest F1; 800 more are not shown" in text


TURNING = [chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]


@pytest.mark.parametrize("character", TURNING, ids=lambda character: f"{ord(character):04x}")
def test_characters_that_turn_the_direction_of_writing_are_written_out_wherever_they_stand(tmp_path, character):
    directory = classification(tmp_path / "run", [f"cat{character}", "dog"], num=20)
    (directory / rundir.LOG).touch()
    rundir.write_json(directory / rundir.BASELINES, {"test": {"name": f"cat{character}", "metrics": {"accuracy": 0.5}}})
    page = html.write(directory).read_text(encoding="utf-8")
    drawn = [path.read_text(encoding="utf-8") for path in (directory / "plots").glob("*.svg")]
    assert not any(character in text for text in (page, *drawn))
    assert f"cat\\u{ord(character):04x}" in page
    assert page.count(f"<bdi>cat\\u{ord(character):04x}</bdi>") >= 2


def test_class_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    names = ["1", "01", "NA", "nan", "1e3"]
    found = facts.read(classification(tmp_path / "run", names)).predictions["test"]
    assert found.target[:5] == names


def test_best_epoch_is_the_one_that_training_chose():
    columns = ("val_loss", "val_accuracy", "val_r2", "val_mae", "val_rmse", "train_loss", "val_balanced_accuracy")
    for column in columns:
        assert facts.higher_is_better(column) == improves(2.0, 1.0, column), column


def test_best_epoch_follows_the_monitored_column(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    assert facts.read(directory).best_epoch == 2  # the lowest val_loss
    for column, epoch in (("train_loss", 3), ("val_accuracy", 2), ("absent", None)):
        config = (directory / rundir.CONFIG).read_text().replace("monitor: null", f"monitor: {column}")
        (directory / rundir.CONFIG).write_text(config)
        assert facts.read(directory).best_epoch == epoch
        (directory / rundir.CONFIG).write_text(config.replace(f"monitor: {column}", "monitor: null"))


def test_several_optimizers_are_all_named(tmp_path):
    directory = classification(tmp_path / "run", CLASSES)
    text = (directory / rundir.CONFIG).read_text()
    two = "optimizer: [{name: SparseAdam, lr: 0.01, match: emb}, {name: Adam}]"
    (directory / rundir.CONFIG).write_text(text.replace("optimizer: {name: Adam, lr: 0.001}", two))
    assert "with SparseAdam (lr 0.01) and Adam from seed 3" in _words(directory).text


def test_commands_quote_a_path_with_spaces(tmp_path):
    directory = classification(tmp_path / "my run", CLASSES)
    assert f"torchwork predict '{directory}' PICTURE.jpg" in _words(directory).text
