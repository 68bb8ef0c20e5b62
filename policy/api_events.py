"""The events of a streamed chat completion: lines of server-sent events to pieces of an answer.

Follows the format of WHATWG's server-sent events as far as such servers use it, and the chunks of the OpenAI API with
what vLLM and SGLang add: ``reasoning`` or ``reasoning_content`` beside ``content``, and counts in a chunk of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from policy.api_errors import Refused, Unreadable, shown

_FIELDS = ("event", "id", "retry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What one event adds to the answer.

    Attributes:
        text: of the answer.
        thought: of the reasoning before it, where the server tells them apart.
        finish: why the answer ends, such as ``stop`` or ``length``; empty while it goes on.
    """

    text: str = ""
    thought: str = ""
    finish: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Tokens of one request so far, as the server counts them; ``cached`` ones of the prompt were not read again."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The end mark of a stream."""


Event = Delta | Counts | Done


class Lines:
    """Cuts streamed text into lines at line feeds alone: JSON may hold the other characters that end a line."""

    def __init__(self) -> None:
        self._rest = ""

    @property
    def waiting(self) -> int:
        """Characters of the line that is not whole yet."""
        return len(self._rest)

    def push(self, text: str) -> list[str]:
        """Take in the next characters; return the lines that are whole."""
        *whole, self._rest = (self._rest + text).split("\n")
        return [line.removesuffix("\r") for line in whole]

    def finish(self) -> list[str]:
        """Return the last line, where no line feed ends it."""
        return self.push("\n") if self._rest else []


def parse(line: str, url: str, sent: Iterable[str] = ()) -> list[Event]:
    """Read one line of a stream.

    Args:
        line: without its line break.
        url: of the server, for errors.
        sent: texts of the request, which no error repeats.

    Returns:
        What the line says; nothing for blank lines, comments, and fields other than ``data``.

    Raises:
        ApiError: the line is no such line, or the server reports an error in it.
    """
    if not line.strip() or line.startswith(":"):
        return []
    name, colon, value = line.partition(":")
    if not colon or name not in ("data", *_FIELDS):
        raise Unreadable(f"{url} sent no stream of events but {line[:40]!r}; does url name a chat completion API?")
    if name != "data":
        return []
    value = value.strip()
    if value == "[DONE]":
        return [Done()]
    try:
        chunk = from_json(value)
    except ValueError:
        raise _no_chunk(url, "it is no JSON") from None
    if not isinstance(chunk, dict):
        raise _no_chunk(url, f"it is a {type(chunk).__name__}")
    if chunk.get("error") is not None or chunk.get("object") == "error":
        raise _broken_off(chunk, url, sent)
    return [*_counts(chunk), *_deltas(chunk, url)]


def message_of(body: object) -> str:
    """Return the words of an error as the various servers put them; ``""`` where there are none."""
    if not isinstance(body, dict):
        return ""
    error = body.get("error", body)
    found = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return found if isinstance(found, str) else ""


def _deltas(chunk: Mapping[str, Any], url: str) -> list[Event]:
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        raise _no_chunk(url, "it has no choices")
    out: list[Event] = []
    for choice in choices[:1]:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(delta, dict):
            raise _no_chunk(url, "its choice has no delta")
        text, finish = delta.get("content"), choice.get("finish_reason")
        thought = delta.get("reasoning") or delta.get("reasoning_content")
        if not all(part is None or isinstance(part, str) for part in (text, finish, thought)):
            raise _no_chunk(url, "its delta holds no text")
        out.append(Delta(text=text or "", thought=thought or "", finish=finish or ""))
    return out


def _counts(chunk: Mapping[str, Any]) -> list[Event]:
    usage = chunk.get("usage")
    if not isinstance(usage, dict):
        return []
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    found = (usage.get("prompt_tokens"), cached, usage.get("completion_tokens"))
    prompt, known, completion = (count if isinstance(count, int) else 0 for count in found)
    return [Counts(prompt=prompt, cached=known, completion=completion)]


def _broken_off(chunk: Mapping[str, Any], url: str, sent: Iterable[str]) -> Refused:
    error = chunk.get("error")
    code = (error if isinstance(error, dict) else chunk).get("code")
    said = shown(message_of(chunk), sent)
    return Refused(f"{url} broke off: {said}; read the server's log", code if isinstance(code, int) else 0)


def _no_chunk(url: str, why: str) -> Unreadable:
    return Unreadable(f"{url} sent an event that is no chunk of a chat completion: {why}; does url name such an API?")
