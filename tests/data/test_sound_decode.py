"""Sound files as samples: what is read, how it is resampled, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import firwin

from torchwork.data.sound.decode import decode, header, resample
from torchwork.data.unreadable import UnreadableError

RATE = 8000
FORMATS = [
    *[("wav", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM")],
    *[("flac", subtype) for subtype in ("PCM_16", "PCM_24")],
    *[("ogg", subtype) for subtype in ("VORBIS", "OPUS")],
]


def voice(length: int = RATE, channels: int = 1) -> np.ndarray:
    """A tone that swells, with noise that differs between channels."""
    random = np.random.default_rng(length + channels)
    time = np.arange(length) / RATE
    tone = 0.4 * np.sin(2 * np.pi * 440 * time) * np.hanning(length)
    return (tone[:, None] + 0.02 * random.normal(size=(length, channels))).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.mark.parametrize(("ending", "subtype"), FORMATS)
def test_each_format_gives_the_samples_that_were_written(tmp_path: Path, ending: str, subtype: str) -> None:
    path = write(tmp_path / f"a.{ending}", voice(), subtype=subtype)
    assert (header(path).sample_rate, header(path).channels) == (RATE, 1)
    read = decode(path, RATE).numpy()
    assert read.dtype == np.float32
    assert len(read) == header(path).length >= RATE
    expected = voice()[:, 0]
    exact = {"PCM_16": 2**-15, "PCM_24": 2**-23, "FLOAT": 0, "PCM_U8": 2**-7}.get(subtype)
    if exact is not None:
        assert np.abs(read - expected).max() <= exact
    else:
        assert np.corrcoef(read[:RATE], expected)[0, 1] > 0.95


@pytest.mark.parametrize(("ending", "subtype"), FORMATS)
def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path, ending: str, subtype: str) -> None:
    content = write(tmp_path / f"a.{ending}", voice(3000), subtype=subtype).read_bytes()
    cut = tmp_path / f"cut.{ending}"
    for length in np.unique(np.linspace(1, len(content) - 1, 40).astype(int)):
        cut.write_bytes(content[:length])
        for read in (header, lambda path: decode(path, RATE)):
            with pytest.raises(UnreadableError):
                read(cut)


def test_channels_are_mixed_to_their_mean(tmp_path: Path) -> None:
    samples = voice(channels=3)
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    assert header(path).channels == 3
    np.testing.assert_allclose(decode(path, RATE).numpy(), samples.mean(1), atol=1e-7)


def test_a_file_is_read_by_its_content_whatever_its_name_says(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", voice())
    shutil.copy(path, tmp_path / "a.wav")
    assert decode(tmp_path / "a.wav", RATE).equal(decode(path, RATE))


def test_a_wav_file_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", voice())
    content = bytearray(path.read_bytes())
    at = content.find(b"data")
    expected = decode(path, RATE)
    content[4:8] = content[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert decode(path, RATE).equal(expected)


def test_chunks_beside_the_samples_of_a_wav_file_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", voice())
    content, expected = path.read_bytes(), decode(path, RATE)
    at = content.find(b"data")
    note = b"note\x03\x00\x00\x00abc\x00"
    path.write_bytes(content[:at] + note + content[at:] + note)
    assert decode(path, RATE).equal(expected)
    path.write_bytes(content[:at] + note + content[at:-2])
    with pytest.raises(UnreadableError, match="cut off"):
        header(path)


def hold(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def not_a_number(folder: Path) -> Path:
    samples = voice()
    samples[100] = np.nan
    return write(folder / "a.wav", samples, subtype="FLOAT")


REFUSED = {
    "missing": lambda folder: folder / "nothing.wav",
    "zero-byte": lambda folder: hold(folder / "a.wav", b""),
    "not-a-sound": lambda folder: hold(folder / "a.wav", b"these are words, no samples\n" * 9),
    "empty": lambda folder: write(folder / "a.wav", np.zeros(0, np.float32)),
    "not-finite": not_a_number,
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_cannot_be_used_is_refused_with_its_kind(tmp_path: Path, code: str) -> None:
    path = REFUSED[code](tmp_path)
    for read in (header, lambda path: decode(path, RATE)):
        with pytest.raises(UnreadableError) as raised:
            read(path)
        assert raised.value.code == code


def test_a_file_that_claims_more_than_memory_should_hold_is_refused_from_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", voice())
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the upper four of the 36 bits that say how many samples there are
    path.write_bytes(content)
    for read in (header, lambda path: decode(path, RATE)):
        with pytest.raises(UnreadableError, match="claims 64,4") as raised:
            read(path)
        assert raised.value.code == "bomb"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="is no file"):
        header(tmp_path)


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 8000), (16000, 8000), (8000, 16000), (22050, 16000)])
def test_a_resampled_sine_is_the_sine_sampled_at_the_other_rate(rate: int, wanted: int) -> None:
    at = {each: np.sin(2 * np.pi * 440 * np.arange(each // 2) / each).astype(np.float32) for each in (rate, wanted)}
    resampled = resample(at[rate], rate, wanted)
    assert resampled.dtype == np.float32
    assert len(resampled) == len(at[wanted])
    inner = slice(200, -200)  # the filter meets the zeros beyond both ends
    np.testing.assert_allclose(resampled[inner], at[wanted][inner], atol=2e-3)


def test_a_tone_above_the_new_range_is_removed_rather_than_folded_back() -> None:
    tone = np.sin(2 * np.pi * 6500 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resample(tone, 16000, 8000)[200:-200]).max() < 0.005
    assert np.abs(tone[::2]).max() > 0.99  # as taking every other sample would give


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 300), st.sampled_from([(3, 2), (2, 3), (441, 80), (1, 2)]))
def test_resampling_is_the_filter_that_is_stated(length: int, rates: tuple[int, int]) -> None:
    samples = np.random.default_rng(length).normal(size=length).astype(np.float32)
    rate, wanted = rates
    widest = max(rate, wanted)
    taps = wanted * firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))
    spread = np.zeros(length * wanted)
    spread[::wanted] = samples
    expected = np.convolve(spread, taps)[10 * widest :][: length * wanted : rate]
    found = resample(samples, rate, wanted)
    assert len(found) == -(-length * wanted // rate) == len(expected)
    np.testing.assert_allclose(found, expected, atol=2e-5)
