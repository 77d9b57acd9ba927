"""Trimming and log-mel spectrograms against numpy and scipy, and sounds on their way to the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from torchwork.data.audio import AudioFolder
from torchwork.data.pipelines.sounds import Sounds
from torchwork.data.sound.spectrogram import LogMelSpectrogram, frequency_of, mel_filters, mel_of
from torchwork.data.sound.trim import TrimSilence
from torchwork.data.transform import Pipeline
from torchwork.types import InputError, Schema

RATE = 8000


def recording(length: int, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng(seed)
    time = np.arange(length) / RATE
    swept = np.sin(2 * np.pi * (300 + 800 * time) * time) * (0.2 + np.abs(np.sin(9 * time)))
    return torch.from_numpy((0.5 * swept + 0.01 * random.normal(size=length)).astype(np.float32))


def in_numpy(samples: np.ndarray, n_mels: int, n_fft: int, hop: int, low: float, high: float, top_db: float):
    """The docstring's formulas, a frame and a band at a time."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.concatenate([np.zeros(n_fft // 2), samples.astype(np.float64), np.zeros(n_fft // 2)])
    count = 1 + len(samples) // hop
    power = np.array([np.abs(np.fft.rfft(window * padded[t * hop : t * hop + n_fft])) ** 2 for t in range(count)]).T
    to_mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    edges = [700 * (10 ** ((to_mel(low) + step * (to_mel(high) - to_mel(low)) / (n_mels + 1)) / 2595) - 1)
             for step in range(n_mels + 2)]  # fmt: skip
    bands = np.zeros((n_mels, count))
    for m in range(n_mels):
        for k in range(n_fft // 2 + 1):
            f = k * RATE / n_fft
            left, middle, right = edges[m : m + 3]
            weight = (f - left) / (middle - left) if f <= middle else (right - f) / (right - middle)
            bands[m] += max(0.0, weight) * power[k]
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    return np.maximum(decibels, decibels.max() - top_db)


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 80), (200, 100), (512, 128)])
def test_a_spectrogram_is_the_formula_in_numpy(n_fft: int, hop: int) -> None:
    samples = recording(3000)
    options = {"n_mels": 20, "n_fft": n_fft, "hop_length": hop, "f_min": 100.0, "f_max": 3500.0, "top_db": 60.0}
    expected = in_numpy(samples.numpy(), 20, n_fft, hop, 100.0, 3500.0, 60.0)
    plain = LogMelSpectrogram(**options, remove_band_means=False)(samples, RATE)
    assert plain.dtype == torch.float32
    np.testing.assert_allclose(plain[0].numpy(), expected, atol=1e-4)
    centred = LogMelSpectrogram(**options)(samples, RATE)
    np.testing.assert_allclose(centred[0].numpy(), expected - expected.mean(1, keepdims=True), atol=1e-4)


def test_the_power_is_that_of_scipys_short_time_transform() -> None:
    samples = recording(4000)
    _, _, spectrum = signal.stft(
        samples.double().numpy(),
        nperseg=256,
        noverlap=176,
        window="hann",
        boundary="zeros",
        padded=False,
        detrend=False,
    )
    power = np.abs(spectrum * signal.get_window("hann", 256).sum()) ** 2
    bands = mel_filters(30, 256, RATE, 0.0, 4000.0).numpy() @ power
    step = LogMelSpectrogram(n_mels=30, top_db=200.0, remove_band_means=False)
    found = step(samples, RATE)[0].numpy()
    np.testing.assert_allclose(found[:, : bands.shape[1]], 10 * np.log10(np.maximum(bands, 1e-10)), atol=1e-4)


def test_mels_are_those_of_both_sources() -> None:
    slaney = [(60, 0.9), (110, 1.65), (220, 3.3), (440, 6.6), (1000, 15), (6400, 42)]
    for frequency, mel in slaney:
        assert mel_of(np.array(frequency), "slaney") == pytest.approx(mel)
    for frequency, mel in [(0, 0), (700, 2595 * np.log10(2)), (1000, 999.9855)]:
        assert mel_of(np.array(frequency)) == pytest.approx(mel, abs=1e-4)


