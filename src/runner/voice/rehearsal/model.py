"""The stand-in for a language model: it calls tools by their names and reads out what they say."""

import json
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr
from livekit.agents.llm import (
    LLM,
    ChatChunk,
    ChatContext,
    ChatMessage,
    ChoiceDelta,
    FunctionCallOutput,
    FunctionToolCall,
    LLMStream,
    Tool,
    ToolChoice,
)

from runner.definition.spec import ToolStub
from runner.voice.rehearsal.ears import UNCLEAR
from runner.voice.rehearsal.grammar import Wish, wish
from runner.voice.rehearsal.told import told

WHAT_IT_IS = "This is a rehearsal: no model runs."
#: What it says to words that its ears have not made out.
NOT_MADE_OUT = "I could not make that out. Please say it again, or type it."

_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} or more characters",
    "maxLength": "{} or fewer characters",
    "minItems": "{} or more of them",
    "maxItems": "{} or fewer of them",
}


class RehearsalModel(LLM[Literal["told"]]):
    """Answers one call of an agent with `stubs`; it keeps what it still has to ask for.

    It emits `told`, with the text, whenever a model would have been asked.
    """

    def __init__(self, stubs: Sequence[ToolStub]) -> None:
        super().__init__()
        self._stubs = stubs
        self._pending: Wish | None = None

    @property
    def model(self) -> str:
        """What the record of a call says."""
        return "rehearsal"

    def chat(
        self,
        *,
        chat_ctx: ChatContext,
        tools: list[Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> LLMStream:
        """Answer what was said last."""
        self.emit("told", told(chat_ctx, self._stubs))
        delta = self._delta(chat_ctx)
        return _Stream(self, delta, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    def _delta(self, chat_ctx: ChatContext) -> ChoiceDelta:
        last = chat_ctx.items[-1] if chat_ctx.items else None
        if isinstance(last, FunctionCallOutput):
            return _words(_result(last))
        if isinstance(last, ChatMessage) and last.role == "user":
            return self._reply(last.text_content or "")
        told = last.text_content if isinstance(last, ChatMessage) else ""
        return _words(f'{WHAT_IT_IS} A model would now be told: "{told}"')

    def _reply(self, text: str) -> ChoiceDelta:
        if text == UNCLEAR:
            return _words(NOT_MADE_OUT)
        wanted = wish(text, self._stubs, self._pending)
        self._pending = wanted if wanted and wanted.missing else None
        if wanted is None:
            return _words(self._helpless(text))
        if wanted.missing:
            return _words(_question(wanted))
        call = FunctionToolCall(
            name=wanted.tool.name,
            arguments=json.dumps(wanted.arguments, ensure_ascii=False),
            call_id=f"call_{uuid.uuid4().hex[:12]}",
        )
        return ChoiceDelta(role="assistant", tool_calls=[call])

    def _helpless(self, text: str) -> str:
        told = f'{WHAT_IT_IS} A model would be told the instructions and "{text}".'
        names = " or ".join(_spoken(stub.name) for stub in self._stubs)
        return f"{told} Here you can ask for a tool: {names}." if names else told


class _Stream(LLMStream):
    def __init__(self, model: RehearsalModel, delta: ChoiceDelta, **rest: Any) -> None:
        super().__init__(model, **rest)
        self._delta = delta

    async def _run(self) -> None:
        self._event_ch.send_nowait(ChatChunk(id=uuid.uuid4().hex, delta=self._delta))


def _words(text: str) -> ChoiceDelta:
    return ChoiceDelta(role="assistant", content=text)


def _result(output: FunctionCallOutput) -> str:
    verb = "failed" if output.is_error else "says"
    return f"{_spoken(output.name).capitalize()} {verb}: {output.output}"


def _question(wanted: Wish) -> str:
    name = wanted.missing[0]
    limits = _limits(wanted.tool.parameters["properties"][name])
    return f"{_spoken(wanted.tool.name).capitalize()} needs the {_spoken(name)}{limits}."


def _limits(schema: dict[str, Any]) -> str:
    """Tell what fits, of a list what its items must be."""
    one = {**schema, **schema.get("items", {})}
    told = [str(option) for option in one.get("enum", ())]
    told += [words.format(one[key]) for key, words in _LIMITS.items() if key in one]
    if one.get("type") == "object":
        told.append("it cannot be said, only typed as JSON")
    return f": {', '.join(told)}" if told else ""


def _spoken(name: str) -> str:
    return name.replace("_", " ")
