"""What was read of a call (:mod:`policy.reel`) as the messages of an OpenAI-compatible chat.

Pictures become JPEG in ``image_url``, sound becomes 16-bit WAV in ``input_audio``. Each carries the hash of its bytes
as its ``uuid``, by which vLLM finds what its encoders made of it before. A part is encoded once, and its JSON is kept
as bytes: the messages of a later request begin, byte for byte, with those of an earlier one up to what that one was
asked, so that the server's prefix cache holds.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import wave
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from perception.media import RATE_HZ
from perception.timebase import SECOND
from policy.prompt import AGENT, PERSON, Line
from policy.reel import Part, Sight, Sound

_QUALITY: Final = 85
_CELL: Final = 28
"""Side of the square of pixels that one token of a picture stands for, of Qwen2.5-Omni."""

_AUDIO_PER_SECOND: Final = 25
_MARKS: Final = 2
"""Tokens around a picture or a stretch of sound."""


@dataclass(frozen=True, slots=True)
class _Encoded:
    """One picture or stretch of sound: its JSON in full, its JSON without the data, and its hash."""

    full: bytes
    brief: bytes
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The messages of one request.

    Attributes:
        messages: a JSON array, UTF-8.
        media: hashes of all pictures and sound in it.
        spared: how many of them are named by their hash alone.
        texts: all texts in it.
    """

    messages: bytes
    media: frozenset[str]
    spared: int
    texts: tuple[str, ...]


def size(height: int, width: int, most: int) -> tuple[int, int]:
    """Return the height and width at which a picture is sent: at most ``most`` rows, never more than it has."""
    rows = min(height, most)
    return rows, max(1, round(width * rows / height))


def weigh(most: int) -> Callable[[Part], int]:
    """Return what counts the tokens of a part as Qwen2.5-Omni does, pictures being sent with at most ``most`` rows.

    A picture is scaled to whole cells of 28 x 28 pixels, one token each; a second of sound is 25 tokens; either stands
    between two marks. Words are estimated.
    """

    def tokens(part: Part) -> int:
        if isinstance(part, Line):
            return 6 + len(part.text) // 4
        if isinstance(part, Sound):
            return _MARKS + -(-(part.end - part.start) * _AUDIO_PER_SECOND // SECOND)
        rows, columns = size(part.frame.pixels.shape[0], part.frame.pixels.shape[1], most)
        return _MARKS + max(1, round(rows / _CELL)) * max(1, round(columns / _CELL))

    return tokens


class Scribe:
    """Writes the messages of one call, and remembers what it encoded. Belongs to one session and one thread.

    Args:
        system: the system text.
        picture_height: most rows of a picture.
    """

    def __init__(self, system: str, picture_height: int) -> None:
        self._system = _message("system", system)
        self._most = picture_height
        self._known: dict[Sight | Sound, _Encoded] = {}

    @property
    def kept(self) -> int:
        """How many pictures and stretches of sound are remembered."""
        return len(self._known)

    def write(self, parts: Sequence[Part], closing: str = "", known: Collection[str] = ()) -> Written:
        """Write the messages of a request.

        Args:
            parts: all that was read, oldest first; what is not in it any more is forgotten.
            closing: the last words of the person's side; ``""`` for none.
            known: hashes of media whose data the server has.
        """
        media = [part for part in parts if not isinstance(part, Line)]
        self._known = {part: self._known.get(part) or self._encode(part) for part in media}
        messages, texts = [self._system], [closing]
        waiting: list[bytes] = []
        told: list[str] = []
        for part in parts:
            if isinstance(part, Line) and part.role == AGENT:
                _settle(messages, waiting)
                told.append(part.text)
                texts.append(part.text)
                continue
            if told:
                messages.append(_message(AGENT, "\n".join(told)))
                told = []
            if isinstance(part, Line):
                texts.append(part.text)
                waiting.append(_text(part.text + "\n"))
            else:
                found = self._known[part]
                waiting.append(found.brief if found.uuid in known else found.full)
        if told:
            messages.append(_message(AGENT, "\n".join(told)))
        if closing:
            waiting.append(_text(closing))
        _settle(messages, waiting)
        uuids = [found.uuid for found in self._known.values()]
        return Written(
            messages=b"[" + b",".join(messages) + b"]",
            media=frozenset(uuids),
            spared=sum(uuid in known for uuid in uuids),
            texts=tuple(text for text in texts if text),
        )

    def _encode(self, part: Sight | Sound) -> _Encoded:
        if isinstance(part, Sight):
            data = jpeg(part.frame.pixels, self._most)
            uuid = hashlib.blake2b(data, digest_size=16).hexdigest()
            url = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
            return _media("image_url", {"url": url}, uuid)
        data = wav(part.samples)
        uuid = hashlib.blake2b(data, digest_size=16).hexdigest()
        return _media("input_audio", {"data": base64.b64encode(data).decode(), "format": "wav"}, uuid)


def jpeg(pixels: np.ndarray[Any, np.dtype[np.uint8]], most: int) -> bytes:
    """Return ``pixels``, uint8 RGB of shape ``(h, w, 3)``, as JPEG of at most ``most`` rows.

    Raises:
        ValueError: they cannot be encoded.
    """
    rows, columns = size(pixels.shape[0], pixels.shape[1], most)
    small = pixels
    if (rows, columns) != pixels.shape[:2]:
        small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError(f"a picture of shape {pixels.shape} cannot be made a JPEG")
    return bytes(data)


def wav(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    """Return ``samples``, float32 of shape ``(n,)`` at 16 kHz, as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def json_bytes(value: object) -> bytes:
    """Return ``value`` as compact JSON, UTF-8; the same value gives the same bytes."""
    # A lone surrogate, which a page may type, has no UTF-8 of its own.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _text(text: str) -> bytes:
    return json_bytes({"type": "text", "text": text})


def _message(role: str, content: str) -> bytes:
    return json_bytes({"role": role, "content": content})


def _media(kind: str, data: dict[str, str], uuid: str) -> _Encoded:
    full, brief = ({"type": kind, kind: found, "uuid": uuid} for found in (data, None))
    return _Encoded(json_bytes(full), json_bytes(brief), uuid)


def _settle(messages: list[bytes], waiting: list[bytes]) -> None:
    """Close the message of the person's side, if there is anything in it."""
    if waiting:
        messages.append(b'{"role":"%s","content":[%s]}' % (PERSON.encode(), b",".join(waiting)))
        waiting.clear()
