"""Whatever is done to an agent file, validate answers with diagnostics, in bounded time."""

import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runner.definition.loader import Loaded, load
from runner.definition.sandbox import Sandbox

CASES = Path(__file__).parent.parent / "cases"
SOURCES = [
    *sorted((CASES / "ok").glob("*.yaml")),
    *sorted((CASES / "err").glob("*.yaml")),
    *sorted((CASES.parent.parent / "agents").glob("*.yaml")),
]
ROUNDS = 40
ODD = [
    b"\x00", b"\xff", b"\xe9", b"\xef\xbb\xbf", b"\r", b"\x85", b"{%", b"}}", b"'", b'"', b"\t",
    b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"<<: *x", b"!!python/none", b"? ", b"---\n", b"#",
]  # fmt: skip

Mutation = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.randrange(1, 40) :]


def truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def indent(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    row = chance.randrange(len(lines))
    lines[row] = chance.choice([b" ", b"  ", b"\t", b"      "]) + lines[row]
    return b"\n".join(lines)


def swap_lines(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    chance.shuffle(lines)
    return b"\n".join(lines)


def repeat_line(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    row = chance.randrange(len(lines))
    return b"\n".join([*lines[:row], lines[row], *lines[row:]])


def replace_value(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    row = chance.randrange(len(lines))
    values = [b"", b"~", b"5", b"[]", b"{}", b"no", b"-1e99", b"{{ x }}", b"*a", b"&a [*a]", b"|"]
    lines[row] = lines[row].split(b":")[0] + b": " + chance.choice(values)
    return b"\n".join(lines)


def insert(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + chance.choice(ODD) + content[place:]


MUTATIONS: list[Mutation] = [
    cut, truncate, indent, swap_lines, repeat_line, replace_value, insert,
    lambda content, _: b"\xef\xbb\xbf" + content,
    lambda content, _: content.replace(b"\n", b"\r\n"),
    lambda content, _: content.decode(errors="ignore").encode("utf-16"),
    lambda content, _: content + b"#" * 10_000_000,
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_mutated_file_gives_diagnostics(source: Path, tmp_path: Path) -> None:
    """Mutations of real files never raise, and every finding points into its file."""
    chance = random.Random(source.name)
    for number in range(ROUNDS):
        content = source.read_bytes()
        for mutation in chance.sample(MUTATIONS, k=chance.randrange(1, 4)):
            content = mutation(content or b"x", chance)
        (tmp_path / f"agent-{number}.yaml").write_bytes(content)
    started = time.monotonic()
    loaded = load([tmp_path])
    assert time.monotonic() - started < 20
    check_places(loaded)


def check_places(loaded: Loaded) -> None:
    for finding in loaded.diagnostics:
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.end >= finding.column
        assert len(finding.excerpt) + 1 >= finding.column
        assert finding.message


HOSTILE = {
    "brackets": b"a: " + b"[" * 200_000,
    "braces": b"{a: " * 60_000,
    "quotes": b"prompt: " + b"'" * 200_001,
    "keys": b"".join(b"k%d: 1\n" % n for n in range(20_000)),
    "items": b"prompt: x\ntools:\n" + b"- {}\n" * 40_000,
    "anchors": b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 99)),
    "loops": b"prompt: '" + b"{% for a in range(99999) %}" * 2 + b"{% endfor %}" * 2 + b"'",
    "power": b"prompt: '{{ 9 ** 9 ** 9 ** 9 }}'",
    "product": b"prompt: \"{{ 'x' * 999999999 }}\"",
    "width": b"prompt: \"{{ '%999999999d' % 1 }}{{ 'x'.ljust(999999999) }}\"",
    "parentheses": b"prompt: '{{ " + b"(" * 5_000 + b" }}'",
    "nested": b"prompt: '" + b"{% for a in 'x' %}" * 60 + b"{% endfor %}" * 60 + b"'",
    "macro": b"prompt: '{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}'",
    "branches": b"prompt: '{% if now %}" + b"{% elif now %}" * 12_000 + b"{% endif %}'",
    "digits": b"prompt: '{{ " + b"9" * 5_000 + b" }}'",
    "numbers": b"prompt: x\ntemperature: " + b"9" * 100_000,
    "pattern": b"prompt: x\nanswers: {rooms: ['" + b"*{a}" * 60 + b"']}",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    """Files made to exhaust a reader give a diagnostic within seconds and 300 MB."""
    file = tmp_path / "hostile.yaml"
    file.write_bytes(HOSTILE[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    loaded = load([file])
    assert loaded.has_errors
    assert time.monotonic() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


LONG = "{% set s = '" + "x" * 9_000 + "' %}"


def doubled(first: str, step: str) -> str:
    """Return a template that takes a step from `a` to `b` over and over."""
    return f"{{% set a = {first} %}}" + f"{{% set b = {step} %}}{{% set a = b %}}" * 24


GROWING = {
    "round": "{{ 1 | round(-9999999) }}",
    "round up": "{{ 1 | round(999999, 'ceil') }}",
    "~": doubled("'x'", "a ~ a") + "{{ a | length }}",
    "+": doubled("'x'", "a + a") + "{{ a | length }}",
    "+ of lists": doubled("['x']", "a + a") + "{{ a | length }}",
    "a list of lists": doubled("['x']", "[a, a]") + "{{ a | string | length }}",
    "a tuple of tuples": doubled("('x', 'x')", "(a, a)") + "{{ a | string | length }}",
    "a mapping of mappings": doubled("'x'", "{'a': a, 'b': a}") + "{{ a | string | length }}",
    "calls of dict": doubled("'x'", "dict(a=a, b=a)") + "{{ a | string | length }}",
    "replace": LONG + "{{ s | replace('x', s) | length }}",
    "the method replace": LONG + "{{ s.replace('x', s) | length }}",
    "join": LONG + "{{ s | join(s) | length }}",
    "the method join": LONG + "{{ s.join(s) | length }}",
    "a filter for each": LONG + "{{ s | map('replace', 'x', s) | list | length }}",
    "sum": "{{ [[1], [2]] | sum(start=[]) | length }}",
    "tojson": "{{ [1] | tojson(9999999) | length }}",
    "format": "{{ '{:9999999}'.format(1) | length }}",
    "format_map": "{{ '{a:9999999}'.format_map({'a': 1}) | length }}",
    "bytes": "{{ 'x'.encode().ljust(9999999) | length }}",
    "bytes of a number": "{{ (1).to_bytes(9999999, 'big') | length }}",
    "translate": LONG + "{{ s.translate({120: s}) | length }}",
    "urlize": LONG + "{{ 'a.com ' | urlize(target=s) | length }}",
    "wordwrap": LONG + "{{ s | wordwrap(9, wrapstring=s) | length }}",
    "a macro": LONG + "{% macro m() %}{% for a in s %}{{ s }}{% endfor %}{% endmacro %}"
    "{{ m() | length }}",
    "a block": LONG + "{% set b %}{% for a in s %}{{ s }}{% endfor %}{% endset %}{{ b | length }}",
    "many long texts": LONG + "{% for a in s %}{% set b = s ~ a %}{% endfor %}",
    "loops over texts": LONG + "{% for a in s %}{% for b in s[:99] %}{% endfor %}{% endfor %}",
    "loops that choose": LONG + "{% for a in s %}{% for b in s[:99] if 0 %}{% endfor %}"
    "{% endfor %}",
    "loops of loops": "{% for a in range(300) recursive %}"
    "{% if loop.depth < 3 %}{{ loop(range(300)) }}{% endif %}{% endfor %}",
    "macros of macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
    "{% endmacro %}{{ m(18) }}",
}  # fmt: skip


@pytest.mark.parametrize("name", GROWING)
def test_a_template_makes_nothing_huge(name: str, tmp_path: Path) -> None:
    """Whatever makes much of little is refused, though the result would be small."""
    (tmp_path / "growing.yaml").write_text(json.dumps({"prompt": GROWING[name]}))
    loaded = load([tmp_path])
    assert [finding.rule.partition("-")[0] for finding in loaded.diagnostics] == ["template"]


FITTING = {
    "{{ ['a', 'b'] | join(', ') }}": "a, b",
    "{{ 'a-b'.replace('-', '+') | replace('+', ' ', 1) }}": "a b",
    "{{ '-'.join(['a', 1 ~ 2]) }}": "a-12",
    "{{ [{'n': 1}, {'n': 2}] | join('/', attribute='n') }}": "1/2",
    "{{ 2.567 | round(1) }}, {{ [1, 2] | sum }}, {{ {'a': 5} | tojson }}": '2.6, 3, {"a": 5}',
    "{{ ('<' | escape) + '<' }}": "&lt;<",
    "{% for a in 'xyz' %}{{ loop.index }}/{{ loop.length }}{{ a }}{% endfor %}": "1/3x2/3y3/3z",
    "{% for a in range(90000) %}{% endfor %}{{ range(3) | list }}": "[0, 1, 2]",
    "{% set n = namespace(a=1) %}{% set n.a = n.a + 1 %}{{ n.a }}": "2",
    "{% for a in [1, [2, [3]]] recursive %}"
    "{{ a if a is number else loop(a) }}{% endfor %}": "123",
    "{% macro m(a) %}{{ a }}!{{ caller() }}{% endmacro %}{% call m('x') %}y{% endcall %}": "x!y",
    "{% filter upper %}a{{ 'b' ~ 'c' }}{% endfilter %}": "ABC",
}  # fmt: skip


@pytest.mark.parametrize("text", FITTING)
def test_within_the_bounds_templates_are_jinja_s(text: str) -> None:
    assert Sandbox(lambda _: None).render(text, {}) == FITTING[text]


def test_includes_in_a_circle_are_found(tmp_path: Path) -> None:
    """Files that include each other are a finding, not an endless loop."""
    (tmp_path / "a.md").write_text("{% include 'b.md' %}{% include 'b.md' %}")
    (tmp_path / "b.md").write_text("{% include 'a.md' %}{% include 'a.md' %}")
    (tmp_path / "x.yaml").write_text("prompt: '{% include \"a.md\" %}'")
    assert "include each other" in load([tmp_path]).diagnostics[0].message


@pytest.fixture
def nobody_s_folder() -> Iterator[Path]:
    """A folder, read as a user who has no more rights than others."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        user = os.geteuid()
        yield Path(name)
        os.seteuid(user)


def test_a_file_without_permission_is_a_finding(nobody_s_folder: Path) -> None:
    """A file that may not be read hides no other."""
    (nobody_s_folder / "good.yaml").write_text("prompt: x")
    (nobody_s_folder / "secret.yaml").write_text("prompt: x")
    (nobody_s_folder / "secret.yaml").chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    loaded = load([nobody_s_folder])
    assert list(loaded.specs) == ["good"]
    assert "permissions" in loaded.diagnostics[0].message
