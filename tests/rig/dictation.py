"""Writes down what was said: any English, by pocketsphinx with its own large vocabulary."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from . import sound

RATE = 16_000


@functools.cache
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL")


def written(pcm: bytes) -> list[str]:
    """Return the words of speech that is PCM as in `sound`."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    at = np.arange(len(samples) * RATE // sound.RATE) * sound.RATE / RATE
    decoder = _decoder()
    decoder.start_utt()
    resampled = np.interp(at, np.arange(len(samples)), samples).astype("<i2")
    decoder.process_raw(resampled.tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr.split() if found else []
