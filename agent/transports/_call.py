"""One caller, across reconnections: what was agreed, what comes in, what goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import av
import numpy as np
import structlog
from numpy.typing import NDArray

from agent import wire
from agent.action import Action, Caption, Display, HoldAudio, PlayAudio, Resource, StopAudio
from agent.clock import Clock
from agent.closing import close_all
from agent.journal import Body, Event, Note
from agent.playout import Playout
from agent.privacy.agreement import APPLICATION, Agreement
from agent.token import EVERYTHING
from agent.transports import Feed, Hangup, Signal
from agent.transports._consenting import Allowed, Consenting
from agent.transports._intake import Intake
from agent.transports._limits import CallLimits
from agent.transports._link import Channel, Connection
from agent.transports._liveness import Liveness
from agent.transports._messages import Messages
from agent.transports._numbers import Numbers
from agent.transports._outbox import Outbox
from agent.transports._reorder import Packet
from agent.transports._retelling import Retelling
from agent.transports._speaking import Speaking
from perception.media import Text, VideoFrame
from perception.timebase import Nanos, as_seconds

log = structlog.get_logger(__name__)

_TICK_S: Final = 0.1

CLOSE_S: Final = 8.0
"""All of closing: the connection by itself, and what is left of it step by step."""


class RemoteCall:
    """One caller; implements :class:`agent.transports.Transport` and :class:`agent.transports._link.Link`.

    Args:
        call_id: random name.
        clock: real time, until :meth:`receive` brings the call's own clock.
        limits: when a caller counts as gone, and what may be perceived.
        about: the agent's parts by name, shown to the client.
        watch: sees every event that is told.
        grants: what the caller may do, of ``audio video data observe`` (the media are seen to in the offer); without
            ``data`` typed words are refused, without ``observe`` nothing of what the agent perceives is shown.

    Attributes:
        began: when the caller first asked, on ``clock``.
        life: whether the caller is still there.
    """

    def __init__(
        self,
        call_id: str,
        clock: Clock,
        limits: CallLimits,
        about: Mapping[str, Any],
        watch: Callable[[Event], None] = lambda event: None,
        grants: frozenset[str] = EVERYTHING,
    ) -> None:
        given = limits.consent == "given"
        self.playout = Playout()
        self.playout.on_first = self._left
        self.outbox = Outbox()
        self._speaking = Speaking(self.outbox.post)
        said = Allowed(None, Agreement(recording=True, by=APPLICATION)) if given else Allowed()
        self._consenting = Consenting(limits.senses, said, clock.now(), self._consented)
        self.intake = Intake(limits.senses, said.senses, self._report, most_video_hz=limits.most_video_hz)
        self.peer: Connection | None = None
        self.began: Nanos = clock.now()
        self.life = Liveness(limits, self.began)
        self._call_id = call_id
        self._wall = clock
        self._clock: Clock | None = None
        self._limits = limits
        self._about = dict(about)
        self._watch = watch
        self._captions = Retelling(limits.senses.ears, limits.senses.eyes, said.senses)
        self._grants = grants
        self._messages = Messages(limits.messages, self.began)
        self._numbers = Numbers(self.intake, self.outbox, self._messages, self.began)
        self._over = asyncio.Event()
        self._connected = asyncio.Event()
        self._came = False
        self._stood: Callable[[], None] = lambda: None
        self._shown: wire.Outbound | None = None
        self._why = ""
        self._log = log.bind(call=call_id)

    # The contract of a transport.

    @property
    def call_id(self) -> str:
        """A random name for the call, in logs and in the journal."""
        return self._call_id

    @property
    def senses(self) -> frozenset[str] | None:
        """Names of the workers that the caller allows; none before they have said so."""
        return self.intake.senses

    @property
    def agreement(self) -> Agreement | None:
        """What the caller agreed to beside the senses; ``None`` before that."""
        return self._consenting.now.agreement

    @property
    def types(self) -> bool:
        """Whether the caller may type."""
        return "data" in self._grants

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Feed sound, pictures, typed words and signals until the caller is gone.

        Raises:
            Hangup: always, in the end.
        """
        self._clock = clock
        self.intake.open(feed, clock)
        try:
            while not self._over.is_set():
                try:
                    async with asyncio.timeout(_TICK_S):
                        await self._over.wait()
                except TimeoutError:
                    self._tick()
        finally:
            self.intake.close()
        raise Hangup(self._why)

    async def send(self, action: Action) -> None:
        """Carry out an action; ``PlayAudio`` waits while more than 200 ms is unplayed. Silent after the end."""
        match action:
            case PlayAudio(chunk, reply):
                await self.playout.put(chunk, reply)
            case StopAudio(reply):
                self.playout.stop(reply)
                self._speaking.cut(reply)
            case HoldAudio(held, reply):
                self.playout.hold(held, reply)
                self.outbox.post(wire.ours("voice", state="held" if held else "resumed", reply=reply))
            case Caption():
                for message in self._captions.messages(action):
                    self.outbox.post(message)
            case Display() | Resource():
                self.outbox.post(wire.display(action))

    def played(self, reply: int) -> Nanos:
        """How much sound of ``reply`` has been sent off."""
        return self.playout.played(reply)

    def first_out(self, reply: int) -> Nanos | None:
        """When the first sound of ``reply`` was sent off, on the call's clock."""
        return self._speaking.first_out(reply)

    def tell(self, event: Event) -> None:
        """Show the client an event."""
        self._watch(event)
        for message in wire.event(event) if "observe" in self._grants or wire.concerns_person(event) else ():
            self.outbox.post(message)

    async def close(self) -> None:
        """Free everything, even where the task that does it is cancelled; may be called twice."""
        self.hang_up("closed")
        self.playout.close()
        peer, self.peer = self.peer, None
        self.outbox.attach(None)
        if peer is not None:
            peer.say_goodbye(wire.signal("peerLeft"))
            await close_all([("peer", peer.close)], CLOSE_S)

    # What the door does.

    @property
    def over(self) -> bool:
        """Whether the caller is gone."""
        return self._over.is_set()

    @property
    def reply(self) -> int:
        """Number of the reply that was heard last."""
        return self._speaking.reply

    @property
    def came(self) -> bool:
        """Whether a connection has ever stood."""
        return self._came

    def hang_up(self, why: str) -> None:
        """End the call, once."""
        if not self._over.is_set():
            self._why = why
            self._over.set()
            self._connected.set()

    def step_out(self) -> None:
        """The page is gone and may come back; the call waits, and gives way to whoever asks for its line."""
        if self._came:
            self.life.step_out(self._wall.now())
        else:
            self.hang_up("bye")

    async def connected(self) -> None:
        """Wait until media can flow, or the call is over."""
        await self._connected.wait()

    async def attach(self, peer: Connection, stood: Callable[[], None] = lambda: None) -> None:
        """Go on over ``peer``; close the one before.

        Args:
            peer: the new connection.
            stood: called when it stands.
        """
        old, self.peer = self.peer, peer
        self._stood = stood
        self.life.attached(self._wall.now())
        if old is None:
            return
        self.outbox.attach(None)
        self.intake.restart()
        # Another page may still show the call; the one that went on by itself no longer listens here.
        old.say_goodbye(wire.ours("link", state="moved").text())
        await old.close()
        self._report(Note("reconnected"))

    # What a peer tells.

    def changed(self, peer: Connection) -> None:
        """Follow the state of the connection."""
        if peer is not self.peer:
            return
        if peer.connected:
            self._came = True
            self.life.attached(self._wall.now())
            self._connected.set()
            self._stood()
        elif peer.over:
            self.life.cut(self._wall.now())

    def opened(self, peer: Connection, channel: Channel) -> None:
        """Send over the new channel what has been waiting."""
        if peer is self.peer:
            self.outbox.attach(channel)

    def heard(self, peer: Connection, packet: Packet) -> None:
        """Take in a packet of the microphone."""
        if peer is self.peer:
            self.life.sign(self._wall.now())
            self.intake.hear(packet)

    def listened(self, peer: Connection, samples: NDArray[np.float32], ticks: int) -> None:
        """Take in sound: float32 mono at 48 kHz."""
        if peer is self.peer:
            self.life.sign(self._wall.now())
            self.intake.listen(samples, ticks)

    def seen(self, peer: Connection, frame: av.VideoFrame, source: str) -> None:
        """Take in a picture."""
        if peer is self.peer:
            self.life.sign(self._wall.now())
            self.intake.see(frame, source)

    def glimpsed(self, peer: Connection, ticks: int, source: str) -> Nanos | None:
        """Return the instant of a picture, taken at ``ticks`` of 90 kHz, if it is worth decoding."""
        if peer is not self.peer:
            return None
        self.life.sign(self._wall.now())
        return self.intake.glimpse(ticks, source)

    def shown(self, peer: Connection, frame: VideoFrame) -> None:
        """Take in a picture that was worth decoding."""
        if peer is self.peer:
            self.intake.show(frame)

    def said(self, peer: Connection, message: str | bytes) -> None:
        """Do what a message asks."""
        if peer is not self.peer or self.over:
            return
        now = self._wall.now()
        self.life.sign(now)
        try:
            match self._messages.judge(len(message), now):
                case "read":
                    self._obey(wire.parse(message))
                case "warn":
                    raise wire.WireError(f"more than {self._limits.messages}; what goes beyond is not read")
                case "close":
                    self.abused(peer, "too many messages that were not read")
        except wire.WireError as error:
            self.outbox.post(wire.error_response(error.id, str(error)))

    def abused(self, peer: Connection, why: str) -> None:
        """Close the channel; and end the call, for without it a person could not take back what they allowed."""
        if peer is self.peer:
            self._log.warning("data_channel_closed", why=why)
            self._report(Note("data_channel_closed", "warning", {"why": why}))
            peer.close_channels()
            self.hang_up("data channel closed")

    # Inside.

    def _obey(self, message: wire.Inbound) -> None:
        intake = self.intake
        match message:
            case wire.Ping():
                pass
            case wire.ClientReady():
                for answer in (*wire.bot_ready(message, self._about), *self._captions.greeted()):
                    self.outbox.post(answer)
                self._show_state(anyway=True)
            case wire.Disconnect():
                self.hang_up("disconnect-bot")
            case wire.SendText() if "data" not in self._grants:
                raise wire.WireError("typed words are not granted by the token of this call")
            case wire.SendText():
                intake.hand(Text(message.content, at=self._now()))
            case wire.TrackStatus():
                if message.receiver_index == 0:
                    intake.microphone = message.enabled
                elif message.receiver_index == 1:
                    intake.camera = message.enabled
                self._show_state()
            case wire.Echo():
                self.outbox.post(wire.response(message))
            case wire.Stop():
                self.playout.stop(self._speaking.reply)
                self._speaking.cut(self._speaking.reply)
                intake.hand(Signal("stop"))
                self.outbox.post(wire.response(message))
            case wire.PushToTalk():
                intake.push_to_talk, intake.held = message.enabled, message.enabled and message.held
                intake.hand(Signal("push_to_talk", enabled=intake.push_to_talk, held=intake.held))
                self.outbox.post(wire.response(message))
                self._show_state()
            case wire.Consent() | wire.Senses():
                self.outbox.post(wire.response(message, self.agree(message)))

    def agree(self, message: wire.Consent | wire.Senses) -> dict[str, Any]:
        """Do what a message allows and takes back; return what holds. Raises ``WireError`` for what is not done."""
        return self._consenting.ask(message, self._wall.now())

    def _consented(self, before: Allowed, now: Allowed) -> None:
        self.intake.senses = now.senses
        self._captions.allow(now.senses)
        if now.agreement is not None and (before.agreement or Agreement()).version != now.agreement.version:
            self._report(Note("consent", data={"version": now.agreement.version}))
        self._log.info("senses_allowed", count=None if now.senses is None else len(now.senses))
        self.intake.hand(Signal("senses"))
        self._show_state()

    def _tick(self) -> None:
        now = self._wall.now()
        if self.peer is not None:
            self.peer.flush()
        self.intake.tick()
        self._consenting.tick(now)
        self._follow_link(now)
        self._speaking.follow(now, idle=self.playout.idle)
        for metric in self._numbers.step(now, self.peer):
            self._report(metric)

    def _follow_link(self, now: Nanos) -> None:
        state = self.life.look(now)
        if state is not None:
            silent_s = round(as_seconds(self.life.silent(now)), 1)
            self.outbox.hold(False)
            self.outbox.post(wire.ours("link", state=state, silent_s=silent_s))
            self._report(Note("link", data={"state": state, "silent_s": silent_s}))
            self.outbox.hold(state != "live")
        if state == "closed":
            self.hang_up(self.life.gone(now))

    def _left(self, reply: int) -> None:
        self._speaking.left(reply, self._now(), self._wall.now())

    def _show_state(self, *, anyway: bool = False) -> None:
        intake, consent = self.intake, self.agreement is not None
        devices = {"microphone": intake.microphone, "camera": intake.camera, "push_to_talk": intake.push_to_talk}
        state = wire.state(call=self._call_id, consent=consent, senses=intake.senses, agent=self._about, **devices)
        if anyway or state != self._shown:
            self._shown = state
            self.outbox.post(state)

    def _report(self, body: Body) -> None:
        self.tell(Event(self._now(), body))

    def _now(self) -> Nanos:
        return self._clock.now() if self._clock is not None else 0