@given(st.floats(0, 20000), st.sampled_from(["htk", "slaney"]))
def test_mels_go_back_to_their_frequency(frequency: float, scale: str) -> None:
    assert frequency_of(mel_of(np.array(frequency), scale), scale) == pytest.approx(frequency, abs=1e-6)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_neighbouring_filters_add_up_to_one_between_their_tops(scale: str) -> None:
    filters = mel_filters(20, 1024, RATE, 200.0, 3600.0, scale)
    inside = filters.sum(0)[(filters.argmax(1)[0] + 1) : filters.argmax(1)[-1]]
    np.testing.assert_allclose(inside.numpy(), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_mels": 128}, "hold no frequency"),
        ({"f_max": 5000.0}, "up to 4000 Hz"),
        ({"f_min": 4500.0}, "up to 4000 Hz"),
    ],
)
def test_bands_that_do_not_fit_the_rate_are_refused_before_training(
    options: dict[str, float], said: str, spoken: AudioFolder
) -> None:
    pipeline = Pipeline([{"name": "LogMelSpectrogram", **options}], spoken.schema)
    with pytest.raises(InputError, match=said):
        pipeline.fit(spoken, np.arange(len(spoken)))


def trimmed_in_numpy(samples: np.ndarray, top_db: float) -> np.ndarray:
    blocks = [samples[start : start + 80].astype(np.float64) for start in range(0, len(samples), 80)]
    power = np.array([(block**2).sum() / 80 for block in blocks])
    if power.max() == 0:
        return samples
    with np.errstate(divide="ignore"):
        loud = np.flatnonzero(10 * np.log10(power / power.max()) > -top_db)
    return samples[loud[0] * 80 : (loud[-1] + 1) * 80]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.sampled_from([0.0, 1e-4, 0.01, 0.5])), min_size=1, max_size=6))
def test_trimming_keeps_what_lies_between_the_first_and_the_last_loud_block(parts: list[tuple[int, float]]) -> None:
    samples = np.concatenate([np.full(length, level, np.float32) for length, level in parts])
    found = TrimSilence(50)(torch.from_numpy(samples), RATE).numpy()
    np.testing.assert_array_equal(found, trimmed_in_numpy(samples, 50))


@pytest.fixture
def spoken(tmp_path: Path) -> AudioFolder:
    for number, length in enumerate([1000, 4000, 2600, 3000, 700, 5000, 2222, 1601, 800, 3210]):
        samples = np.concatenate([np.zeros(400), recording(length, number).numpy(), np.zeros(240)])
        soundfile.write(tmp_path / f"{number % 2}_{number}.wav", samples, RATE)
    return AudioFolder(str(tmp_path), pattern=r"(?P<label>\d)_\d+\.wav")


STEPS = [{"name": "TrimSilence"}, {"name": "LogMelSpectrogram", "n_mels": 24, "frames": 30}, {"name": "Normalize"}]


def test_a_recording_gives_the_same_bytes_in_any_company_and_on_any_number_of_threads(spoken: AudioFolder) -> None:
    pipeline = Pipeline(STEPS, spoken.schema)
    pipeline.fit(spoken, np.arange(len(spoken)))
    whole = pipeline.prepare(spoken.read(np.arange(10), epoch=1)[0])
    assert whole.shape == (10, 1, 24, 30)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            for ids in (np.array([3]), np.array([9, 3, 0]), np.arange(9, -1, -1)):
                assert pipeline.prepare(spoken.read(ids, epoch=2)[0]).equal(whole[torch.from_numpy(ids.copy())])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("means", [True, False])
def test_short_recordings_are_padded_and_long_ones_lose_their_end(spoken: AudioFolder, means: bool) -> None:
    sounds = spoken.read(np.arange(10), epoch=1)[0]
    free, fixed = (LogMelSpectrogram(n_mels=24, frames=frames, remove_band_means=means) for frames in (None, 30))
    for sound in sounds:
        bands, cut = free(sound, RATE), fixed(sound, RATE)
        frames = bands.shape[2]
        assert frames == 1 + len(sound) // 80 == free.num_frames(len(sound), RATE)
        assert cut[..., :frames].equal(bands[..., :30])
        assert bool((cut[..., frames:] == (0 if means else bands.min())).all())


def test_the_frames_leave_95_percent_of_the_training_recordings_whole(spoken: AudioFolder) -> None:
    pipeline = Pipeline([{"name": "LogMelSpectrogram", "n_mels": 24}], spoken.schema)
    train = np.arange(5)  # the longest of these has 3,240 samples, so 1 + 40 frames
    pipeline.fit(spoken, train)
    assert pipeline.facts()["frames"] == 41
    assert "0 of 5 training recordings are cut" in pipeline.describe()[0]
    many = np.array([*np.repeat(train, 5)[:-4], 5])  # one of 22 is longer: less than 5%
    pipeline = Pipeline([{"name": "TrimSilence"}, {"name": "LogMelSpectrogram", "n_mels": 24}], spoken.schema)
    pipeline.fit(spoken, many)
    longest = max(len(TrimSilence()(sound, RATE)) for sound in spoken.read(train, epoch=1)[0])
    assert pipeline.facts()["frames"] == 1 + longest // 80 < 41
    assert "1 of 22 training recordings are cut" in pipeline.describe()[1]


