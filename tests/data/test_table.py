"""Tables: which columns are what, and every bad cell by row and column."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from torchwork.data import missing
from torchwork.data.audit.classes import counts
from torchwork.data.columns import kind_of, read_csv
from torchwork.data.source import open_source
from torchwork.data.split import split
from torchwork.data.table import Table, read_rows
from torchwork.types import Fault, InputError, Schema

ROWS = """size,colour,rooms,price,part
1.5,red,3,100.5,train
2.5,blue,4,150.25,train
3.0,red,3,175.75,val
"""


def _write(tmp_path: Path, text: str, name: str = "a.csv") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_texts_are_categories_and_the_rest_numbers(tmp_path: Path) -> None:
    source = Table(_write(tmp_path, ROWS), "price", split_column="part")
    assert source.schema == Schema(
        "table", "number", target_names=("price",), numbers=("size", "rooms"), categories=("colour",)
    )
    inputs, targets = source.read(np.array([2, 0]), epoch=1)
    np.testing.assert_array_equal(inputs["numbers"].numpy(), [[3.0, 3], [1.5, 3]])
    assert inputs["categories"].tolist() == [["red"], ["red"]]
    np.testing.assert_array_equal(targets, [[175.75], [100.5]])
    assert {part: ids.tolist() for part, ids in source.given.items()} == {"train": [0, 1], "val": [2]}
    assert source.name(2) == "row 3"


def test_numbers_become_categories_where_asked_for(tmp_path: Path) -> None:
    source = Table(_write(tmp_path, ROWS), "colour", columns=["rooms", "size"], categories=["rooms"])
    assert source.schema.numbers == ("size",)
    assert source.schema.categories == ("rooms",)
    assert source.read(np.arange(3), epoch=1)[0]["categories"].tolist() == [["3"], ["4"], ["3"]]
    assert source.targets.tolist() == ["red", "blue", "red"]


def test_several_target_columns_are_numbers(tmp_path: Path) -> None:
    source = Table(_write(tmp_path, ROWS), ["price", "rooms"])
    assert source.schema.target_names == ("price", "rooms")
    np.testing.assert_array_equal(source.targets, [[100.5, 3], [150.25, 4], [175.75, 3]])


def test_tabs_and_compression(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(ROWS.replace(",", "\t").encode()))
    assert len(Table(str(path), "price")) == 3


def test_na_is_a_text_among_texts_and_a_hole_among_numbers(tmp_path: Path) -> None:
    source = Table(_write(tmp_path, "region,x,y\nNA,1,0.5\nEU,2,1.5\nNone,3,2.5\n"), "y")
    assert source.read(np.arange(3), epoch=1)[0]["categories"][:, 0].tolist() == ["NA", "EU", "None"]
    hole = Table(_write(tmp_path, "region,x,y\nNA,NA,0.5\nEU,2,1.5\n"), "y")
    assert hole.faults == (Fault(0, "missing", "'x' is empty"),)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "class"),
        ([1, 2, 3], "class"),
        ([True, False], "class"),
        ([0.0, 1.0], "class"),
        ([0.5, 1.0], "number"),
        ([float(value) for value in range(21)], "number"),
    ],
)
def test_the_kind_of_a_target_column(values: list[object], kind: str) -> None:
    assert kind_of(pd.Series(values)) == kind


def test_whole_numbers_and_whole_floats_are_classes_named_alike(tmp_path: Path) -> None:
    assert Table(_write(tmp_path, "x,y\n1,0.0\n2,1.0\n"), "y").targets.tolist() == [0, 1]
    assert Table(_write(tmp_path, "x,y\n1,0\n2,1\n"), "y").targets.tolist() == [0, 1]
    numbers = Table(_write(tmp_path, "x,y\n1,0\n2,1\n"), "y", kind="number").targets
    np.testing.assert_array_equal(numbers, [[0.0], [1.0]])


def _wrong(path: str, *arguments: object, **options: object) -> list[tuple[str, str, str]]:
    with pytest.raises(InputError) as caught:
        Table(path, *arguments, **options)
    return [(finding.code, finding.where, finding.message) for finding in caught.value.findings]


def test_rows_with_bad_cells_are_faults_and_say_which(tmp_path: Path) -> None:
    source = Table(_write(tmp_path, "x,c,y\n1,a,1.5\n,b,2.5\ninf,,3.5\n4,d,\n"), "y")
    assert source.faults == (
        Fault(1, "missing", "'x' is empty"),
        Fault(2, "infinite", "'c' is empty, 'x' is infinite"),
        Fault(3, "missing-target", "the target is missing"),
    )
    inputs, targets = source.read(np.arange(4), epoch=0)
    np.testing.assert_array_equal(inputs["numbers"][:, 0], [1, np.nan, np.inf, 4])
    assert inputs["categories"][:, 0].tolist() == ["a", "b", None, "d"]
    np.testing.assert_array_equal(targets[:, 0], [1.5, 2.5, 3.5, np.nan])


def test_holes_leave_columns_what_they_are(tmp_path: Path) -> None:
    rows = "".join(f"{row},{row % 2 == 0},{row}\n" for row in range(1, 31))
    whole, holed = Table(_write(tmp_path, f"x,b,y\n{rows}"), "y"), Table(_write(tmp_path, f"x,b,y\n{rows},,\n"), "y")
    assert holed.schema == whole.schema
    assert holed.schema.numbers == ("x", "b")
    assert holed.schema.target == "class"
    assert holed.targets.tolist() == [*whole.targets.tolist(), None]
    np.testing.assert_array_equal(holed.numbers[:-1], whole.numbers)


def test_columns_that_are_no_inputs_or_listed_ones_are_annotations(tmp_path: Path) -> None:
    source = Table(_write(tmp_path, ROWS), "price", columns=["size"], split_column="part")
    assert {name: values.tolist() for name, values in source.annotations.items()} == {
        "size": [1.5, 2.5, 3.0],
        "colour": ["red", "blue", "red"],
        "rooms": [3, 4, 3],
        "part": ["train", "train", "val"],
    }


def test_a_bad_cell_in_a_column_that_is_not_used_does_not_matter(tmp_path: Path) -> None:
    assert len(Table(_write(tmp_path, "x,c,y\n1,a,1.5\n2,,2.5\n"), "y", columns=["x"])) == 2


def test_missing_columns_are_all_named_with_the_nearest(tmp_path: Path) -> None:
    path = _write(tmp_path, ROWS)
    with pytest.raises(InputError) as caught:
        Table(path, "prise", columns=["size", "room"], split_column="prt", categories=["color"])
    found = {finding.where: finding.fix for finding in caught.value.findings}
    assert set(found) == {"target", "columns[1]", "split_column", "categories"}
    assert "'price'" in found["target"]
    assert "'rooms'" in found["columns[1]"]


def test_other_mistakes(tmp_path: Path) -> None:
    path = _write(tmp_path, ROWS)
    assert _wrong(str(tmp_path / "no.csv"), "y")[0][0] == "missing-path"
    assert _wrong(str(tmp_path), "y")[0][0] == "missing-path"
    assert _wrong(path, "price", columns=["price", "size"])[0][0] == "target-as-input"
    assert _wrong(path, "price", columns=["size"], categories=["rooms"])[0][0] == "no-input"
    assert _wrong(path, "colour", kind="number")[0][0] == "not-a-number"
    assert _wrong(path, ["price", "rooms"], kind="class")[0][0] == "several-classes"
    assert _wrong(_write(tmp_path, "x,y\n1,a\n2,a\n"), "y")[0][0] == "one-class"
    assert _wrong(_write(tmp_path, "y\n1.5\n2.5\n"), "y")[0][0] == "no-inputs"
    assert _wrong(_write(tmp_path, "x ,x,y\n1,,0.5\n"), "y")[0][0] == "same-column"
    assert _wrong(_write(tmp_path, "x,y\n1,a\n2,a\n3,\n"), "y")[0][0] == "one-class"
    assert _wrong(_write(tmp_path, "x,z,y\n1,,a\n2,,b\n"), "y") == [
        ("empty-column", "columns", "column 'z' holds nothing")
    ]
    assert _wrong(_write(tmp_path, "x,y\n1,\n2,\n"), "y")[0][:2] == ("empty-column", "target")
    assert _wrong(_write(tmp_path, "x,y\n"), "y")[0][0] == "no-samples"
    assert _wrong(_write(tmp_path, ""), "y")[0][0] == "unreadable-table"
    assert _wrong(_write(tmp_path, 'x,y\n1,2\n"3,4,5\n6,7\n'), "y")[0][0] == "unreadable-table"


@pytest.mark.parametrize("rows", ["1,2,3\n4,5,6\n", "0,2,3\n1,5,6\n", "1,,3,4\n5,6,,7\n", "a,2,3\nb,5,6\n"])
def test_cells_that_the_first_line_does_not_name_are_no_names_of_rows(tmp_path, rows):
    with pytest.raises(InputError, match="have more cells than its first line names"):
        read_csv(Path(_write(tmp_path, "x,y\n" + rows)), "path")
    with_ends = read_csv(Path(_write(tmp_path, "x,y\n1,2,\n3,4,\n")), "path")  # a separator ends each row
    assert with_ends.to_numpy().tolist() == [[1, 2], [3, 4]]


def test_rows_for_prediction_need_no_target_and_any_order_of_columns() -> None:
    schema = Schema("table", None, numbers=("size", "rooms"), categories=("colour",))
    frame = pd.DataFrame({"colour": ["red"], "more": ["x"], "rooms": [3], "size": [1.5]})
    rows = read_rows({"a.csv": frame, "b.csv": frame}, schema)
    inputs, targets = rows.read(np.array([1]), epoch=0)
    assert targets is None
    assert rows.name(1) == "b.csv row 1"
    np.testing.assert_array_equal(inputs["numbers"].numpy(), [[1.5, 3]])


def test_one_cell_that_names_no_split_is_told_in_the_singular(tmp_path: Path) -> None:
    ((_, _, message),) = _wrong(_write(tmp_path, "x,y,p\n1,0.5,train\n2,1.5,trian\n"), "y", split_column="p")
    assert message.startswith("1 cell of column 'p' names no split")


def _numbers_but_for(strays: dict[int, str], count: int) -> str:
    return "size,y\n" + "".join(f"{strays.get(row, row * 0.5)},{row % 2}\n" for row in range(1, count + 1))


def test_a_few_texts_among_numbers_are_named_by_row_and_make_no_categories(tmp_path: Path) -> None:
    path = _write(tmp_path, _numbers_but_for({3: "1.5x", 7: "?"}, 20))
    with pytest.raises(InputError) as caught:
        Table(path, "y")
    (finding,) = caught.value.findings
    assert (finding.code, finding.where) == ("stray-texts", "path")
    assert finding.message == "column 'size' holds numbers, but '1.5x' in row 3, '?' in row 7"
    assert "list the column in `categories`" in finding.fix
    assert Table(path, "y", categories=["size"]).schema.categories == ("size",)
    assert len(Table(_write(tmp_path, "other,size,y\n1,?,0\n2,1,1\n"), "y", columns=["other"])) == 2


def test_ten_of_many_texts_are_named_with_how_many_more(tmp_path: Path) -> None:
    path = _write(tmp_path, _numbers_but_for(dict.fromkeys(range(1, 13), "bad"), 120))
    ((_, _, message),) = _wrong(path, "y")
    assert message.endswith("'bad' in row 10 and 2 more")


@pytest.mark.parametrize(("texts", "refused"), [(2, True), (3, False)])
def test_texts_are_mistakes_where_nine_tenths_of_the_cells_are_numbers(
    tmp_path: Path, texts: int, refused: bool
) -> None:
    path = _write(tmp_path, _numbers_but_for(dict.fromkeys(range(1, texts + 1), "x"), 20))
    if refused:
        assert _wrong(path, "y")[0][0] == "stray-texts"
    else:
        assert Table(path, "y").schema.categories == ("size",)


def test_empty_cells_and_marks_of_missing_ones_do_not_hide_a_text_among_numbers(tmp_path: Path) -> None:
    path = _write(tmp_path, _numbers_but_for({1: "NA", 2: "", 3: "NA", 4: "oops"}, 20))
    assert [(code, message) for code, _, message in _wrong(path, "y")] == [
        ("stray-texts", "column 'size' holds numbers, but 'NA' in row 1, 'NA' in row 3, 'oops' in row 4"),
    ]


def test_a_target_of_numbers_with_a_text_is_no_class_unless_said_so(tmp_path: Path) -> None:
    rows = "".join(f"{row},{'?' if row == 5 else row + 0.5}\n" for row in range(1, 21))
    path = _write(tmp_path, "x,y\n" + rows)
    assert _wrong(path, "y") == [("stray-texts", "target", "column 'y' holds numbers, but '?' in row 5")]
    assert _wrong(path, "y", kind="number") == [("not-a-number", "target", "column 'y' holds texts: '?' in row 5")]
    assert Table(path, "y", kind="class").schema.target == "class"
    labels = _write(tmp_path, "x,y\n" + "".join(f"{row},{'X' if row == 5 else row % 9}\n" for row in range(1, 21)))
    assert Table(labels, "y").schema.target == "class"


def test_a_text_in_a_row_to_predict_is_named_with_its_cell(tmp_path: Path) -> None:
    schema = Schema("table", None, numbers=("size", "rooms"), categories=())
    frame = pd.DataFrame({"size": ["1.5", "wide", "2"], "rooms": ["3", "4", "5"]})
    with pytest.raises(InputError) as caught:
        read_rows({"a.csv": frame}, schema)
    assert [(finding.where, finding.message) for finding in caught.value.findings] == [
        ("a.csv", "column 'size' holds texts: 'wide' in row 2"),
        ("a.csv", "column 'rooms' holds texts: '3' in row 1"),
    ]
    for filled in (("size",), ("size", "rooms")):
        holes = read_rows({"a.csv": pd.DataFrame({"size": [None, 1.5], "rooms": [1, 2]})}, schema, filled)
        np.testing.assert_array_equal(holes.numbers, [[np.nan, 1], [1.5, 2]])
    empty = pd.DataFrame({"size": [None, None], "rooms": [1, 2]}, dtype=object).astype({"rooms": int})
    with pytest.raises(InputError, match="2 cells are empty"):
        read_rows({"a.csv": empty}, schema, ("rooms",))


def test_rows_without_a_target_stay_without_one_however_sources_are_composed(tmp_path: Path) -> None:
    rows = "".join(f"{row},{'' if row in (2, 7) else 'ab'[row % 2]}\n" for row in range(10))
    spec = {"name": "Table", "path": _write(tmp_path, f"x,y\n{rows}"), "target": "y"}
    composed = {
        "Concatenate": {"sources": [spec, spec]},
        "Subset": {"source": spec, "indices": [7, 0, 2, 1]},
        "CapPerClass": {"source": spec, "count": 2},
        "Relabel": {"source": spec, "mapping": {"a": "c", "b": "d"}},
    }
    for name, options in composed.items():
        source = open_source({"name": name, **options})
        assert source.targets is not None
        lacking = np.flatnonzero(missing.absent(source.targets)).tolist()
        assert len(lacking) == (4 if name == "Concatenate" else 2)
        assert sorted(fault.index for fault in source.faults if fault.code == "missing-target") == lacking
        names = {str(target) for target in source.targets.tolist()}
        assert names == ({"c", "d", "None"} if name == "Relabel" else {"a", "b", "None"})
        assert set(counts(source, None)["all"]) == names - {"None"}


def test_columns_that_are_no_inputs_say_of_which_group_and_time_a_row_is(tmp_path: Path) -> None:
    lines = [f"p{row // 5},2024-01-{row + 1:02},{row},{'ab'[row % 2]}" for row in range(30)]
    lines = ["patient,date,size,label", *lines]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    options = {"path": str(tmp_path / "t.csv"), "target": "label"}
    source = Table(**options, ignore=["patient", "date"])
    assert source.schema.numbers == ("size",)
    assert source.schema.categories == ()
    shares = {"train": 0.5, "val": 0.0, "test": 0.5}
    by_group = split(source, {**shares, "group": "patient"}, 0)
    assert {row // 5 for row in by_group["train"]}.isdisjoint({row // 5 for row in by_group["test"]})
    assert split(source, {**shares, "time": "date"}, 0)["train"].tolist() == list(range(15))
    with pytest.raises(InputError, match=r"'patient' is an input of the model; write ignore: \[patient\]"):
        split(Table(**options), {**shares, "group": "patient"}, 0)
    both = Table(**options, columns=["patient", "size"])  # whoever lists it, means it
    assert both.schema.categories == ("patient",)
    assert split(both, {**shares, "group": "patient"}, 0)["test"].tolist() == by_group["test"].tolist()


def test_ignored_columns_that_are_something_else_are_refused_together(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,x\n3,4,y\n")
    with pytest.raises(InputError) as caught:
        Table(str(tmp_path / "t.csv"), "c", columns=["a"], ignore=["a", "c", "d"])
    assert [(finding.code, finding.where) for finding in caught.value.findings] == [
        ("missing-column", "ignore[2]"),
        ("contradiction", "ignore"),
        ("contradiction", "ignore"),
    ]
