"""Sources made of sources hold exactly the samples that they say, wherever those come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchwork import config
from torchwork.data.compose import CapPerClass, Picked, Relabel, Subset
from torchwork.data.concatenate import Concatenate
from torchwork.data.decoding import FileImages
from torchwork.data.fingerprint import fingerprints
from torchwork.data.images import ImageFolder
from torchwork.data.loader import Loader
from torchwork.data.memory import InMemory, Rows, Texts
from torchwork.data.source import open_source
from torchwork.data.split import split
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.types import Fault, InputError, Schema

IRIS = {"name": "Iris"}


def numbered(
    count: int = 12, classes: tuple[str, ...] | None = None, *, offset: int = 0, parts: bool = False, labels=None
) -> InMemory:
    """Images whose pixels are their own number, in three classes, with a fault, an annotation and perhaps splits."""
    images = torch.arange(count, dtype=torch.uint8).add(offset).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    targets = np.arange(count) % 3 if labels is None else np.asarray(labels)
    given = {"train": np.arange(count - 4), "test": np.arange(count - 4, count)} if parts else None
    return InMemory(
        images,
        targets,
        Schema("image", "class", classes),
        given,
        faults=[Fault(2, "unreadable", "torn")],
        annotations={"who": np.arange(count) // 2},
    )


def pixels(source, indices=None) -> list[int]:
    indices = np.arange(len(source)) if indices is None else np.asarray(indices)
    return [int(image[0, 0, 0]) for image in source.read(indices, epoch=1)[0]]


def codes(*arguments, of=open_source) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        of(*arguments)
    return [(finding.code, finding.where) for finding in caught.value.findings]


def test_picked_samples_keep_everything_that_is_theirs():
    whole = numbered(parts=True)
    some = Picked(whole, np.array([11, 2, 0, 8]))
    assert pixels(some) == [11, 2, 0, 8]
    assert pixels(some, [3, 1]) == [8, 2]
    assert some.targets.tolist() == [2, 2, 0, 2]
    assert some.read(np.array([2]), epoch=1)[1].tolist() == [0]
    assert some.faults == (Fault(1, "unreadable", "torn"),)
    assert some.annotations["who"].tolist() == [5, 1, 0, 4]
    assert {part: ids.tolist() for part, ids in some.given.items()} == {"train": [1, 2], "test": [0, 3]}
    assert [some.name(index) for index in range(2)] == ["sample 12", "sample 3"]
    assert fingerprints(some, np.array([1, 0])) == fingerprints(whole, np.array([2, 11]))


@given(st.lists(st.integers(0, 11), min_size=1, unique=True), st.data())
def test_a_subset_of_a_subset_is_the_subset_of_the_numbers(first, data):
    second = data.draw(st.lists(st.integers(0, len(first) - 1), min_size=1, unique=True))
    inner = Subset(numbered(), indices=first)
    assert pixels(Subset(inner, indices=second)) == [first[place] for place in second]


def test_a_subset_keeps_the_classes_of_the_whole():
    for whole in (IRIS, numbered(labels=[10, 9, 20] * 4), numbered(labels=["b", "a", "c"] * 4)):
        source = open_source(whole) if isinstance(whole, dict) else whole
        some = Subset(source, indices=[0, 1, 3, 4] if source is whole else [0, 1, 60, 61])
        every = Target.fit(source.schema, source.targets, {"train": np.arange(len(source))}, str)
        target = Target.fit(some.schema, some.targets, {"train": np.arange(4)}, str)
        assert target.classes == every.classes
        assert target.encode(some.targets).tolist() == every.encode(source.targets[some.indices]).tolist()


def test_a_fraction_is_one_of_each_split_and_grows_with_itself():
    whole = numbered(40, parts=True)
    kept = {part: Subset(whole, fraction=part).indices for part in (0.25, 0.5, 1.0)}
    assert [len(ids) for ids in kept.values()] == [10, 20, 40]
    assert set(kept[0.25]) < set(kept[0.5])
    assert len(Subset(whole, fraction=0.5).given["test"]) == 2
    assert Subset(whole, fraction=0.5, seed=1).indices.tolist() != kept[0.5].tolist()


def test_names_match_a_pattern(make_folder):
    make_folder({"train/cat": 2, "train/dog": 2, "test/cat": 1, "test/dog": 1})
    whole = {"name": "ImageFolder", "root": str(make_folder({"train/cat": 2}))}
    some = Subset(whole, names=["test/*", "*/cat/*"])
    assert {some.name(index) for index in range(len(some))} == {
        *("train/cat/000.png", "train/cat/001.png", "test/cat/000.png", "test/dog/000.png")
    }


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, [("wrong-value", "")]),
        ({"fraction": 0.5, "names": "*"}, [("wrong-value", "")]),
        ({"fraction": 0.0}, [("wrong-value", "fraction")]),
        ({"fraction": 0.001}, [("no-samples", "fraction")]),
        ({"indices": []}, [("no-samples", "indices")]),
        ({"indices": [1, 1, 150, -1]}, [("wrong-value", "indices"), ("wrong-value", "indices")]),
        ({"names": "cat*"}, [("no-samples", "names")]),
    ],
)
def test_a_subset_that_cannot_be_says_why(options, found):
    assert codes({"name": "Subset", "source": IRIS, **options}) == [
        (code, f"data.source.{where}".rstrip(".")) for code, where in found
    ]


def test_a_cap_holds_for_each_class_and_split_and_leaves_rare_ones_whole():
    whole = numbered(100, parts=True, labels=["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    few = CapPerClass(whole, count=5)
    for ids, expected in ((few.given["train"], [5, 5, 5]), (few.given["test"], [4])):
        assert np.unique(few.targets[ids], return_counts=True)[1].tolist() == expected
    assert set(few.indices) < set(CapPerClass(whole, count=7).indices)
    assert CapPerClass(whole, count=5, seed=3).indices.tolist() != few.indices.tolist()
    assert len(CapPerClass(whole, count=1000)) == 100
    assert codes({"name": "CapPerClass", "source": {"name": "Diabetes"}, "count": 1}) == [
        ("no-classes", "data.source.source")
    ]
    assert codes({"name": "CapPerClass", "source": IRIS, "count": 0}) == [("wrong-value", "data.source.count")]


@pytest.mark.parametrize("classes", [None, ("x", "y", "z")])
def test_relabelled_samples_have_the_new_class(classes):
    old = classes or ("0", "1", "2")
    whole = numbered(classes=classes)
    two = Relabel(whole, {old[0]: "even", old[2]: "even", old[1]: "odd"})
    assert two.schema.classes == ("even", "odd")
    assert two.targets.tolist() == [0, 1, 0] * 4
    kept = Relabel(whole, {old[1]: old[2]}, rest="keep")
    assert (kept.schema.classes, kept.targets.tolist()) == ((old[0], old[2]), [0, 1, 1] * 4)
    dropped = Relabel(whole, {old[2]: "a", old[1]: "b"}, rest="drop")
    assert (dropped.schema.classes, pixels(dropped)) == (("b", "a"), [1, 2, 4, 5, 7, 8, 10, 11])
    assert dropped.read(np.array([0, 1]), epoch=1)[1].tolist() == [0, 1]


def test_a_relabelling_that_cannot_be_says_why():
    spec = {"name": "Relabel", "source": IRIS, "mapping": {"setosa": "a", "virginca": "b"}}
    assert codes(spec) == [("unknown-class", "data.source.mapping"), ("unmapped-class", "data.source.mapping")]
    with pytest.raises(InputError, match="did you mean 'virginica'"):
        open_source(spec)
    assert codes({**spec, "mapping": {"setosa": "a"}, "rest": "drop"}) == [("one-class", "data.source.mapping")]
    assert codes({**spec, "source": {"name": "Diabetes"}}) == [("no-classes", "data.source.source")]


def test_concatenated_samples_come_in_any_order_from_their_own_source():
    both = Concatenate([numbered(5), numbered(7, offset=100)])
    assert pixels(both) == [*range(5), *range(100, 107)]
    assert pixels(both, [11, 0, 5, 4, 6]) == [106, 0, 100, 4, 101]
    assert both.read(np.array([11, 0]), epoch=1)[1].tolist() == [0, 0]
    assert [fault.index for fault in both.faults] == [2, 7]
    assert both.annotations["who"].tolist() == [0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 2, 3]
    assert (both.name(4), both.name(5)) == ("0/sample 5", "1/sample 1")
    whole = fingerprints(numbered(7, offset=100), np.array([2, 0]))
    assert fingerprints(both, np.array([7, 1, 5]))[::2] == whole


def test_classes_are_joined_by_name():
    both = Concatenate([numbered(3, ("cat", "dog", "cow")), numbered(3, ("dog", "ant", "cat"))])
    assert both.schema.classes == ("cat", "dog", "cow", "ant")
    assert both.targets.tolist() == ["cat", "dog", "cow", "dog", "ant", "cat"]
    alike = Concatenate([numbered(3, ("cat", "dog", "cow"))] * 2)
    assert alike.targets.tolist() == [0, 1, 2] * 2
    loose = Concatenate([numbered(3), numbered(3, labels=["1", "x", "2"])])
    assert (loose.schema.classes, loose.targets.tolist()) == (None, ["0", "1", "2", "1", "x", "2"])
    mixed = Concatenate([numbered(3), numbered(3, ("1", "x", "2"))])
    assert mixed.schema.classes == ("0", "1", "2", "x")


def test_sources_without_splits_are_for_training_beside_those_with():
    both = Concatenate([numbered(12, parts=True), numbered(5), numbered(6, parts=True)])
    assert {part: ids.tolist() for part, ids in both.given.items()} == {
        "train": [*range(8), *range(12, 17), 17, 18],
        "test": [*range(8, 12), *range(19, 23)],
    }
    assert Concatenate([numbered(5), numbered(5)]).given is None


def test_tables_and_texts_are_put_together_as_well():
    iris = open_source(IRIS)
    both = Concatenate([IRIS, Subset(IRIS, indices=[7, 3])])
    inputs, targets = both.read(np.array([151, 2, 150]), epoch=1)
    expected = iris.read(np.array([3, 2, 7]), epoch=1)
    assert torch.equal(inputs["numbers"], expected[0]["numbers"])
    assert inputs["categories"].shape == (3, 0)
    assert targets.tolist() == expected[1].tolist()
    texts = [Texts(list(letters), np.array(["a", "b"]), Schema("text", "class")) for letters in ("xy", "uv")]
    assert Concatenate(texts).read(np.array([2, 1, 3]), epoch=1)[0] == ["u", "y", "v"]


def test_sources_of_different_kinds_are_refused_with_all_that_differs():
    diabetes = {"name": "Diabetes"}
    found = codes({"name": "Concatenate", "sources": [IRIS, diabetes, {"name": "Digits"}]})
    assert set(found) == {("different-sources", f"data.source.sources[{place}]") for place in (1, 2)}
    colour = InMemory(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), np.arange(2), Schema("image", "class"))
    with pytest.raises(InputError, match="a sample is: 3 × h × w, the first 1 × h × w"):
        Concatenate([numbered(), colour])
    other = Rows(np.zeros((2, 1)), np.empty((2, 0)), np.arange(2), Schema("table", "class", numbers=("x",)))
    with pytest.raises(InputError, match="columns of numbers are: x, the first sepal"):
        Concatenate([IRIS, other])
    assert codes({"name": "Concatenate", "sources": []}) == [("no-samples", "data.source.sources")]


def test_images_of_several_sizes_come_as_a_list():
    large = InMemory(torch.full((2, 1, 3, 3), 9, dtype=torch.uint8), np.arange(2), Schema("image", "class"))
    images, _ = Concatenate([numbered(3), large]).read(np.array([3, 1, 4]), epoch=1)
    assert [tuple(image.shape) for image in images] == [(1, 3, 3), (1, 2, 2), (1, 3, 3)]
    assert int(images[1].sum()) == 4


def test_composed_image_files_can_be_decoded_one_by_one(make_folder):
    one = {"name": "ImageFolder", "root": str(make_folder({"cat": 3, "dog": 3}))}
    two = {"name": "ImageFolder", "root": str(make_folder({"cat": 2, "cow": 2}, under="more", height=9))}
    spec = {"name": "Subset", "source": {"name": "Concatenate", "sources": [one, two]}, "indices": [7, 0, 9]}
    some = open_source(spec)
    assert isinstance(some, FileImages)
    assert [path.relative_to(path.parents[2]).as_posix() for path in some.paths] == [
        *("more/cat/001.png", "images/cat/000.png", "more/cow/001.png")
    ]
    assert some.sizes.tolist() == [[9, 16], [12, 16], [9, 16]]
    images, targets = some.read(np.arange(3), epoch=1)
    for place in range(3):
        assert torch.equal(some.decode(place), images[place])
    assert targets.tolist() == ["cat", "cat", "cow"]
    assert [some.name(place) for place in range(2)] == ["1/cat/001.png", "0/cat/000.png"]


def test_a_loader_gives_the_bytes_of_the_plain_source(make_folder):
    folder = {"name": "ImageFolder", "root": str(make_folder({"cat": 6, "dog": 6}))}
    ways = [folder, {"name": "Subset", "source": folder, "fraction": 1.0}, {"name": "Concatenate", "sources": [folder]}]
    batches = []
    for spec in ways:
        source = open_source(spec)
        pipeline = Pipeline([{"name": "Resize", "size": 8}], source.schema)
        target = Target.fit(source.schema, source.targets, {"train": np.arange(12)}, source.name)
        loader = Loader(source, np.arange(12), pipeline=pipeline, target=target, batch_size=5, shuffle=True)
        batches.append([(batch.inputs, batch.target) for batch in loader.batches(1)])
    for others in batches[1:]:
        for one, other in zip(batches[0], others, strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])


def test_samples_in_memory_and_mixed_ones_are_no_files(make_folder):
    folder = ImageFolder(str(make_folder({"cat": 2, "dog": 2})), mode="L")
    for source in (Subset(IRIS, indices=[0]), Concatenate([folder, numbered(labels=["cat", "dog"] * 6)])):
        assert not hasattr(source, "paths")
        assert not isinstance(source, FileImages)


def test_they_nest_in_a_config_and_every_mistake_has_its_path():
    nested = {
        "name": "Relabel",
        "mapping": {"setosa": "a", "versicolor": "b", "virginica": "b"},
        "source": {"name": "Concatenate", "sources": ["Iris", {"name": "Subset", "source": "Iris", "fraction": 0.5}]},
    }
    rest = {"model": {"name": "MLP", "hidden": [4]}, "optimizer": "Adam"}
    settings = config.load({"data": {"source": nested}, **rest})
    source = open_source(settings.data.source)
    assert (len(source), source.schema.classes) == (225, ("a", "b"))
    assert {part: len(ids) for part, ids in split(source, {"train": 0.8, "val": 0.2}, seed=0).items()}["train"] == 180
    nested["source"]["sources"][1]["source"] = "Irsi"
    nested["source"]["sources"][0] = {"nam": "Iris"}
    with pytest.raises(InputError) as caught:
        config.load({"data": {"source": nested}, **rest})
    assert [finding.where for finding in caught.value.findings] == [
        *("data.source.source.sources[0]", "data.source.source.sources[1].source")
    ]


def test_what_is_wrong_with_the_data_is_told_with_its_path_and_all_at_once(tmp_path):
    lost = {"name": "ImageFolder", "root": str(tmp_path / "lost")}
    wrong = {"name": "Subset", "source": {"name": "Iris", "x": 1}, "fraction": 0.1}
    assert codes({"name": "Concatenate", "sources": [lost, wrong]}) == [
        ("missing-path", "data.source.sources[0].root"),
        ("unknown-option", "data.source.sources[1].source.x"),
    ]


class Own(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.zeros(2), index % 2


def test_a_data_set_of_ones_own_is_pointed_to_torchs_own_composition():
    with pytest.raises(InputError, match=r"torch\.utils\.data\.Subset or ConcatDataset"):
        Subset(Own(), indices=[0])
    assert codes([Own(), Path.cwd()], of=Concatenate)[0] == ("own-data-set", "sources[0]")
