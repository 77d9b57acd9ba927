"""Downloads end with the right file under its name, or with none and a reason; the server is on this machine."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest

from data.local_server import cut, drip, error, good, redirect, serving, stall
from torchwork.data.download import DownloadError, download, fetch
from torchwork.types import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(280_000)
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
QUICK = {"timeout": 5.0, "pause": 0.01}


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def to(tmp_path) -> Path:
    return tmp_path / "new" / "file.gz"


def fetched(to: Path, *script, **options) -> list:
    lines: list[str] = []
    with serving(*script) as (url, asked):
        download(f"{url}file.gz", to, options.pop("checksum", CHECKSUM), progress=lines.append, **QUICK | options)
    assert to.read_bytes() == CONTENT
    assert [path.name for path in to.parent.iterdir()] == [to.name]
    assert lines[-1] == "file.gz: 0.3 MB, whole"
    return asked


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_arrives_whole_in_a_folder_that_was_not_there(to, chunked):
    assert fetched(to, good(CONTENT, chunked=chunked)) == [("/file.gz", None, None)]


def test_md5_does_as_well(to):
    fetched(to, good(CONTENT), checksum=f"md5:{hashlib.md5(CONTENT).hexdigest().upper()}")


def test_a_file_that_is_there_is_neither_fetched_nor_changed(to):
    to.parent.mkdir()
    to.write_bytes(b"placed by hand")
    with serving(error(500)) as (url, asked):
        assert download(url, to, CHECKSUM) == to
    assert asked == []
    assert to.read_bytes() == b"placed by hand"


def test_a_broken_connection_goes_on_where_it_broke(to):
    asked = fetched(to, cut(CONTENT, 70_000, etag='"a"'), cut(CONTENT, 80_000, etag='"a"'), good(CONTENT, etag='"a"'))
    assert [ranges for _, ranges, _ in asked] == [None, "bytes=70000-", "bytes=150000-"]
    assert [condition for _, _, condition in asked] == [None, '"a"', '"a"']


def test_breaks_that_bring_the_file_further_are_no_reason_to_give_up(to):
    asked = fetched(to, *[cut(CONTENT, 20_000)] * 12, good(CONTENT), attempts=2)
    assert len(asked) == 13


def test_a_server_that_breaks_off_at_the_same_place_each_time_is_given_up(to):
    with (
        serving(cut(CONTENT, 5000, ranges=False)) as (url, asked),
        pytest.raises(DownloadError, match=r"the connection ended after 5000 bytes of 0.3 MB \(3 attempts\)"),
    ):
        download(url, to, CHECKSUM, progress=lambda line: None, attempts=3, **QUICK)
    assert len(asked) == 3
    assert not to.exists()


def test_what_another_process_left_is_completed(to):
    to.parent.mkdir()
    (to.parent / ".file.gz.partial").write_bytes(CONTENT[:1000])
    assert fetched(to, good(CONTENT)) == [("/file.gz", "bytes=1000-", None)]


def test_a_partial_file_that_is_whole_needs_nothing_more(to):
    to.parent.mkdir()
    (to.parent / ".file.gz.partial").write_bytes(CONTENT)
    with serving(good(CONTENT)) as (url, asked):
        download(url, to, CHECKSUM, progress=lambda line: None)
    assert to.read_bytes() == CONTENT
    assert [ranges for _, ranges, _ in asked] == ["bytes=300000-"]


@pytest.mark.parametrize("stale", [OTHER[:1000], OTHER + CONTENT])
def test_a_partial_file_of_another_version_is_thrown_away(to, stale):
    to.parent.mkdir()
    (to.parent / ".file.gz.partial").write_bytes(stale)
    asked = fetched(to, good(CONTENT))
    assert [ranges for _, ranges, _ in asked] == [f"bytes={len(stale)}-", None]


def test_a_version_that_changes_between_two_attempts_starts_anew(to):
    asked = fetched(to, cut(OTHER, 9000, etag='"old"'), good(CONTENT, etag='"new"'))
    assert asked[1] == ("/file.gz", "bytes=9000-", '"old"')
    assert len(asked) == 2


def test_a_server_without_ranges_starts_anew(to):
    asked = fetched(to, cut(CONTENT, 9000, ranges=False), good(CONTENT, ranges=False))
    assert len(asked) == 2


def test_a_part_from_another_place_is_not_appended(to):
    asked = fetched(to, cut(CONTENT, 9000), good(CONTENT, wrong_part=True), good(CONTENT))
    assert [ranges for _, ranges, _ in asked] == [None, "bytes=9000-", "bytes=9000-"]


def test_another_file_than_the_published_is_refused_and_leaves_nothing(to):
    with (
        serving(good(OTHER)) as (url, asked),
        pytest.raises(DownloadError, match=r"gives another file .*its sha256 is \w+, not \w+"),
    ):
        download(url, to, CHECKSUM, progress=lambda line: None, **QUICK)
    assert len(asked) == 1
    assert list(to.parent.iterdir()) == []


def test_another_file_in_pieces_is_refused_after_one_new_start(to):
    with (
        serving(cut(OTHER, 9000), good(OTHER), cut(OTHER, 9000), good(OTHER)) as (url, asked),
        pytest.raises(DownloadError, match="gives another file"),
    ):
        download(url, to, CHECKSUM, progress=lambda line: None, **QUICK)
    assert len(asked) == 4


@pytest.mark.parametrize("code", [403, 404, 410])
def test_the_servers_last_word_is_not_asked_for_twice(to, code):
    with serving(error(code)) as (url, asked), pytest.raises(DownloadError, match=f"the server says {code}"):
        download(url, to, CHECKSUM, **QUICK)
    assert len(asked) == 1


def test_a_server_in_trouble_is_asked_again(to):
    assert len(fetched(to, error(500), error(503), error(429), good(CONTENT))) == 4
    to.unlink()
    with serving(error(500)) as (url, asked), pytest.raises(DownloadError, match=r"500 .*\(4 attempts\)"):
        download(url, to, CHECKSUM, progress=lambda line: None, **QUICK)
    assert len(asked) == 4


def test_pauses_grow(to, monkeypatch):
    pauses = []
    monkeypatch.setattr("torchwork.data.download.time.sleep", pauses.append)
    with serving(error(502)) as (url, _), pytest.raises(DownloadError):
        download(url, to, CHECKSUM, progress=lambda line: None)
    assert pauses == [1, 2, 4]


def test_a_redirect_is_followed_and_one_to_a_file_of_this_machine_is_not(to, tmp_path):
    with serving(good(CONTENT)) as (elsewhere, _):
        asked = fetched(to, redirect(f"{elsewhere}deeper/file.gz"))
    assert len(asked) == 1
    to.unlink()
    (tmp_path / "secret").write_bytes(CONTENT)
    with serving(redirect((tmp_path / "secret").as_uri())) as (url, _), pytest.raises(DownloadError):
        download(url, to, CHECKSUM, **QUICK)
    with pytest.raises(DownloadError, match="begins with http"):
        download((tmp_path / "secret").as_uri(), to, CHECKSUM)


def test_a_server_that_falls_silent_is_given_up_and_resumed(to):
    done = threading.Event()
    try:
        asked = fetched(to, stall(CONTENT, 9000, done), good(CONTENT), timeout=1.0)
    finally:
        done.set()
    assert [ranges for _, ranges, _ in asked] == [None, "bytes=9000-"]


def test_a_server_that_drips_is_given_up(to):
    done = threading.Event()
    try:
        with (
            serving(drip(CONTENT, 0.02, done)) as (url, _),
            pytest.raises(DownloadError, match=r"gave (\d+ bytes in|nothing for) 0.15 s \(2 attempts\)"),
        ):
            download(url, to, CHECKSUM, progress=lambda line: None, timeout=0.15, attempts=2, pause=0.01)
    finally:
        done.set()


def test_no_network_is_told_after_several_attempts(to):
    with serving(error(500)) as (url, _):
        pass  # nobody listens there now
    lines: list[str] = []
    with pytest.raises(DownloadError, match="cannot be fetched: Connection refused"):
        download(f"{url}file.gz", to, CHECKSUM, progress=lines.append, **QUICK)
    assert lines[0] == "file.gz: Connection refused; trying again in 0.01 s"


def _take(url: str, to: str) -> None:
    download(url, Path(to), CHECKSUM, progress=lambda line: None)


def test_a_second_process_waits_for_the_first(to):
    begun, go_on = threading.Event(), threading.Event()

    def slow(request):
        begun.set()
        go_on.wait(20)
        request.give(CONTENT)

    with serving(slow) as (url, asked):
        context = multiprocessing.get_context("spawn")
        first = context.Process(target=_take, args=(f"{url}file.gz", str(to)))
        first.start()
        assert begun.wait(60)
        lines: list[str] = []
        second = threading.Thread(
            target=download, args=(f"{url}file.gz", to, CHECKSUM), kwargs={"progress": lines.append}
        )
        second.start()
        while not lines and second.is_alive():
            second.join(0.01)
        go_on.set()
        second.join()
        first.join()
    assert lines == ["file.gz: another process is fetching it; waiting"]
    assert first.exitcode == 0
    assert len(asked) == 1
    assert to.read_bytes() == CONTENT
    assert [path.name for path in to.parent.iterdir()] == [to.name]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DownloadError, match=r"file/data\.gz cannot be written"):
        download("http://127.0.0.1:9/data.gz", tmp_path / "file" / "data.gz", CHECKSUM)


def test_several_files_are_fetched_and_the_rest_named_where_one_is_not_to_be_had(tmp_path):
    with serving(good(CONTENT), error(404)) as (url, _), pytest.raises(InputError) as caught:
        fetch(tmp_path, {name: (url + name, CHECKSUM) for name in "abc"}, progress=lambda line: None)
    (finding,) = caught.value.findings
    assert finding.where == "download"
    assert finding.fix == f"place b, c in {tmp_path} by hand, or name another address in url"
    with serving(good(CONTENT)) as (url, asked):
        fetch(tmp_path, {name: (url + name, CHECKSUM) for name in "abc"}, progress=lambda line: None)
    assert [path for path, _, _ in asked] == ["/b", "/c"]


@pytest.mark.parametrize("left", [CONTENT[:1000], b""], ids=["a part", "nothing"])
def test_who_waited_goes_on_with_what_a_process_that_gave_up_has_left(to, left):
    fcntl = pytest.importorskip("fcntl")
    to.parent.mkdir()
    partial = to.parent / ".file.gz.partial"
    lines: list[str] = []
    with serving(good(CONTENT)) as (url, asked):
        with partial.open("wb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            waiting = threading.Thread(
                target=download, args=(f"{url}file.gz", to, CHECKSUM), kwargs={"progress": lines.append}
            )
            waiting.start()
            while not lines and waiting.is_alive():
                waiting.join(0.01)
            other.write(left)
            other.flush()
            if not left:
                partial.unlink()
        waiting.join()
    assert lines[0] == "file.gz: another process is fetching it; waiting"
    assert [ranges for _, ranges, _ in asked] == ["bytes=1000-" if left else None]
    assert to.read_bytes() == CONTENT
    assert [path.name for path in to.parent.iterdir()] == [to.name]
