"""Speech for callers, made by espeak-ng when the tests run."""

from __future__ import annotations

import functools
import subprocess

from . import needs, sound


@functools.cache
def spoken(text: str) -> bytes:
    """Return `text` as speech: a WAV file's content, mono, 16 bit, 24 kHz."""
    made = subprocess.run(
        [needs.espeak(), "-v", "en", "--stdout", text], check=True, capture_output=True
    )
    # espeak cannot seek in a pipe, so the sizes in its header are wrong; the samples are right
    return sound.to_wav(sound.from_wav(made.stdout))
