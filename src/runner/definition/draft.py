"""One agent file as written, the folder's defaults under it, without what the schema refuses."""

import copy
from dataclasses import dataclass
from typing import Any

from runner.definition import schema
from runner.definition.diagnostics import START, Diagnostic
from runner.definition.folder import Folder
from runner.definition.source import Document, KeyPath


@dataclass(frozen=True, slots=True)
class Checked:
    """A document that went through the schema: its findings, and its value without their places.

    A list's item that the schema refuses is None in `root`, so that the others keep their places.
    """

    document: Document
    root: dict[str, Any]
    findings: tuple[Diagnostic, ...]


def check_document(document: Document, *, complete: bool) -> Checked:
    """Check a document by the schema; `complete` asks for the required keys too."""
    if document.findings and document.root is None:
        return Checked(document, {}, tuple(document.findings))
    found = list(schema.check(document, complete=complete))
    root = document.root if isinstance(document.root, dict) else {}
    if found:
        root = copy.deepcopy(root)
    for _, place in found:
        _prune(root, place)
    return Checked(document, root, (*document.findings, *(finding for finding, _ in found)))


def _prune(root: Any, place: tuple[Any, ...]) -> None:
    if not place:
        return
    for part in place[:-1]:
        root = root[part] if isinstance(root, list) else (root or {}).get(part)
        if not root:
            return
    if isinstance(root, list):
        root[place[-1]] = None
    else:
        root.pop(place[-1], None)


@dataclass(frozen=True, slots=True)
class Draft:
    """An agent before it is frozen; `root` is its file's value, the defaults merged under it."""

    id: str
    own: Document
    defaults: Document | None
    root: dict[str, Any]
    folder: Folder

    def items(self, *key: str) -> list[tuple[KeyPath, Any]]:
        """Return the items that are left of the list at `key`, each with its place."""
        value: Any = self.root
        for part in key:
            value = value.get(part, {})
        return [((*key, i), item) for i, item in enumerate(value or []) if item is not None]

    def at_value(self, key: KeyPath, rule: str, message: str, **more: Any) -> Diagnostic:
        """Return a finding about the value at `key`, in the file that it comes from."""
        document = self.source_of(key)
        return document.finding(document.value_span(key), rule, message, **more)

    def at_key(self, key: KeyPath, rule: str, message: str, **more: Any) -> Diagnostic:
        """Return a finding about the name of the entry at `key`, in the file it comes from."""
        document = self.source_of(key)
        return document.finding(document.key_span(key), rule, message, **more)

    def at_file(self, rule: str, message: str, **more: Any) -> Diagnostic:
        """Return a finding about the agent's file as a whole."""
        return self.own.finding(START, rule, message, **more)

    def source_of(self, key: KeyPath) -> Document:
        """Return the file that the value at `key` comes from: the agent's own, or the defaults."""
        if self.defaults is None or self.own.has(key) or not self.defaults.has(key):
            return self.own
        return self.defaults


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge two mappings key by key, and the mappings in them; all else in `over` replaces."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
