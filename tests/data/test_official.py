"""MNIST, FashionMNIST, CIFAR10 and CIFAR100 come out of their official files as they were put in."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

import torchwork
from data.local_server import cut, error, good, serving
from data.official_files import (
    CIFAR10_FILES,
    MNIST_FILES,
    as_archive,
    as_idx,
    cifar_records,
    mnist_arrays,
    mnist_contents,
    place,
)
from torchwork import config
from torchwork.data import cifar, mnist, split
from torchwork.data.official import Published
from torchwork.data.source import open_source
from torchwork.types import InputError

TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def findings(spec: dict) -> list:
    with pytest.raises(InputError) as caught:
        open_source(spec)
    return caught.value.findings


def checksums(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
@pytest.mark.parametrize("layout", ["gzipped", "unpacked", "dotted", "torchvision"])
def test_mnist_files_in_every_layout(tmp_path, name, layout):
    contents = mnist_contents()
    if layout in ("unpacked", "dotted"):
        mark = ".idx" if layout == "dotted" else "-idx"
        contents = {n[:-3].replace("-idx", mark): gzip.decompress(content) for n, content in contents.items()}
    place(tmp_path / name / "raw" if layout == "torchvision" else tmp_path, contents)
    source = open_source({"name": name, "root": str(tmp_path)})
    images, labels = source.read(np.arange(50), epoch=1)
    arrays = mnist_arrays()
    expected = np.concatenate([arrays["train-images-idx3-ubyte"], arrays["t10k-images-idx3-ubyte"]])
    assert images.dtype == torch.uint8
    np.testing.assert_array_equal(images[:, 0].numpy(), expected)
    np.testing.assert_array_equal(labels, np.concatenate([np.arange(30) % 10, np.arange(20) % 10]))
    assert {part: (ids[0], len(ids)) for part, ids in source.given.items()} == {"train": (0, 30), "test": (30, 20)}
    assert (source.name(29), source.name(30)) == ("train 29", "test 0")


def test_the_classes_are_the_official_ones_in_their_order(tmp_path):
    place(tmp_path, mnist_contents())
    assert open_source({"name": "MNIST", "root": str(tmp_path)}).schema.classes == tuple("0123456789")
    fashion = open_source({"name": "FashionMNIST", "root": str(tmp_path)}).schema.classes
    assert fashion[0] == "T-shirt/top"
    assert fashion[5:] == ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    assert len(fashion) == 10
    assert (len(set(cifar.FINE)), list(cifar.FINE)) == (100, sorted(cifar.FINE))
    assert (len(set(cifar.COARSE)), list(cifar.COARSE)) == (20, sorted(cifar.COARSE))
    assert cifar._CIFAR10.classes == TEN


def test_validation_is_cut_from_train_alone(tmp_path):
    place(tmp_path, mnist_contents())
    source = open_source({"name": "MNIST", "root": str(tmp_path)})
    parts = split.split(source, {"train": 0.6, "val": 0.4, "by": None}, seed=0)
    assert set(parts["test"]) == set(range(30, 50))
    assert set(parts["train"]) | set(parts["val"]) == set(range(30))


def test_files_placed_by_hand_with_another_checksum_are_told_and_taken(tmp_path, monkeypatch):
    contents = mnist_contents()
    place(tmp_path, contents)
    told = open_source({"name": "MNIST", "root": str(tmp_path)}).findings
    assert [(finding.code, finding.severity) for finding in told] == [("other-checksum", "info")]
    assert "train-images-idx3-ubyte.gz" in told[0].message
    monkeypatch.setattr(mnist, "_MNIST", Published(checksums(contents), tuple("0123456789")))
    assert open_source({"name": "MNIST", "root": str(tmp_path)}).findings == ()


@pytest.mark.parametrize("present", [[], ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]])
def test_missing_mnist_files_are_named_with_the_place_for_them(tmp_path, present):
    place(tmp_path, {name: content for name, content in mnist_contents().items() if name in present})
    (finding,) = findings({"name": "MNIST", "root": str(tmp_path)})
    assert finding.where == "data.source.root"
    assert [name for name in MNIST_FILES if name in finding.fix] == [n for n in MNIST_FILES if f"{n}.gz" not in present]
    assert str(tmp_path) in finding.fix
    assert "download: true" in finding.fix


def _replaced(name: str, content: bytes) -> dict[str, bytes]:
    return mnist_contents() | {f"{name}.gz": content}


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("contents", "code"),
    [
        (_replaced(IMAGES, gzip.compress(as_idx(np.zeros((30, 27, 28))), mtime=0)), "wrong-shape"),
        (_replaced(LABELS, gzip.compress(as_idx(np.zeros(29)), mtime=0)), "unequal-counts"),
        (_replaced(LABELS, gzip.compress(as_idx(np.arange(30)), mtime=0)), "label-range"),
        (_replaced(IMAGES, gzip.compress(as_idx(np.zeros((30, 28, 28)))[:-1], mtime=0)), "bad-idx"),
        (_replaced(IMAGES, mnist_contents()[f"{IMAGES}.gz"][:-100]), "bad-idx"),
        (_replaced(IMAGES, mnist_contents()[f"{IMAGES}.gz"][:20] + bytes(200)), "bad-idx"),
        (_replaced(IMAGES, b"<html>not found</html>"), "bad-idx"),
    ],
    ids=["size", "count", "label", "short", "cut", "damaged", "page"],
)
def test_wrong_mnist_files_are_told_in_words(tmp_path, contents, code):
    place(tmp_path, contents)
    (finding,) = findings({"name": "MNIST", "root": str(tmp_path)})
    assert (finding.code, finding.where) == (code, "data.source.root")


@pytest.fixture
def local(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("torchwork.data.download.time.sleep", lambda seconds: None)


def test_mnist_is_fetched_once_and_checked(tmp_path, monkeypatch, local, capsys):
    contents = mnist_contents()
    monkeypatch.setattr(mnist, "_MNIST", Published(checksums(contents), tuple("0123456789")))

    def answer(request):
        content = contents[Path(request.path).name]
        request.give(content, cut=len(content) // 2 if not request.headers.get("Range") else None)

    with serving(answer) as (url, asked):
        spec = {"name": "MNIST", "root": str(tmp_path / "new"), "download": True, "url": f"{url}mnist"}
        assert len(open_source(spec)) == 50
        assert {path for path, _, _ in asked} == {f"/mnist/{name}" for name in contents}
        number = len(asked)
        assert open_source(spec).findings == ()
        assert len(asked) == number
    assert "train-images-idx3-ubyte.gz: fetching" in capsys.readouterr().err


def test_a_download_with_another_checksum_is_refused(tmp_path, local):
    contents = mnist_contents()
    with serving(lambda request: request.give(contents[Path(request.path).name])) as (url, _):
        (finding,) = findings({"name": "MNIST", "root": str(tmp_path), "download": True, "url": url})
    assert (finding.code, finding.where) == ("download-failed", "data.source.download")
    assert "gives another file than the one that was published" in finding.message
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_says_what_to_place_where(tmp_path, local):
    with serving(error(500)) as (url, _):
        pass
    (finding,) = findings({"name": "CIFAR10", "root": str(tmp_path), "download": True, "url": f"{url}a.tar.gz"})
    assert "Connection refused" in finding.message
    assert finding.fix == f"place cifar-10-binary.tar.gz in {tmp_path} by hand, or name another address in url"


@pytest.mark.parametrize("layout", ["archive", "folder", "unpacked"])
def test_cifar10_records_are_red_green_and_blue_planes(tmp_path, layout):
    records = cifar_records(CIFAR10_FILES, (10,))
    folder = "cifar-10-batches-bin"
    if layout == "archive":
        place(tmp_path, {"cifar-10-binary.tar.gz": as_archive(records, folder)})
    else:
        contents = {name: record.tobytes() for name, record in records.items()}
        place(tmp_path / folder if layout == "folder" else tmp_path, contents)
    source = open_source({"name": "CIFAR10", "root": str(tmp_path)})
    images, labels = source.read(np.array([5, 22]), epoch=1)
    for image, label, (name, row) in zip(images, labels, [("data_batch_2.bin", 1), ("test_batch.bin", 2)], strict=True):
        record = records[name][row]
        assert label == record[0]
        assert image[0, 0, 1] == record[2]  # red, the second of the first row
        assert image[1, 3, 4] == record[1 + 1024 + 3 * 32 + 4]
        assert image[2, 31, 31] == record[3072]
    assert images.shape == (2, 3, 32, 32)
    assert source.schema.classes == TEN
    assert {part: len(ids) for part, ids in source.given.items()} == {"train": 20, "test": 4}
    assert len(source.findings) == (layout == "archive")


def test_cifar100_has_fine_labels_and_coarse_ones_on_demand(tmp_path):
    records = cifar_records(["train.bin", "test.bin"], (20, 100), count=30)
    place(tmp_path, {"cifar-100-binary.tar.gz": as_archive(records, "cifar-100-binary")})
    fine = open_source({"name": "CIFAR100", "root": str(tmp_path)})
    coarse = open_source({"name": "CIFAR100", "root": str(tmp_path), "coarse": True})
    every = np.concatenate(list(records.values()))
    np.testing.assert_array_equal(fine.targets, every[:, 1])
    np.testing.assert_array_equal(coarse.targets, every[:, 0])
    np.testing.assert_array_equal(fine.inputs.numpy().reshape(60, -1), every[:, 2:])
    assert (fine.schema.classes, coarse.schema.classes) == (cifar.FINE, cifar.COARSE)
    assert fine.annotations["coarse"][3] == cifar.COARSE[every[3, 0]]
    assert len(fine.given["train"]) == 30


def _cifar(tmp_path: Path, change) -> list:
    records = cifar_records(CIFAR10_FILES, (10,))
    contents = {name: record.tobytes() for name, record in records.items()}
    change(contents)
    place(tmp_path, contents)
    return findings({"name": "CIFAR10", "root": str(tmp_path)})


def test_wrong_cifar_files_are_told_in_words_all_at_once(tmp_path):
    def shorten(contents):
        contents["data_batch_1.bin"] += b"\0"
        contents["test_batch.bin"] = b""

    found = _cifar(tmp_path, shorten)
    assert [finding.code for finding in found] == ["record-length"] * 2
    assert "data_batch_1.bin" in found[0].message
    (finding,) = _cifar(tmp_path, lambda contents: contents.update({"data_batch_3.bin": b"\x0b" + bytes(3072)}))
    assert finding.code == "label-range"
    assert "11 of record 0" in finding.message


def test_missing_cifar_files_are_named(tmp_path):
    (finding,) = _cifar(tmp_path / "a", lambda contents: contents.pop("data_batch_4.bin"))
    assert "lacks data_batch_4.bin" in finding.message
    (finding,) = findings({"name": "CIFAR100", "root": str(tmp_path / "none")})
    assert "is not there" in finding.message
    assert "place cifar-100-binary.tar.gz" in finding.fix


def test_pickled_cifar_is_not_read(tmp_path):
    place(tmp_path, {"cifar-10-python.tar.gz": b"anything"})
    (finding,) = findings({"name": "CIFAR10", "root": str(tmp_path)})
    assert finding.code == "pickle"
    assert "cifar-10-binary.tar.gz" in finding.fix


@pytest.mark.parametrize("damage", [lambda c: c[:-500], lambda c: b"no archive", lambda c: c[:40] + bytes(500)])
def test_a_damaged_archive_is_told(tmp_path, damage):
    content = as_archive(cifar_records(CIFAR10_FILES, (10,)), "cifar-10-batches-bin")
    place(tmp_path, {"cifar-10-binary.tar.gz": damage(content)})
    (finding,) = findings({"name": "CIFAR10", "root": str(tmp_path)})
    assert finding.code == "bad-archive"


def test_cifar_is_fetched_as_one_archive_that_breaks_off(tmp_path, monkeypatch, local, capsys):
    content = as_archive(cifar_records(CIFAR10_FILES, (10,)), "cifar-10-batches-bin")
    name = "cifar-10-binary.tar.gz"
    monkeypatch.setattr(cifar, "_CIFAR10", Published(checksums({name: content}), TEN))
    with serving(cut(content, 5000), good(content)) as (url, asked):
        source = open_source({"name": "CIFAR10", "root": str(tmp_path), "download": True, "url": url + name})
    assert len(source) == 24
    assert [ranges for _, ranges, _ in asked] == [None, "bytes=5000-"]


def test_a_run_on_planted_cifar_records_has_the_official_classes_and_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = cifar_records(CIFAR10_FILES, (10,), count=40)
    for record in records.values():  # what class it is can be seen from the red of the first row
        record[:, 1:33] = record[:, :1] * 25
    place(tmp_path, {"cifar-10-binary.tar.gz": as_archive(records, "cifar-10-batches-bin")})
    job = {
        "data": {"source": {"name": "CIFAR10", "root": "."}, "split": {"val": 0.2}, "batch_size": 20},
        "model": {"name": "MLP", "hidden": [16]},
        "optimizer": {"name": "Adam", "lr": 0.01},
        "train": {"epochs": 2, "threads": 1},
    }
    assert "other-checksum" in {finding.code for finding in torchwork.check(config.load(job)).findings}
    run = torchwork.train(job)
    assert tuple(run.data["classes"]) == TEN
    assert run.data["num_samples"] == {"train": 160, "val": 40, "test": 40}
    assert run.data["input_shape"] == [3, 32, 32]


def test_equal_content_on_both_official_sides_is_told_and_does_not_stop_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = cifar_records(CIFAR10_FILES, (10,), count=40)
    names = list(records)
    records[names[-1]][3] = records[names[0]][5]
    place(tmp_path, {"cifar-10-binary.tar.gz": as_archive(records, "cifar-10-batches-bin")})
    job = {
        "data": {"source": {"name": "CIFAR10", "root": "."}, "split": {"val": 0.2}, "batch_size": 20},
        "model": {"name": "MLP", "hidden": [4]},
        "optimizer": "SGD",
        "train": {"epochs": 1},
    }
    told = [finding for finding in torchwork.check(config.load(job)).findings if finding.code == "leak"]
    assert [finding.severity for finding in told] == ["warning"]
