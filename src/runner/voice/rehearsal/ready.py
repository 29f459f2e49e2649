"""Makes the rehearsal's ears and voice ready before a call needs them."""

from runner.voice.rehearsal import hearing, voice
from runner.voice.rehearsal.ears import HEARING


def make() -> None:
    """Load both, within a second; a call that cannot wait loads them itself."""
    if hearing.is_installed():
        HEARING.start()
    voice.load()
