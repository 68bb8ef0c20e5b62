"""A call with an agent, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Final, Literal

from rapport_client.carrying import Asked, Carrier, rtvi
from rapport_client.dialling import Address
from rapport_client.errors import CallOver, FrameError, NotDone, RapportError
from rapport_client.events import Answer, Back, Event, Fatal, Hello, Lost, Perceived, Sound, State, Voice, parse
from rapport_client.frames import SIZE, SOURCES, Kind, unpack
from rapport_client.mailbox import Mailbox
from rapport_client.outgoing import Outgoing
from rapport_client.sound import Pcm, pcm16, rgb_of
from rapport_client.speaker import Speaker

Duplex = Literal["full", "half", "push"]

_ANSWER_S: Final = 10.0
_EVENTS: Final = 512
_TAIL_S: Final = 0.3
_AFFECT: Final = frozenset({"face", "prosody"})
_HEARING: Final = frozenset({"vad", "asr", "prosody", "turn"})


class Call:
    """One call. An asynchronous context manager; iterate over it for its events.

    Made by :meth:`rapport_client.Rapport.connect`.

    Attributes:
        speaker: the agent's voice for a loudspeaker: read it from the sound card's callback.
        id: name of the call.
        state: the call as the server has it; ``None`` before it has said so.
        perceived: which senses take in something now.
        missed: events that nobody read in time.
    """

    def __init__(
        self,
        address: Address,
        *,
        duplex: Duplex = "full",
        affect: Iterable[str] = _AFFECT,
        events: int = _EVENTS,
        ahead_s: float = 0.06,
    ) -> None:
        if duplex not in ("full", "half", "push"):
            raise ValueError(f"duplex is 'full', 'half' or 'push', not {duplex!r}")
        self.speaker = Speaker(address.sound_hz or 24_000, ahead_s)
        self.id = ""
        self.state: State | None = None
        self.perceived = Perceived()
        self._duplex = duplex
        self._affect = frozenset(affect)
        self._mailbox = Mailbox(events)
        self._outgoing = Outgoing()
        self._announce: Callable[[Perceived], None] | None = None
        self._carrier = Carrier(address, self._outgoing, self)
        self._task: asyncio.Task[None] | None = None
        self._asked = Asked()
        self._number = 0
        self._failure: RapportError | None = None
        self._held = False
        self._talks_until = 0.0
        self._talking = False
        self._known = asyncio.Event()

    # From beginning to end.

    async def __aenter__(self) -> Call:
        self.id = (await self._carrier.begin()).call
        self._task = asyncio.create_task(self._live(), name=f"rapport:{self.id}")
        if self._duplex == "push":
            await self._ask("push-to-talk", {"enabled": True, "held": False})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.hang_up()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens, until the call is over.

        Raises:
            CallOver: it ended, and not because this side hung up; the message says why.
        """
        while (event := await self._mailbox.get()) is not None:
            yield event
        if self._failure is not None:
            raise self._failure

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self._task is None or self._task.done()

    @property
    def missed(self) -> int:
        """How many events nobody read in time."""
        return self._mailbox.missed

    async def hang_up(self) -> None:
        """End the call; may be called twice."""
        if not self.over:
            await self._carrier.hang_up()
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # What the person and the program want.

    async def consent(
        self,
        senses: Iterable[str] | None = None,
        *,
        version: str = "rapport-client-1",
        locale: str = "",
        recording: bool = False,
    ) -> None:
        """Say what the person has agreed to be perceived.

        Before that nothing is, unless the server's operator has seen to it otherwise.

        Args:
            senses: names of senses; all that the agent has by default.
            version: of the text that the person was shown or told.
            locale: its language, as ``en-GB``.
            recording: whether their words may be written down.

        Raises:
            NotDone: the server did not take it.
        """
        names = await self._all_senses() if senses is None else sorted(set(senses))
        wish = {"senses": names, "version": version, "locale": locale, "recording": recording}
        await self._ask("consent", wish)

    async def senses(self, senses: Iterable[str], *, recording: bool | None = None) -> None:
        """Change what may be perceived, in mid-call; after :meth:`consent`.

        Raises:
            NotDone: the server did not take it.
        """
        more = {} if recording is None else {"recording": recording}
        await self._ask("senses", {"senses": sorted(set(senses))} | more)

    async def say(self, text: str) -> None:
        """Send typed words."""
        self._send(rtvi("send-text", {"content": text}))

    async def stop(self) -> None:
        """Tell the agent to be quiet now."""
        await self._ask("stop")

    async def talk(self, held: bool) -> None:
        """Say that the button of push-to-talk is down, or up again.

        Raises:
            ValueError: the call is not ``duplex="push"``.
        """
        if self._duplex != "push":
            raise ValueError('talk() is for calls with duplex="push"')
        self._held = held
        await self._ask("push-to-talk", {"enabled": True, "held": held})

    async def mute(self, *, microphone: bool | None = None, camera: bool | None = None) -> None:
        """Say that the person has muted (``True``) or unmuted the microphone, or covered the camera."""
        for index, muted in enumerate((microphone, camera)):
            if muted is not None:
                status = {"type": "trackStatus", "receiver_index": index, "enabled": not muted}
                self._send(json.dumps({"type": "signalling", "message": status}))

    def announce_affect(self, show: Callable[[Perceived], None]) -> None:
        """Have ``show`` called now, and whenever it changes whether people are perceived, to the end of the call.

        It is for the light or the sound by which people know: :class:`Perceived` is true while anybody is perceived,
        and its ``affect`` says that feelings are read. It is called on the event loop and must not block.
        """
        self._announce = show
        show(self.perceived)

    # Media.

    async def send_audio(self, sound: Pcm, rate_hz: int = 16_000) -> None:
        """Send sound of the microphone, or of a file, of any length; waits while it is ahead of time or cannot be sent.

        Args:
            sound: bytes of 16-bit little-endian mono, or an array of int16 or float32.
            rate_hz: 16000, 24000 or 48000.

        Raises:
            ValueError: the sound is of another kind.
            CallOver: nobody is there any more.
        """
        self._check_alive()
        await self._outgoing.sound(self._heard(pcm16(sound)), _rate(rate_hz))

    def offer_audio(self, sound: Pcm, rate_hz: int = 16_000) -> None:
        """Send sound without waiting, as a microphone's callback must; what cannot be sent in two seconds is dropped.

        Raises:
            ValueError: the sound is of another kind.
        """
        self._outgoing.offer(self._heard(pcm16(sound)), _rate(rate_hz))

    def send_jpeg(self, data: bytes, source: str = "camera") -> bool:
        """Send a baseline JPEG file; never waits.

        Returns:
            Whether the picture before has been sent; if not, this one takes its place.
        """
        return self._outgoing.picture(Kind.JPEG, _source(source), bytes(data))

    def send_rgb(self, picture: Any, source: str = "camera") -> bool:
        """Send an array of uint8 of shape ``(h, w, 3)`` as it is: 0.9 MB for 640x480. See :meth:`send_jpeg`.

        Raises:
            ValueError: it is none, or larger than a message may be; then send it as JPEG.
        """
        width, height, rows = rgb_of(picture)
        hello = self._carrier.hello
        most = hello.limits.frame_bytes if hello is not None else 1 << 20
        if len(rows) + 32 > most:
            raise ValueError(f"{width}x{height} has {len(rows)} bytes, at most {most} are taken; send it as JPEG")
        return self._outgoing.picture(Kind.RGB, _source(source), SIZE.pack(width, height) + rows)

    def _heard(self, pcm: bytes) -> bytes:
        """Return what the microphone heard, or silence where that would be the agent, or nobody who means to talk."""
        hush = self._duplex == "push" and not self._held
        if self._duplex == "half":
            hush = self._talking or self.speaker.playing or time.monotonic() < self._talks_until
        return bytes(len(pcm)) if hush else pcm

    # Inside.

    def _check_alive(self) -> None:
        if self.over:
            raise self._failure or CallOver("the call is over")

    def _send(self, text: str) -> None:
        self._check_alive()
        self._outgoing.text(text)

    async def _ask(self, t: str, d: dict[str, Any] | None = None) -> None:
        self._number += 1
        id = f"r{self._number}"
        answer = self._asked[id] = asyncio.get_running_loop().create_future()
        hello = self._carrier.hello
        try:
            self._send(rtvi("client-message", {"t": t, "d": d or {}}, id))
            async with asyncio.timeout(_ANSWER_S + (hello.link.kept_s if hello is not None else 0.0)):
                error = await answer
        except TimeoutError:
            raise NotDone(f"the server did not answer to {t}") from None
        finally:
            self._asked.pop(id, None)
        if error:
            raise NotDone(error)

    async def _all_senses(self) -> list[str]:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._known.wait()
        except TimeoutError:
            raise NotDone("the server did not say which senses it has") from None
        self._check_alive()
        return sorted(map(str, self.state.agent.get("workers", []))) if self.state is not None else []

    async def _live(self) -> None:
        try:
            await self._carrier.live()
        except RapportError as error:
            self._failure = error
        finally:
            self.speaker.clear()
            self._asked.end(self._failure or CallOver("the call is over"))
            self._show(Perceived())
            self._known.set()
            self._mailbox.close()

    # What the carrier tells.

    def lost(self, kept_s: float) -> None:
        """The connection is lost."""
        self.speaker.clear()
        self._talking = False
        self._show(Perceived())
        self._mailbox.put(Lost(kept_s))

    def back(self, after_s: float) -> None:
        """The call goes on."""
        self._mailbox.put(Back(after_s))

    def sounded(self, message: bytes) -> None:
        """A frame has come."""
        try:
            frame = unpack(message)
        except FrameError:
            return
        self._talks_until = time.monotonic() + _TAIL_S
        if frame.kind is Kind.PCM16 and self.speaker.write(frame.payload, frame.reply):
            self._mailbox.put(Sound(frame.payload, frame.detail * 1000, frame.reply))

    def told(self, message: str) -> None:
        """A text has come."""
        match parse(message):
            case None | Hello():
                return
            case Answer(id, error):
                self._asked.answer(id, error)
            case Fatal(reason):
                raise CallOver(reason)
            case event:
                if isinstance(event, Voice):
                    self._speaks(event)
                elif isinstance(event, State):
                    self.state = event
                    self._known.set()
                    self._show(self._perceived(event))
                self._mailbox.put(event)

    def _speaks(self, voice: Voice) -> None:
        match voice.state:
            case "started":
                self._talking = True
            case "held":
                self.speaker.hold(voice.reply)
            case "resumed":
                self.speaker.go_on()
            case "stopped":
                self._talking = False
                self._talks_until = time.monotonic() + _TAIL_S
                if voice.cut:
                    self.speaker.drop(voice.reply)
                    self._mailbox.forget_sound(voice.reply)
                else:
                    self.speaker.end()

    def _perceived(self, state: State) -> Perceived:
        names = state.agent.get("workers", []) if state.senses is None else state.senses
        on = {n for n in map(str, names) if (state.microphone if n in _HEARING else state.camera)}
        return Perceived(frozenset(on), bool(on & self._affect))

    def _show(self, perceived: Perceived) -> None:
        if perceived != self.perceived:
            self.perceived = perceived
            if self._announce is not None:
                self._announce(perceived)


def _rate(rate_hz: int) -> int:
    if rate_hz not in (16_000, 24_000, 48_000):
        raise ValueError(f"rate_hz is 16000, 24000 or 48000, not {rate_hz}; resample first")
    return rate_hz


def _source(source: str) -> int:
    if source not in SOURCES:
        raise ValueError(f"source is one of {', '.join(SOURCES)}, not {source!r}")
    return SOURCES.index(source)
