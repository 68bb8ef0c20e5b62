"""An omni model on a server decides: vLLM, SGLang, or whatever else speaks the OpenAI chat API over HTTP.

The server gets what the call's senses wrote, and the pictures and the sound themselves, as messages that only grow
(:mod:`policy.reel`, :mod:`policy.api_messages`). While the person speaks, ``prepare`` lets it read along, so that at
the end of a turn its caches hold all but the tail. The answer is one JSON object (:mod:`policy.form`), read while it is
being written: the face changes first, and the first clause is spoken while later ones are still to come. Greeting and
careful lane are curated, and every clause has to pass the gate (:mod:`policy.guard`).

A barge-in closes the connection, and the server stops writing. Whatever goes wrong (no server, a busy one, one that
stalls or writes nonsense) is an :class:`policy.api_errors.ApiError` within the limits of time, and nothing of it stays:
the next decision asks anew. docs/scaling.md has the commands that start a server, and how many calls one carries.

``think`` lets the model reason first, for the journal. ``structured`` says how the server is told to keep to the form:

* ``json_schema`` (default): ``response_format`` of the OpenAI API;
* ``structured_outputs``: vLLM's own field, from version 0.12;
* ``none``: the prompt alone.

Where an answer is asked for in a form of its own, by a benchmark's question, the model's text is given back as it is.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from policy.api_client import Client, Limits, Usage
from policy.api_reading import STRUCTURED
from policy.api_session import ApiSession, Asking
from policy.backends import Resolve
from policy.embedding import Embed, Embedder
from policy.guard import Guard

NATIVE: Final = True

T = TypeVar("T")

_HERE: Final = frozenset({"localhost", "::1"})

_OWN_FIELDS: Final = frozenset({"messages", "model", "stream", "stream_options"})


class OptionError(ValueError):
    """An option of the policy that cannot be."""


class OpenAIApi:
    """The policy; see the module. Made by :func:`load`.

    Args:
        asking: how the server is asked.
        guard: stands around it.
        key: of the server; ``""`` for none.
    """

    def __init__(self, asking: Asking, guard: Guard, key: str = "") -> None:
        self.asking = asking
        self.guard = guard
        self.client = Client(asking.url, key, asking.model)
        self._working = ThreadPoolExecutor(1, "api-work", initializer=_use_one_thread)

    @property
    def name(self) -> str:
        """``openai_api``."""
        return "openai_api"

    @property
    def sends_to(self) -> str:
        """Name of the machine that is sent words, sound and pictures; ``""`` where it is this one."""
        host = urlsplit(self.asking.url).hostname or ""
        return "" if host in _HERE or host.startswith("127.") else host

    @property
    def usage(self) -> Usage:
        """Requests and tokens so far, of all calls, as the server counts them."""
        return self.client.usage

    @property
    def embed(self) -> Embed | None:
        """The sentence encoder, for whatever else in the process compares sentences; ``None`` where none is loaded."""
        return self.guard.embed

    def session(self) -> ApiSession:
        """Begin a call."""
        return ApiSession(self)

    def close(self) -> None:
        """Drop what is under way and end the threads."""
        self.client.close()
        self._working.shutdown(wait=True, cancel_futures=True)

    async def work(self, job: Callable[[], T]) -> T:
        """Encode media, write requests and judge clauses off the loop, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._working, job)


