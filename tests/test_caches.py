"""A command keeps the libraries' caches below its own, where nobody said another place, and only while it runs."""

import os

from torchwork.caches import of_libraries

NAMES = ("MPLCONFIGDIR", "MPL_IGNORE_SYSTEM_FONTS", "TORCHINDUCTOR_CACHE_DIR")


def test_caches_of_libraries_lie_below_ours_while_a_command_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path / "not" / "there"))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    with of_libraries():
        assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "not" / "there" / "matplotlib")
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "not" / "there" / "inductor")
    assert not set(NAMES) & set(os.environ)
    assert list(tmp_path.iterdir()) == []


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", "/mine")
    with of_libraries():
        assert os.environ["MPLCONFIGDIR"] == "/mine"
    assert os.environ["MPLCONFIGDIR"] == "/mine"


def test_where_no_cache_can_be_made_the_libraries_find_their_own_place(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path / "file" / "below"))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    with of_libraries():
        assert not set(NAMES) & set(os.environ)
