"""One WebSocket of the simulated Realtime service."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
import time
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from . import sound
from .ear import Ear
from .script import Call, Reply, Tone

if TYPE_CHECKING:
    from .openai_realtime import Fault, RealtimeSimulator

Event = dict[str, Any]


MIDWAY = ("dies_midway", "stalls", "fails_midway")


class FailedError(Exception):
    """The answer under way fails, and is told so."""


class Connection:
    """One WebSocket: a session, its conversation, at most one answer under way."""

    def __init__(
        self,
        simulator: RealtimeSimulator,
        request: web.Request,
        socket: web.WebSocketResponse,
        model: str,
        number: int,
        total: int,
    ) -> None:
        self.simulator, self.request, self.socket = simulator, request, socket
        self.model, self.number, self.total = model, number, total
        self.session: Event = {"type": "realtime", "model": model, "audio": {}}
        self.items: list[Event] = []
        self.ear = Ear()
        self.answer: asyncio.Task[None] | None = None
        self.writing: asyncio.Task[None] | None = None
        self.utterance = ""
        self.used = time.monotonic()
        self._swallows = False

    async def run(self) -> None:
        """Serve until either side closes."""
        if fault := self.simulator.fault_once_accepted(self.model, self.number):
            await self.fail(fault.kind, "", kind="invalid_request_error")
            await self.socket.close(code=4000)
            return
        idle = asyncio.create_task(self._die_idle())
        await self.send("session.created", session=self.session)
        try:
            async for message in self.socket:
                if message.type != WSMsgType.TEXT:
                    break
                if self._swallows:
                    continue
                event = json.loads(message.data)
                if event["type"] != "input_audio_buffer.append":
                    self.simulator.journal.write(self.total, event)
                    self.used = time.monotonic()
                on = getattr(self, "on_" + event["type"].replace(".", "_"), None)
                if on is None:
                    await self.fail("unknown_event", event.get("event_id"))
                else:
                    await on(event)
        except ConnectionResetError:
            pass
        finally:
            for task in filter(None, (idle, self.answer, self.writing)):
                task.cancel()

    def die(self) -> None:
        """Break the connection without a farewell."""
        if self.request.transport:
            self.request.transport.abort()

    def swallow(self, *, pongs: bool) -> None:
        """Take and give nothing any more, but perhaps `pongs`, on a connection that stays open."""
        self._swallows = True
        if not pongs and isinstance(self.request.transport, asyncio.Transport):
            self.request.transport.pause_reading()

    async def send(self, type_: str, **fields: Any) -> None:
        """Send an event; a socket that is gone is no error here."""
        if self._swallows:
            return
        event = {"type": type_, "event_id": self.simulator.new_id("event"), **fields}
        with contextlib.suppress(ConnectionError):
            await self.socket.send_json(event)

    async def fail(
        self, code: str, event_id: str | None, *, message: str = "", kind: str = ""
    ) -> None:
        """Send an error event in answer to `event_id`."""
        error = {"type": kind or "invalid_request_error", "code": code, "message": message or code}
        await self.send("error", error={**error, "event_id": event_id or None, "param": None})

    async def on_session_update(self, event: Event) -> None:
        _merge(self.session, event["session"])
        await self.send("session.updated", session=self.session)

    async def on_conversation_item_create(self, event: Event) -> None:
        item, before = event["item"], event.get("previous_item_id")
        item.setdefault("id", self.simulator.new_id("item"))
        if any(known["id"] == item["id"] for known in self.items):
            await self.fail("item_create_duplicate_item_id", event.get("event_id"))
            return
        if item["type"] == "function_call_output":
            self.simulator.outputs[item["call_id"]] = item["output"]
        await self.add(item, before)

    async def on_conversation_item_delete(self, event: Event) -> None:
        kept = [item for item in self.items if item["id"] != event["item_id"]]
        if len(kept) == len(self.items):
            await self.fail("item_delete_invalid_item_id", event.get("event_id"))
            return
        self.items = kept
        await self.send("conversation.item.deleted", item_id=event["item_id"])

    async def on_conversation_item_truncate(self, event: Event) -> None:
        fields = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
        await self.send("conversation.item.truncated", **fields)

    async def on_input_audio_buffer_clear(self, _: Event) -> None:
        self.ear = Ear()
        await self.send("input_audio_buffer.cleared")

    async def on_input_audio_buffer_commit(self, _: Event) -> None:
        await self._commit(self.utterance or self.simulator.new_id("item"))

    async def on_input_audio_buffer_append(self, event: Event) -> None:
        detection = self._input.get("turn_detection", {"type": "server_vad"})
        pcm = base64.b64decode(event["audio"])
        happened = self.ear.listen(pcm, self.simulator.silence, self.simulator.loud)
        for what in happened if detection else ():
            self.used = time.monotonic()
            at = round(self.ear.heard * 1000)
            if what == "started":
                self.utterance = self.simulator.new_id("item")
                fields = {"audio_start_ms": at, "item_id": self.utterance}
                await self.send("input_audio_buffer.speech_started", **fields)
                self._note("speech_started")
                if detection.get("interrupt_response", True) is not False:
                    await self._cancel("turn_detected")
            else:
                fields = {"audio_end_ms": at, "item_id": self.utterance}
                await self.send("input_audio_buffer.speech_stopped", **fields)
                self._note("speech_stopped")
                await self._commit(self.utterance)
                if detection.get("create_response", True) is not False and not self._answering:
                    self.answer = asyncio.create_task(self._answer({}))

    async def on_response_create(self, event: Event) -> None:
        if self._answering:
            code = "conversation_already_has_active_response"
            await self.fail(code, event.get("event_id"))
            return
        self.answer = asyncio.create_task(self._answer(event.get("response") or {}))

    async def on_response_cancel(self, event: Event) -> None:
        if self._answering:
            await self._cancel("client_cancelled")
        else:
            text = "Cancellation failed: no active response found"
            await self.fail("response_cancel_not_active", event.get("event_id"), message=text)

    async def add(self, item: Event, before: str | None = None) -> None:
        """Put an item into the conversation: after `before`, first for `root`, else last."""
        ids = [known["id"] for known in self.items]
        at = 0 if before == "root" else ids.index(before) + 1 if before in ids else len(ids)
        self.items.insert(at, item)
        previous = ids[at - 1] if at else None
        await self.send("conversation.item.added", previous_item_id=previous, item=item)
        if item.get("status") != "in_progress":
            await self.send("conversation.item.done", previous_item_id=previous, item=item)

    @property
    def _input(self) -> Event:
        return dict(self.session["audio"].get("input") or {})

    @property
    def _answering(self) -> bool:
        return self.answer is not None and not self.answer.done()

    def _note(self, type_: str, **fields: Any) -> None:
        self.simulator.journal.write(self.total, {"type": type_, "model": self.model, **fields})

    async def _die_idle(self) -> None:
        while True:
            fault = self.simulator.fault_while_idle(self.model, self.number)
            if fault and not self._answering and time.monotonic() - self.used > fault.after:
                self._note("broken_off", fault=fault.kind)
                if fault.kind == "dies_idle":
                    self.die()
                else:
                    self.swallow(pongs=fault.kind == "deaf")
                return
            await asyncio.sleep(0.02)

    async def _cancel(self, reason: str) -> None:
        if self.answer and self._answering:
            self.answer.cancel(reason)
            await asyncio.wait([self.answer])

    async def _commit(self, item_id: str) -> None:
        self.utterance = ""
        text = self.simulator.next_transcript()
        previous = self.items[-1]["id"] if self.items else None
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        await self.add({**item, "status": "completed"})
        self.items[-1]["said"] = text
        if self._input.get("transcription"):
            fields = {"item_id": item_id, "content_index": 0, "transcript": text}
            if self.simulator.written:
                self.writing = asyncio.create_task(self._write_down(fields))
            else:
                await self._write_down(fields)

    async def _write_down(self, fields: Event) -> None:
        await asyncio.sleep(self.simulator.written)
        kind = "conversation.item.input_audio_transcription.completed"
        await self.send(kind, **fields, usage={"type": "duration", "seconds": 1})

    async def _answer(self, wanted: Event) -> None:
        number = self.simulator.count_response(self.model)
        fault = self.simulator.fault_at(None, self.model, self.number, number)
        kind = fault.kind if fault else ""
        self._note("answering", number=number, fault=kind)
        if kind == "never_answers":
            return
        if kind == "dies_before":
            self.die()
            return
        response: Event = {
            "id": self.simulator.new_id("resp"), "object": "realtime.response", "output": [],
            "status": "in_progress", "status_details": None, "metadata": wanted.get("metadata"),
        }  # fmt: skip
        await self.send("response.created", response=response)
        try:
            await asyncio.sleep(fault.after if fault and kind == "slow" else self.simulator.latency)
            if kind == "response_failed":
                raise FailedError
            if kind != "empty":
                await self._compose(response, wanted, fault)
            response["status"] = "completed"
        except FailedError:
            code = fault.code if fault else ""
            error = {"type": "server_error", "code": code, "message": "it failed"}
            details = {"type": "failed", "error": error}
            await self._give_up(response, "failed", details)
        except asyncio.CancelledError as cancelled:
            if kind == "stalls":
                return
            reason = str(cancelled.args[0]) if cancelled.args else "client_cancelled"
            await self._give_up(response, "cancelled", {"type": "cancelled", "reason": reason})
        usage = {"total_tokens": 20, "input_tokens": 10, "output_tokens": 10}
        self.used = time.monotonic()
        self._note("answered", status=response["status"])
        await self.send("response.done", response={**response, "usage": usage})
        if kind == "dies_after":
            self.die()

    async def _give_up(self, response: Event, status: str, details: Event) -> None:
        for item in response["output"]:
            item["status"] = "incomplete"
            fields = {"response_id": response["id"], "output_index": 0, "item": item}
            await self.send("response.output_item.done", **fields)
        response |= {"status": status, "status_details": details}

    async def _compose(self, response: Event, wanted: Event, fault: Fault | None) -> None:
        reply = self._reply(wanted)
        head = {"response_id": response["id"], "output_index": 0}
        item: Event = {"id": self.simulator.new_id("item"), "status": "in_progress"}
        if isinstance(reply, Call):
            call_id = self.simulator.new_id("call")
            self.simulator.calls[call_id] = reply
            item |= {"type": "function_call", "call_id": call_id, "name": reply.name}
            item["arguments"] = ""
        else:
            item |= {"type": "message", "role": "assistant", "content": []}
        await self.send("response.output_item.added", **head, item=item)
        await self.add(item)
        response["output"].append(item)
        if isinstance(reply, Call):
            item["arguments"] = json.dumps(reply.arguments)
            kind = "response.function_call_arguments.done"
            ids = {"item_id": item["id"], "call_id": item["call_id"]}
            await self.send(kind, **head, **ids, arguments=item["arguments"])
        else:
            part = {**head, "item_id": item["id"], "content_index": 0}
            await self._speak(reply, part, fault, wanted)
            item["content"] = [{"type": "output_audio", "transcript": reply.text}]
        item["status"] = "completed"
        await self.send("response.output_item.done", **head, item=item)
        await self.send("conversation.item.done", item=item)

    async def _speak(self, tone: Tone, head: Event, fault: Fault | None, wanted: Event) -> None:
        kind = fault.kind if fault else ""
        modalities = wanted.get("output_modalities") or self.session.get("output_modalities")
        text_only = kind == "text_only" or modalities == ["text"]
        part = {"type": "text" if text_only else "audio", "text": "", "transcript": ""}
        await self.send("response.content_part.added", **head, part=part)
        stem = "response.output_text" if text_only else "response.output_audio_transcript"
        hz = tone.hz or self.simulator.tones.get(self.model, self.simulator.hz)
        pcm = b"" if text_only or kind == "no_audio" else sound.tone(hz, tone.seconds)
        chunks = [pcm[at : at + sound.RATE // 5] for at in range(0, len(pcm), sound.RATE // 5)]
        began, sent = time.monotonic(), 0.0
        for chunk, words in itertools.zip_longest(chunks, _spread(tone.text, len(chunks))):
            for word in words or ():
                await self.send(f"{stem}.delta", **head, delta=word)
            if chunk is not None:
                if fault and kind in MIDWAY and sent >= fault.after:
                    await self._break_off(kind)
                encoded = base64.b64encode(chunk).decode()
                await self.send("response.output_audio.delta", **head, delta=encoded)
                sent += len(chunk) / 2 / sound.RATE
                ahead = began + sent / self.simulator.pace - time.monotonic()
                await asyncio.sleep(max(ahead, 0))
        if kind in MIDWAY:
            await self._break_off(kind)
        if not text_only:
            await self.send("response.output_audio.done", **head)
        done = {"text" if text_only else "transcript": tone.text}
        await self.send(f"{stem}.done", **head, **done)
        await self.send("response.content_part.done", **head, part={**part, **done})

    async def _break_off(self, kind: str) -> None:
        self._note("broken_off", fault=kind)
        if kind == "fails_midway":
            raise FailedError
        if kind == "dies_midway":
            self.die()
        await asyncio.Event().wait()

    def _reply(self, wanted: Event) -> Reply:
        last = self.items[-1] if self.items else {}
        if last.get("type") == "function_call_output":
            then = getattr(self.simulator.calls.get(last["call_id"]), "then", Call.then)
            text = then.text.replace("{output}", last["output"])
            return Tone(text, then.seconds, then.hz)
        unanswered: list[str] = []
        for item in self.items:
            if item.get("role") == "assistant":
                unanswered.clear()
            elif item.get("role") == "user":
                texts = [part.get("text") or "" for part in item.get("content", ())]
                unanswered.append(item.get("said") or " ".join(texts))
        said = unanswered[-1] if unanswered else ""
        instructions = wanted.get("instructions") or self.session.get("instructions") or ""
        return self.simulator.choose(said, instructions, self.model)


def _spread(text: str, pieces: int) -> list[list[str]]:
    """Return the words that begin within each of so many pieces of an answer's sound."""
    words = re.findall(r"\S+\s*", text)
    spread: list[list[str]] = [[] for _ in range(max(pieces, 1))]
    for number, word in enumerate(words):
        spread[number * len(spread) // len(words)].append(word)
    return spread


def _merge(into: Event, new: Event) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
