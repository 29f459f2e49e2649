"""Tones, and WAV around PCM: 16 bit, mono, 24 kHz."""

from __future__ import annotations

import io
import wave

import numpy as np

RATE = 24_000


def tone(hz: float, seconds: float, *, volume: float = 0.3) -> bytes:
    """Return a tone with soft ends as PCM."""
    count = round(seconds * RATE)
    samples = volume * np.sin(2 * np.pi * hz * np.arange(count) / RATE)
    edge = min(RATE // 200, count // 2)
    ramp = np.linspace(0, 1, edge)
    samples[:edge] *= ramp
    samples[count - edge :] *= ramp[::-1]
    return bytes((samples * 32767).astype("<i2").tobytes())


def to_wav(pcm: bytes, rate: int = RATE) -> bytes:
    """Return PCM as a WAV file's content."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()


def from_wav(content: bytes) -> bytes:
    """Return the PCM of a mono 16 bit WAV file, at 24 kHz whatever its rate was."""
    with wave.open(io.BytesIO(content)) as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            msg = "only mono 16 bit WAV is understood"
            raise ValueError(msg)
        rate, pcm = file.getframerate(), bytes(file.readframes(file.getnframes()))
    if rate == RATE:
        return pcm
    samples = np.frombuffer(pcm, "<i2")
    at = np.arange(int(len(samples) * RATE / rate)) * rate / RATE
    return bytes(np.interp(at, np.arange(len(samples)), samples).astype("<i2").tobytes())
