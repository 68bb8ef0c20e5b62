"""From the pieces of a served answer to decisions: where the thought stands, and what the server is told to write.

A server that holds an answer to a schema does so from the first token on, so the thought, which the form expects
between ``<think>`` and ``</think>``, is written as the first field of the object and put back here. A server that
parses reasoning itself sends it apart from the answer; that is put back, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from perception.context import ContextWindow
from policy.api_errors import Unreadable
from policy.api_events import Delta
from policy.decision import Step
from policy.form import SCHEMA, Form, Garbled, request

STRUCTURED: Final = ("json_schema", "structured_outputs", "none")

_THINK: Final = "think"
_OPEN, _CLOSE = "<think>", "</think>"
_TAGS: Final = re.compile(r"</?think>")
_HEAD: Final = re.compile(r'\s*\{\s*"think"\s*:\s*"')
_PLAIN_HEAD: Final = '{"think":"'
_WHOLE: Final = re.compile(r'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*', re.DOTALL)
"""Characters of a JSON string up to its end, or up to an escape that is not whole yet."""

_AFTER: Final = re.compile(r"\s*,?\s*")
_WORDS: Final = re.compile(r"""(['"]).{12,}\1""", re.DOTALL)
"""What a message quotes of an answer, beyond the name of a choice."""

_LETTERS_PER_TOKEN: Final = 4
_IN_FIELD: Final = 'Write the thought into the first field of the object, "think", without the tags.'


def closing(window: ContextWindow, *, think: bool, enhanced: bool, structured: str) -> str:
    """Return the words that ask for a decision; see :func:`policy.form.request`."""
    asked = request(window, think=think, enhanced=enhanced)
    return f"{asked} {_IN_FIELD}" if think and structured != "none" else asked


def constraint(structured: str, *, think: bool, think_tokens: int) -> dict[str, Any]:
    """Return the fields of a request that hold the answer to the schema.

    Args:
        structured: ``json_schema`` (portable), ``structured_outputs`` (vLLM from 0.12), or ``none``.
        think: whether a thought comes first.
        think_tokens: its length.
    """
    if structured == "none":
        return {}
    schema = _with_thought(think_tokens) if think else dict(SCHEMA)
    if structured == "structured_outputs":
        return {"structured_outputs": {"json": schema}}
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "decision", "schema": schema, "strict": True},
        }
    }


def _with_thought(tokens: int) -> dict[str, Any]:
    properties: Mapping[str, Any] = SCHEMA["properties"]
    thought = {"type": "string", "maxLength": _LETTERS_PER_TOKEN * tokens}
    return {**SCHEMA, "properties": {_THINK: thought, **properties}, "required": [_THINK, *SCHEMA["required"]]}


class Reader:
    """Reads one answer.

    Args:
        window: what was asked about.
        thinks: whether a thought is expected.
        url: of the server, for errors.
        most: tokens that it may write, for errors.
    """

    def __init__(self, window: ContextWindow, *, thinks: bool, url: str, most: int) -> None:
        self._window = window
        self._thinks = thinks
        self._url = url
        self._most = most
        self._form: Form | None = None
        self._unfold = Unfold()
        self._aside = False
        self._finish = ""

    def push(self, delta: Delta) -> list[Step]:
        """Take in the next piece and return what follows from it.

        Raises:
            Unreadable: this cannot become a decision.
        """
        self._finish = delta.finish or self._finish
        text = ""
        if delta.thought:
            if not self._aside and self._form is None:
                self._aside, text = True, _OPEN
                self._unfold = Unfold(silent=True)
            # Reasoning behind the begin of the answer has no place any more.
            text += _TAGS.sub("", delta.thought) if self._aside else ""
        if delta.text:
            if self._aside:
                self._aside = False
                text += _CLOSE
            text += self._unfold.push(delta.text)
        return self._read(text) if text else []

    def finish(self) -> list[Step]:
        """Return what follows from the end of the answer.

        Raises:
            Unreadable: it is no decision.
        """
        try:
            rest = self._read(self._unfold.finish())
            return [*rest, *self._form.finish()] if self._form is not None else rest
        except Garbled as error:
            raise self._unreadable(error) from error

    def _read(self, text: str) -> list[Step]:
        if self._form is None:
            # A model that was trained to reason may do so unasked.
            thinks = self._thinks or text.lstrip().startswith("<")
            self._form = Form(self._window, thinks=thinks)
        try:
            return self._form.push(text)
        except Garbled as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Garbled) -> Unreadable:
        fix = "set structured to a form that the server knows, or serve a model that follows the prompt"
        if self._finish == "length":
            fix = f"it was cut off after {self._most} tokens; raise most_tokens, and think_tokens where it thinks"
        # What a model writes may take up what the person said, which belongs in no message.
        why = _WORDS.sub("words of its own", str(error))
        return Unreadable(f"{self._url} wrote no decision: {why}; {fix}")


class Unfold:
    """Turns ``{"think": "...", ...}`` into ``<think>...</think>{...}`` while it arrives; anything else passes as it is.

    Args:
        silent: leave the thought out instead.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._state = "head"
        self._raw = ""
        self._held = ""

    def push(self, text: str) -> str:
        """Take in the next characters; return what they become."""
        self._raw += text
        out = ""
        if self._state == "head":
            begin = re.sub(r"\s+", "", self._raw)
            if len(begin) < len(_PLAIN_HEAD) and _PLAIN_HEAD.startswith(begin):
                return ""
            found = _HEAD.match(self._raw)
            self._state = "thought" if found else "plain"
            if found:
                self._raw = self._raw[found.end() :]
                out = "" if self._silent else _OPEN
        if self._state == "thought":
            out += self._thought()
        if self._state == "after":
            rest = self._raw[_AFTER.match(self._raw).end() :]  # type: ignore[union-attr]  # it matches nothing, too
            if not rest:
                return out
            self._raw, self._state = "{" + rest, "plain"
        if self._state == "plain":
            out, self._raw = out + self._raw, ""
        return out

    def finish(self) -> str:
        """Return what is still held back."""
        rest, self._raw = (self._raw if self._state == "head" else ""), ""
        return rest

    def _thought(self) -> str:
        end = _WHOLE.match(self._raw).end()  # type: ignore[union-attr]  # it matches nothing, too
        piece, self._raw = self._raw[:end], self._raw[end:]
        closed = self._raw.startswith('"')
        text = _TAGS.sub("", self._held + _unescaped(piece))
        cut = text.rfind("<")
        # A tag inside the thought would end it; its begin waits for the rest.
        partial = not closed and cut >= 0 and any(tag.startswith(text[cut:]) for tag in (_OPEN, _CLOSE))
        self._held, text = (text[cut:], text[:cut]) if partial else ("", text)
        if closed:
            self._raw, self._state = self._raw[1:], "after"
        if self._silent:
            return ""
        return text + (_CLOSE if closed else "")


def _unescaped(piece: str) -> str:
    """Return a whole piece of a JSON string as text; an escape that is none stays as it is."""
    try:
        text = str(json.loads(f'"{piece}"', strict=False))
    except ValueError:
        return piece
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
