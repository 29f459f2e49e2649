"""One line of what doctor says."""

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A finding: its level, the topic it belongs to, and what is wrong; what to do about it.

    `backend` is the `identity` of the backend that it is about.
    """

    level: str
    topic: str
    text: str
    backend: Hashable = None

    def __str__(self) -> str:
        return f"{self.level:<7}  {self.topic:<7}  {self.text}"