def test_without_a_step_the_default_spectrogram_is_made(spoken: AudioFolder) -> None:
    pipeline = Pipeline([{"name": "Normalize"}], spoken.schema)
    pipeline.fit(spoken, np.arange(10))
    assert pipeline.describe()[0].startswith("LogMelSpectrogram(n_mels=40, frames=")
    x = pipeline.finish(pipeline.prepare(spoken.read(np.arange(10), epoch=1)[0]))
    assert x.shape[:3] == (10, 1, 40)
    assert abs(float(x.mean())) < 1e-5
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_what_was_learnt_is_taken_back(spoken: AudioFolder) -> None:
    pipeline = Pipeline([{"name": "TrimSilence"}, {"name": "Normalize"}], spoken.schema)
    pipeline.fit(spoken, np.arange(8))
    again = Pipeline([{"name": "TrimSilence"}, {"name": "Normalize"}], Schema("audio", None))
    again.load(pipeline.state(), pipeline.facts())
    raw = spoken.read(np.arange(10), epoch=1)[0]
    assert again.finish(again.prepare(raw)).equal(pipeline.finish(pipeline.prepare(raw)))


def halved(samples: torch.Tensor) -> torch.Tensor:
    return samples[: len(samples) // 2]


def first(samples: torch.Tensor) -> torch.Tensor:
    return samples[None, :640]


def test_a_users_own_step_takes_recordings_before_the_spectrogram(spoken: AudioFolder) -> None:
    raw = spoken.read(np.arange(3), epoch=1)[0]
    own = {"name": f"{__name__}:halved"}
    found = Pipeline([own, STEPS[1]], spoken.schema).prepare(raw)
    assert found.equal(Pipeline(STEPS[1:2], spoken.schema).prepare([halved(samples) for samples in raw]))


def test_a_users_own_step_alone_replaces_the_spectrogram(spoken: AudioFolder) -> None:
    raw = spoken.read(np.arange(3), epoch=1)[0]
    found = Pipeline([{"name": f"{__name__}:first"}], spoken.schema).prepare(raw)
    assert found.equal(torch.stack([first(samples) for samples in raw]))


MISPLACED = [
    ([STEPS[1], STEPS[0]], "put it before LogMelSpectrogram"),
    ([STEPS[1], STEPS[1]], "two spectrograms"),
    ([{"name": "Resize", "size": 8}], "the samples are sounds"),
    ([STEPS[2], STEPS[1]], "stands after Normalize"),
]


@pytest.mark.parametrize(("steps", "said"), MISPLACED)
def test_steps_in_the_wrong_place_are_refused(steps: list[dict[str, object]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Pipeline(steps, Schema("audio", "class", sample_rate=RATE))


def test_steps_for_sounds_are_refused_by_other_samples() -> None:
    for name in ("TrimSilence", "LogMelSpectrogram"):
        for inputs in ("image", "array", "table", "text"):
            with pytest.raises(InputError, match=f"{name} is for"):
                Pipeline([{"name": name}], Schema(inputs, "class"))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (LogMelSpectrogram, {"n_mels": 0}),
        (LogMelSpectrogram, {"n_fft": 1}),
        (LogMelSpectrogram, {"hop_length": 0}),
        (LogMelSpectrogram, {"frames": 0}),
        (LogMelSpectrogram, {"f_min": 500.0, "f_max": 400.0}),
        (LogMelSpectrogram, {"top_db": 0.0}),
        (TrimSilence, {"top_db": -1.0}),
    ],
)
def test_options_out_of_range_are_refused(make: type, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make(**options)


def test_the_way_of_sounds_is_told_in_order() -> None:
    way = Sounds(Schema("audio", "class", sample_rate=RATE), "data.transform")
    for step in (TrimSilence(30), LogMelSpectrogram(n_mels=16, frames=9)):
        assert way.add(step, type(step).__name__, "") == []
    assert way.describe() == [
        "TrimSilence(top_db=30)",
        "LogMelSpectrogram(n_mels=16, frames=9, top_db=80, band means removed)",
    ]
