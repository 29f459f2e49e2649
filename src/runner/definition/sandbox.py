"""Jinja made safe for files that anybody edits: immutable, strict, and bounded in time and size."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from runner.definition.bounds import FILTERS, LIMIT, METHODS, check, join, weight

_GROWING_METHODS = frozenset(
    {
        "center", "encode", "expandtabs", "format", "format_map", "ljust", "rjust", "to_bytes",
        "translate", "zfill",
    }
)  # fmt: skip
_GROWING_FILTERS = ("batch", "center", "format", "indent", "slice", "urlize", "wordwrap")

#: What a template may do: each character or member that it makes is one, each step of a loop 50.
_EFFORT, _STEP = 100 * LIMIT, 50


@dataclass(frozen=True, slots=True)
class Use:
    """What a template uses in one line: a name, an attribute of `owner`, or an included file."""

    line: int
    name: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A template as read: its code, the names it takes from outside, attributes, and includes.

    An include that does not name its file has an empty name.
    """

    code: CodeType
    names: tuple[Use, ...]
    attributes: tuple[Use, ...]
    includes: tuple[Use, ...]


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment in which names must exist, nothing can be changed and nothing can explode.

    `read` returns the text of an included file by its path below the agents folder, or None.
    `finalize` is what becomes of each value that is put in.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    concat = staticmethod(partial(join, ""))

    def __init__(
        self, read: Callable[[str], str | None], finalize: Callable[[Any], str] | None = None
    ) -> None:
        super().__init__(
            loader=jinja2.FunctionLoader(lambda name: _named(name, read(name))),
            undefined=jinja2.StrictUndefined,
            finalize=finalize,
            optimized=False,
        )
        self.code_generator_class = _Generator
        self._facts: dict[str, Facts] = {}
        self._effort = 0
        for name in ("lipsum", "cycler", "joiner"):
            del self.globals[name]
        for name in _GROWING_FILTERS:
            del self.filters[name]
        self.filters |= FILTERS
        self.globals |= {"namespace": _Namespace, "range": _bounded_range}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse, besides what Jinja refuses, the methods that make a short text a huge one."""
        if isinstance(obj, str | int) and attr in _GROWING_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leave `format` to `is_safe_attribute`."""

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls, within the bounds."""
        self._spend(_STEP)
        match obj:
            case LoopContext():
                args = tuple(map(self.counted, args))
            case object(__self__=str(text), __name__=name) if name in METHODS:
                obj = partial(METHODS[name], text)
        return self.made(super().call(context, obj, *args, **kwargs))

    def made(self, value: Any) -> Any:
        """Return what a template has made, if that is not too much."""
        self._spend(weight(value))
        # Nothing here is HTML, and a text that knows better would escape what is added to it.
        return str(value) if isinstance(value, str) else value

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """Yield what a loop goes through, as long as that is not too much."""
        for value in values:
            self._spend(_STEP)
            yield value

    def _spend(self, effort: int) -> None:
        self._effort += effort
        if self._effort > _EFFORT:
            raise SecurityError("the template does too much")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Allow arithmetic on numbers of a reasonable size only."""
        if operator == "+":
            check(weight(left) + weight(right))
            return self.made(left + right)
        if not all(isinstance(side, int | float) and abs(side) < LIMIT for side in (left, right)):
            raise SecurityError(f"'{operator}' takes two numbers below {LIMIT}")
        if operator == "**" and right > 16:
            raise SecurityError("'**' takes an exponent of at most 16")
        return super().call_binop(context, operator, left, right)

    def facts(self, text: str) -> Facts:
        """Read and compile a template, once for each text.

        Raises:
            TemplateSyntaxError: it is no template.
            RecursionError, SyntaxError, MemoryError: it is nested too deeply.
            ValueError: a number in it is too long.
        """
        if text not in self._facts:
            tree = self.parse(text)
            source = io.StringIO()
            generator = _Generator(self, None, None, source, optimized=self.optimized)
            generator.visit(tree)
            code = compile(source.getvalue(), "<template>", "exec")
            self._facts[text] = Facts(code, *_uses(tree, generator.undeclared))
        return self._facts[text]

    def render(self, text: str, names: Mapping[str, Any]) -> str:
        """Render `text` with `names`.

        Raises:
            SecurityError: the template does something that is not allowed, or grows past `LIMIT`.
            TemplateRuntimeError: it makes half a character, which can be neither kept nor sent.
            Exception: whatever else the template's own expressions raise.
        """
        template = jinja2.Template.from_code(self, self.facts(text).code, self.make_globals(None))
        self._effort = 0
        text = join("", template.generate(names))
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = ascii(text[error.start])
            raise TemplateRuntimeError(f"{half} is half a character") from error
        return text


class _Namespace(Namespace):
    """A namespace that is not shown: those in it may be in it many times."""

    __repr__ = object.__repr__


class _Generator(CodeGenerator):
    """Jinja's code generator; what is made is weighed, and the steps of loops are counted.

    It also notes the names that a template takes from outside.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.undeclared: set[str] = set()

    def enter_frame(self, frame: Frame) -> None:
        super().enter_frame(frame)
        for action, name in frame.symbols.loads.values():
            if action == VAR_LOAD_RESOLVE and name is not None:
                self.undeclared.add(name)

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> None:
        match node:
            case nodes.For():
                node.iter = _called("counted", node.iter)
            case nodes.Concat():
                node = _called("concat", nodes.Tuple(node.nodes, "load"))
            case nodes.Filter() | nodes.List() | nodes.Dict() | nodes.Tuple(ctx="load"):
                self.write("environment.made(")
                super().visit(node, *args, **kwargs)
                self.write(")")
                return
        super().visit(node, *args, **kwargs)


def _called(name: str, argument: Any) -> nodes.Call:
    method = nodes.EnvironmentAttribute(name)
    return nodes.Call(method, [argument], [], None, None, lineno=argument.lineno)


def _uses(
    tree: nodes.Template, undeclared: set[str]
) -> tuple[tuple[Use, ...], tuple[Use, ...], tuple[Use, ...]]:
    """Return the names, attributes and includes of a template, in the order of the text."""
    names: dict[Use, None] = {}
    attributes: dict[Use, None] = {}
    includes: list[Use] = []
    node: Any
    for node in tree.find_all(nodes.Node):
        match node:
            case nodes.Name(ctx="load") if node.name in undeclared:
                names[Use(node.lineno, node.name)] = None
            case nodes.Getattr(node=nodes.Name(name=owner), attr=attribute):
                attributes[Use(node.lineno, attribute, owner)] = None
            case nodes.Getitem(node=nodes.Name(name=owner), arg=nodes.Const(value=str(attribute))):
                attributes[Use(node.lineno, attribute, owner)] = None
            case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
                name = getattr(node.template, "value", None)
                includes.append(Use(node.lineno, name if isinstance(name, str) else ""))
    return tuple(names), tuple(attributes), tuple(includes)


def _bounded_range(*args: int) -> range:
    steps = range(*args)
    check(len(steps))
    return steps


def _named(name: str, text: str | None) -> tuple[str, str, None] | None:
    return None if text is None else (text, name, None)
