"""Texts of delimited files: every line arrives as it stands, and what is wrong is told by line."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchwork.data.source import open_source
from torchwork.data.text import TextCSV, open_texts, read_texts
from torchwork.data.transform import Pipeline
from torchwork.types import InputError

LETTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.lists(st.text(LETTERS, min_size=1).filter(lambda text: text.strip()), min_size=2, max_size=6)


def _write(tmp_path: Path, text: str, name: str = "a.csv") -> str:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return str(tmp_path / name)


def _findings(path: str, **options: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        TextCSV(path, **options)
    return [f"{finding.code} {finding}" for finding in caught.value.findings]


def test_every_message_of_the_sms_collection_arrives(real_data: Path) -> None:
    path = real_data / "sms-spam.tsv"
    pairs = [line.split("\t") for line in path.read_bytes().decode().split("\n")]
    source = TextCSV(str(path), header=False)
    assert len(source) == 5574
    assert source.texts == [text for _, text in pairs]
    assert source.targets.tolist() == [label for label, _ in pairs]
    assert Counter(source.targets) == {"ham": 4827, "spam": 747}
    assert sum('"' in text for text in source.texts) == 145
    assert source.faults == ()
    assert source.name(5573) == "line 5574"


def test_quotation_marks_of_labelled_lines_are_characters(tmp_path: Path) -> None:
    path = _write(tmp_path, 'ham\t"Hi, he said\nspam\tWIN "now" ""\nham\t\'ok\'\n', "a.tsv")
    assert TextCSV(path, header=False).texts == ['"Hi, he said', 'WIN "now" ""', "'ok'"]


@settings(max_examples=40)
@given(TEXTS)
def test_what_the_csv_module_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    for name, separator in (("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t")):
        path = tmp_path_factory.mktemp("texts") / name
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=separator)
            writer.writerows([("text", "label"), *((text, "ab"[place % 2]) for place, text in enumerate(texts))])
        source = TextCSV(str(path), separator=separator, quotes=True)
        assert source.texts == texts
        assert source.targets.tolist() == ["ab"[place % 2] for place in range(len(texts))]


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    texts = ["a\u2028b", "a\x85b", "a\x0bb", "a\rb", "  a  "]
    path = _write(tmp_path, "".join(f"{'xy'[place % 2]}\t{text}\r\n" for place, text in enumerate(texts)), "a.tsv")
    assert TextCSV(path, header=False).texts == texts


def test_a_row_is_named_by_the_line_at_which_it_begins(tmp_path: Path) -> None:
    path = _write(tmp_path, 'label,text\n\na,"one\ntwo"\n\nb,three\n')
    source = TextCSV(path)
    assert source.texts == ["one\ntwo", "three"]
    assert [source.name(0), source.name(1)] == ["line 3", "line 6"]


def test_columns_by_name_splits_and_annotations(tmp_path: Path) -> None:
    rows = "id,body,score,part,author\n1,hi,0.5,train,x\n2,you,1.25,train,\n3,there,2,val,y\n"
    source = TextCSV(_write(tmp_path, rows), text_column="body", target_column="score", split_column="part")
    assert (source.schema.inputs, source.schema.target, source.schema.target_names) == ("text", "number", ("score",))
    np.testing.assert_array_equal(source.targets, [[0.5], [1.25], [2.0]])
    assert {name: ids.tolist() for name, ids in source.given.items()} == {"train": [0, 1], "val": [2]}
    assert {name: values.tolist() for name, values in source.annotations.items()} == {
        "id": [1, 2, 3],
        "author": ["x", "", "y"],
    }
    texts, targets = source.read(np.array([2, 0]), epoch=0)
    assert texts == ["there", "hi"]
    np.testing.assert_array_equal(targets, [[2.0], [0.5]])


def test_compressed_files_a_byte_order_mark_and_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbflabel\ttext\na\tx\nb\ty\n"))
    assert TextCSV(str(tmp_path / "a.tsv.gz")).texts == ["x", "y"]
    (tmp_path / "b.csv").write_bytes("label,text\na,£5\nb,é\n".encode("cp1252"))
    assert TextCSV(str(tmp_path / "b.csv"), encoding="cp1252").texts == ["£5", "é"]


def test_bytes_that_are_no_characters_are_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"ham\tok\nspam\t\xa35 now\nham\tok\nspam\tcaf\xe9\n")
    (said,) = _findings(str(tmp_path / "a.tsv"), header=False)
    assert said.startswith("wrong-encoding")
    assert "2 lines" in said
    assert "line 2 (byte 0xa3 at character 6), line 4 (byte 0xe9 at character 9)" in said
    assert "encoding: cp1252" in said
    assert "unknown encoding" in _findings(str(tmp_path / "a.tsv"), encoding="utf-7000")[0]


def test_an_empty_text_is_a_fault_of_its_sample(tmp_path: Path) -> None:
    source = TextCSV(_write(tmp_path, "label,text\na,x\nb,\na,  \nb,y\n"))
    assert len(source) == 4
    assert [(fault.index, fault.code) for fault in source.faults] == [(1, "missing"), (2, "missing")]


@pytest.mark.parametrize(
    ("text", "options", "code", "words"),
    [
        ("a\tx\nb\ty\tz\nc\n", {"header": False}, "uneven-rows", "3 in line 2, 1 in line 3"),
        ('label,text\na,"x\nb,y\n', {}, "unmatched-quotes", "begins in line 2"),
        ('label,text\na,"x"y\nb,y\n', {}, "unmatched-quotes", "begins in line 2"),
        ("label,text\na,x\n,y\n", {}, "missing-cells", "line 3"),
        ("label,text\na,x\na,y\n", {}, "one-class", "(a)"),
        ("label,text\n", {}, "no-samples", "no rows"),
        ("", {}, "no-samples", "no rows"),
        ("a,x\nb,y\n", {}, "columns", "header: false"),
        ("label,body\na,x\nb,y\n", {"text_column": "bdy"}, "missing-column", "did you mean 'body'?"),
        ("text,text\na,x\nb,y\n", {}, "double-column", "'text'"),
        ("label,text\na,x\nb,y\n", {"text_column": "label"}, "target-as-input", "'label'"),
        ("label,text,part\na,x,dev\nb,y,train\n", {"split_column": "part"}, "no-split", "'dev'"),
        ("label,text\n1.5,x\nb,y\n", {"kind": "number"}, "not-a-number", "'b'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, text: str, options: dict[str, object], code: str, words: str
) -> None:
    said = "\n".join(_findings(_write(tmp_path, text), **options))
    assert code in said
    assert words in said


def test_a_missing_path_and_a_folder_are_errors(tmp_path: Path) -> None:
    assert "is not there" in _findings(str(tmp_path / "no.csv"))[0]
    assert "is a folder" in _findings(str(tmp_path))[0]
    (tmp_path / "a.csv.gz").write_bytes(b"no gzip")
    assert "cannot be read" in _findings(str(tmp_path / "a.csv.gz"))[0]


def test_texts_to_predict_are_read_as_those_of_training(tmp_path: Path) -> None:
    lines = _write(tmp_path, 'a, "b"\nc\td\r\n', "new.txt")
    table = _write(tmp_path, 'note,body\n1,"x, y"\n', "new.csv")
    alone = _write(tmp_path, 'words\n"x, y"\n', "alone.csv")
    source = read_texts([Path(lines), Path(table), Path(alone)], {"name": "TextCSV", "text_column": "body"})
    assert source.texts == ['a, "b"', "c\td", "x, y", "x, y"]
    assert [source.name(1), source.name(2)] == [f"{lines} line 2", f"{table} line 2"]
    labelled = _write(tmp_path, "ham\tx, y\nspam\tz\n", "new.tsv")
    unlabelled = _write(tmp_path, 'x, "y"\nz\n', "bare.tsv")
    spec = {"name": "TextCSV", "header": False}
    assert read_texts([Path(labelled), Path(unlabelled)], spec).texts == ["x, y", "z", 'x, "y"', "z"]


def test_texts_that_cannot_be_predicted_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Path(_write(tmp_path, "a\n\nb\n \n", "a.txt"))
    other = Path(_write(tmp_path, "x,y\n1,2\n", "b.csv"))
    with pytest.raises(InputError) as caught:
        read_texts([empty, other], {})
    assert [finding.code for finding in caught.value.findings] == ["no-text", "missing-column"]
    assert "line 2, line 4" in str(caught.value)
    with pytest.raises(InputError, match="text 2"):
        open_texts(["a", ""], {})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Path objects"):
        open_texts(["a.txt", "b.csv"], {})
    assert len(open_texts(["a.txt", "x" * 5000], {})) == 2


def test_a_data_frame_has_its_texts_in_the_column_of_training() -> None:
    frame = pd.DataFrame({"n": [1, 2], "text": ["a", "b"]})
    assert open_texts(frame, {}).texts == ["a", "b"]
    with pytest.raises(InputError, match="'body'"):
        open_texts(frame, {"text_column": "body"})
    with pytest.raises(InputError, match="empty"):
        open_texts(pd.DataFrame({"text": ["a", None]}), {})


def test_texts_of_several_files_go_together_and_some_of_them_apart(tmp_path: Path) -> None:
    one = {"name": "TextCSV", "path": _write(tmp_path, "label,text\na,x\nb,\na,z\n", "one.csv")}
    other = {"name": "TextCSV", "path": _write(tmp_path, "b\tu\na\tv\n", "other.tsv"), "header": False}
    both = open_source({"name": "Concatenate", "sources": [one, other]})
    assert both.read(np.array([4, 0, 3]), epoch=0)[0] == ["v", "x", "u"]
    assert [fault.index for fault in both.faults] == [1]
    assert both.name(3) == "1/line 1"
    pipeline = Pipeline([], both.schema)
    pipeline.fit(both, np.array([0, 2, 3, 4]))
    assert pipeline.prepare(both.read(np.array([4, 0]), epoch=0)[0]).shape == (2, 1)
