from __future__ import annotations

import io
import struct
import wave

import pytest

from module.collection.wav import is_pcm, wav

SAMPLES = bytes(range(240))


@pytest.mark.parametrize(("codec", "width"), [("pcm16", 2), ("pcm32", 4)])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_the_standard_library_reads_it(codec: str, width: int, channels: int, rate: int) -> None:
    with wave.open(io.BytesIO(wav(SAMPLES, codec, rate, channels))) as file:
        assert (file.getsampwidth(), file.getnchannels(), file.getframerate()) == (width, channels, rate)
        assert file.readframes(file.getnframes()) == SAMPLES


def test_floats_are_recognised() -> None:
    """Format 3 is IEEE float; the standard library reads none."""
    file = wav(SAMPLES, "pcm32_float", 16000, 2)
    assert struct.unpack("<HHIIHH", file[20:36]) == (3, 2, 16000, 128000, 8, 32)
    assert (struct.unpack("<I", file[4:8]), file[44:]) == ((len(file) - 8,), SAMPLES)


@pytest.mark.parametrize(
    ("codec", "pcm"), [("pcm16", True), ("pcm32", True), ("pcm32_float", True), ("mp3", False), ("", False)]
)
def test_only_bare_samples_need_a_header(codec: str, pcm: bool) -> None:
    assert is_pcm(codec) is pcm
