"""Samples of sound → a WAV file's bytes; pure."""

from __future__ import annotations

import struct

# Bytes of a sample, by codec, and whether they are floats.
_SAMPLES = {"pcm16": (2, False), "pcm32": (4, False), "pcm32_float": (4, True)}
_PCM, _IEEE_FLOAT = 1, 3
_HEADER_AFTER_SIZE = 36


def is_pcm(codec: str) -> bool:
    """Whether the codec is bare samples, which need a header to be played."""
    return codec in _SAMPLES


def wav(samples: bytes, codec: str, sample_rate_hz: int, channels: int) -> bytes:
    """Return a header of 44 bytes and the samples (RIFF, "WAVE form": a ``fmt`` chunk of 16 bytes, a ``data`` chunk).

    ``is_pcm`` must be true for ``codec``. All numbers are little-endian, as in Viam's audio.
    """
    width, is_float = _SAMPLES[codec]
    frame = width * channels
    form = struct.pack(
        "<HHIIHH", _IEEE_FLOAT if is_float else _PCM, channels, sample_rate_hz, sample_rate_hz * frame, frame, width * 8
    )
    size = len(samples)
    head = b"RIFF" + struct.pack("<I", _HEADER_AFTER_SIZE + size) + b"WAVE"
    return head + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + samples
