"""Where speech begins and ends, as a server finds it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from . import sound

FRAME = sound.RATE // 50
LOUD = 500.0


class Ear:
    """Finds the beginning and the end of speech by its energy."""

    def __init__(self) -> None:
        self.speaking = False
        self.heard = 0.0
        self._rest = b""
        self._run = 0

    def listen(
        self, pcm: bytes, silence: float, loud: float = LOUD
    ) -> list[Literal["started", "stopped"]]:
        """Take in audio and return what happened in it; what is not as `loud` is no speech."""
        happened: list[Literal["started", "stopped"]] = []
        pcm = self._rest + pcm
        whole = len(pcm) // (2 * FRAME) * 2 * FRAME
        self._rest = pcm[whole:]
        for frame in np.frombuffer(pcm[:whole], "<i2").astype(float).reshape(-1, FRAME):
            self.heard += 0.02
            speaking = bool(np.sqrt(np.mean(frame**2)) > loud)
            self._run = self._run + 1 if speaking != self.speaking else 0
            if self._run >= (round(silence / 0.02) if self.speaking else 3):
                self.speaking, self._run = not self.speaking, 0
                happened.append("started" if self.speaking else "stopped")
        return happened