def load(
    *,
    resolve: Resolve,
    url: str,
    model: str,
    key: str = "",
    key_file: str = "",
    hears: bool = True,
    sees: bool = True,
    think: bool = False,
    enhanced: bool = False,
    gate: bool = True,
    budget: int = 12_000,
    frame_every_s: float = 2.0,
    picture_height: int = 360,
    warm: bool = True,
    media_by_id: bool = False,
    structured: str = "json_schema",
    connect_s: float = 2.0,
    first_token_s: float = 4.0,
    between_tokens_s: float = 2.0,
    total_s: float = 20.0,
    answer_s: float = 60.0,
    retries: int = 1,
    most_tokens: int = 200,
    think_tokens: int = 256,
    answer_tokens: int = 64,
    answer_think_tokens: int = 1024,
    seed: int = 0,
    extra: Mapping[str, Any] | None = None,
) -> OpenAIApi:
    """Return the policy. The server is not asked for anything yet; it may come later.

    Args:
        resolve: gives ``minilm``, for the guard.
        url: where the API begins: ``http://127.0.0.1:8000/v1``.
        model: the name under which the server knows the model.
        key: sent as a bearer token. It is taken as it stands: no variable of the environment is put in.
        key_file: a file that holds the key, instead of ``key``.
        hears: whether the sound is sent.
        sees: whether pictures are sent.
        think: whether the model reasons before it decides.
        enhanced: whether it is told what to look for.
        gate: whether what it writes is judged before it is spoken.
        budget: most tokens of what is kept of a call; the server's context has to be longer.
        frame_every_s: a picture is sent at least this often.
        picture_height: most rows of a picture.
        warm: whether the server reads along while the person speaks.
        media_by_id: whether media that the server has read before are named by their hash alone (vLLM); where it has
            lost them, all are sent again, and so on for the rest of the call.
        structured: ``json_schema``, ``structured_outputs`` or ``none``; see the module.
        connect_s: longest wait for a connection.
        first_token_s: longest wait from asking to the first piece of an answer, retries included.
        between_tokens_s: longest silence in an answer.
        total_s: longest answer.
        answer_s: stands for ``first_token_s`` and ``total_s`` where a benchmark's question is answered.
        retries: how often a request is sent again at once while nothing has come: where no connection was made, where
            it broke off, and at 502, 503 and 504.
        most_tokens: of an answer.
        think_tokens: of the thought, in addition.
        answer_tokens: of the answer to a benchmark's question.
        answer_think_tokens: of one that asks for reasoning in ``<think>`` tags.
        seed: of the server's sampling; the likeliest token is taken anyhow.
        extra: further fields of a request, such as ``{modalities = ["text"]}`` for a server that also speaks.

    Raises:
        OptionError: an option cannot be; the message names it and the fix.
    """
    secret = _key(key, key_file)
    if structured not in STRUCTURED:
        raise OptionError(f"structured = {structured!r} is none of {', '.join(STRUCTURED)}")
    if not model.strip():
        raise OptionError('model is empty; name the model as the server does ("vllm serve" names it after its folder)')
    whole: list[tuple[str, int, int, int]] = [
        ("budget", budget, 256, 1_000_000),
        ("picture_height", picture_height, 28, 2160),
        ("retries", retries, 0, 5),
        ("most_tokens", most_tokens, 16, 4096),
        ("think_tokens", think_tokens, 16, 16_384),
        ("answer_tokens", answer_tokens, 1, 16_384),
        ("answer_think_tokens", answer_think_tokens, 1, 16_384),
    ]
    for name, value, least, most in whole:
        if not least <= value <= most:
            raise OptionError(f"{name} = {value} is not within {least}..{most}")
    for name, length, shortest in (("frame_every_s", frame_every_s, 0.5), ("answer_s", answer_s, 0.1)):
        if not shortest <= length <= 3600:
            raise OptionError(f"{name} = {length} is not within {shortest}..3600 seconds")
    taken = sorted(_OWN_FIELDS & set(extra or {}))
    if taken:
        raise OptionError(f"extra holds {', '.join(taken)}, which the policy sets itself; leave it out")
    try:
        limits = Limits(connect=connect_s, first_token=first_token_s, between_tokens=between_tokens_s, total=total_s)
    except ValueError as error:
        raise OptionError(str(error)) from None
    asking = Asking(
        url=_url(url),
        model=model,
        hears=hears,
        sees=sees,
        think=think,
        enhanced=enhanced,
        budget=budget,
        frame_every_s=frame_every_s,
        picture_height=picture_height,
        warm=warm,
        media_by_id=media_by_id,
        structured=structured,
        limits=limits,
        answer_s=answer_s,
        retries=retries,
        most_tokens=most_tokens,
        think_tokens=think_tokens,
        answer_tokens=answer_tokens,
        answer_think_tokens=answer_think_tokens,
        seed=seed,
        extra=dict(extra or {}),
    )
    return OpenAIApi(asking, Guard(Embedder(resolve("minilm")), judges=gate), secret)


def _url(url: str) -> str:
    found = url.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        parts = urlsplit(found)
        named = parts.hostname is not None and parts.port != 0
    except ValueError:
        named = False
    if not named or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise OptionError(f"url = {url!r} is no address of a server; write it like http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise OptionError("url holds a name or a password, which would stand in logs; put the key into key_file")
    return found


def _key(key: str, key_file: str) -> str:
    if key and key_file:
        raise OptionError("key and key_file are both set; leave one out")
    if key_file:
        try:
            key = Path(key_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is no text"
            raise OptionError(f"key_file = {key_file!r} cannot be read ({why}); name a file with the key") from None
        if not key:
            raise OptionError(f"key_file = {key_file!r} is empty; write the key into it")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise OptionError("the key has characters that cannot be sent; it is one word of plain letters and signs")
    return key


def _use_one_thread() -> None:
    """Keep the sentence encoder, where there is one, to one core: perception shares them."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
