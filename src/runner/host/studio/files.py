"""The files of the page, as they are shipped: a closed list, read when the studio starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}
_BINARY = frozenset({".png", ".woff2"})

#: Where the page is in the package.
PAGE = Path(__file__).with_name("page")


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    content: bytes
    type: str
    charset: str | None

    def response(self) -> web.Response:
        """Return an answer that holds the file."""
        return web.Response(body=self.content, content_type=self.type, charset=self.charset)


def read(folder: Path = PAGE) -> Mapping[str, File]:
    """Return the files below `folder` of the kinds that a page is made of, by their path there."""
    return {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


def _read(path: Path) -> File:
    charset = None if path.suffix in _BINARY else "utf-8"
    return File(path.read_bytes(), _TYPES[path.suffix], charset)
