"""Words in speech, by pocketsphinx: offline, and in a process of its own.

It knows neither LiveKit nor the network. Where it runs, no other Python code does meanwhile, so in
the studio's own process it would hold up every call.
"""

import multiprocessing
import signal
import tempfile
import threading
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

#: Samples a second of what is listened to: 16 bit, one channel.
RATE = 16_000

#: How loud a room is, measured by the speech in it.
_ROOM = 0.05


class HearingError(Exception):
    """The process that hears has ended; the next call of `Hearing.listen` starts another."""


def is_installed() -> bool:
    """Tell whether there is a pocketsphinx for this Python."""
    return find_spec("pocketsphinx") is not None


class Hearing:
    """One process that hears for all calls, one utterance at a time. It ends with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: Connection | None = None

    def start(self) -> None:
        """Start the process; it gets ready meanwhile, within half a second."""
        with self._lock:
            self._started()

    def listen(self, phrases: tuple[str, ...], sound: bytes) -> tuple[str, float]:
        """Return the words of an utterance, all of them words of `phrases`, and their likelihood.

        The likelihood is the mean of one word, from 0 to 1. No word at all is as good as certain.
        This takes some 0.1 s a second of speech.

        Raises:
            HearingError: the process has ended.
        """
        with self._lock:
            pipe = self._started()
            try:
                pipe.send((phrases, sound))
                words, likelihood = pipe.recv()
            except (EOFError, OSError) as error:
                self._pipe = None
                raise HearingError("the process that hears has ended") from error
        return words, likelihood

    def _started(self) -> Connection:
        if self._pipe is None:
            # Spawned: it inherits no socket, and has no copy of this end, so it learns when
            # this process is gone, whatever ended it.
            context = multiprocessing.get_context("spawn")
            self._pipe, its_end = context.Pipe()
            context.Process(target=_hear, args=(its_end,), name="ears", daemon=True).start()
            its_end.close()
        return self._pipe


def _hear(pipe: Connection) -> None:
    # A terminal's Ctrl-C goes to every process of a group; the studio says when it is over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    recogniser = _Recogniser()
    while True:
        try:
            phrases, sound = pipe.recv()
        except EOFError:
            return
        pipe.send(recogniser.words(phrases, sound))


class _Recogniser:
    def __init__(self) -> None:
        from pocketsphinx import get_model_path

        spellings: dict[str, list[str]] = {}
        for line in (
            Path(get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines()
        ):
            # `read` and `read(2)` are two ways to say a word.
            spellings.setdefault(line.partition(" ")[0].partition("(")[0], []).append(line)
        self._spellings = spellings
        self._phrases: tuple[str, ...] = ()
        self._decoder: Any = None

    def words(self, phrases: tuple[str, ...], sound: bytes) -> tuple[str, float]:
        if phrases != self._phrases:
            self._decoder = self._taught(phrases)
            self._phrases = phrases
        self._decoder.start_utt()
        self._decoder.process_raw(_in_a_room(sound), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        if found is None or not found.hypstr:
            return "", 1.0
        return found.hypstr, float(found.prob ** (1 / (1 + len(found.hypstr.split()))))

    def _taught(self, phrases: tuple[str, ...]) -> Any:
        from pocketsphinx import Decoder
        from pocketsphinx.lm import ArpaBoLM

        known = [[word for word in one.split() if word in self._spellings] for one in phrases]
        vocabulary = sorted({word for one in known for word in one})
        # Each word by itself as well, so that every one may follow every other.
        sentences = [*map(" ".join, filter(None, known)), *vocabulary]
        model = ArpaBoLM(text="".join(f"<s> {one} </s>\n" for one in sentences))
        model.compute()
        with tempfile.TemporaryDirectory() as folder:
            language, dictionary = Path(folder) / "phrases.arpa", Path(folder) / "words.dict"
            model.write_file(str(language))
            # With all of English beside it the decoder would be ready after 3 s instead of 0.1 s.
            lines = (line for word in vocabulary for line in self._spellings[word])
            dictionary.write_text("\n".join(lines) + "\n", "utf-8")
            return Decoder(lm=str(language), dict=str(dictionary), loglevel="FATAL")


def _in_a_room(sound: bytes) -> bytes:
    """Add the noise of a room: pocketsphinx has never heard speech out of dead silence."""
    samples = np.frombuffer(sound, "<i2").astype(float)
    loudness = np.sqrt(np.mean(samples**2)) if len(samples) else 0.0
    noise = np.random.default_rng(0).normal(0, _ROOM * loudness, len(samples))
    return bytes(np.clip(samples + noise, -32768, 32767).astype("<i2").tobytes())
