"""One caller, across reconnections: what was agreed, what comes in, what goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import av
import structlog
from aiortc import RTCDataChannel

from agent import wire
from agent.action import Action, Caption, Display, HoldAudio, PlayAudio, Resource, StopAudio
from agent.clock import Clock
from agent.journal import Body, Event, Metric, Note
from agent.playout import Playout
from agent.token import EVERYTHING
from agent.transports import Feed, Hangup, Signal
from agent.transports._intake import Intake
from agent.transports._limits import CallLimits
from agent.transports._messages import Messages
from agent.transports._outbox import Outbox
from agent.transports._peer import Peer
from agent.transports._reorder import Packet
from perception.media import Text
from perception.timebase import MS, SECOND, Nanos, as_seconds

log = structlog.get_logger(__name__)

_TICK_S: Final = 0.1
_PAUSE: Final[Nanos] = 350 * MS
"""Silence between two clauses that is still one stretch of speech."""

_MEASURE: Final[Nanos] = 5 * SECOND
_REMEMBERED: Final = 256


class WebRtcCall:
    """One caller; implements :class:`agent.transports.Transport` and :class:`agent.transports._peer.Link`.

    Args:
        call_id: random name.
        clock: real time, until :meth:`receive` brings the call's own clock.
        limits: when a caller counts as gone, and what may be perceived.
        about: the agent's parts by name, shown to the client.
        watch: sees every event that is told.
        grants: what the caller may do, of ``audio video data observe``; without ``data`` typed words are refused,
            without ``observe`` nothing of what the agent perceives and decides is shown. The media are seen to in
            the offer.

    Attributes:
        began: when the caller first asked, on ``clock``.
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
        self.intake = Intake(limits.gates, None if given else frozenset(), self._report)
        self.peer: Peer | None = None
        self._call_id = call_id
        self._wall = clock
        self._clock: Clock | None = None
        self._limits = limits
        self._about = dict(about)
        self._watch = watch
        self._consented = given
        self._captions = wire.Captions()
        self._firsts: dict[int, Nanos] = {}
        self._reply = 0
        self._speaking = False
        self._sound_at: Nanos = 0
        self.began: Nanos = clock.now()
        self._seen_at: Nanos = self.began
        self._gone_at: Nanos | None = None
        self._measured_at: Nanos = self._seen_at
        self._dropped = 0
        self._grants = grants
        self._messages = Messages(limits.messages, self._seen_at)
        self._unread = 0
        self._over = asyncio.Event()
        self._connected = asyncio.Event()
        self._came = False
        self._link = "live"
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
                self._quiet()
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
        return self._firsts.get(reply)

    def tell(self, event: Event) -> None:
        """Show the client an event."""
        self._watch(event)
        for message in wire.event(event) if "observe" in self._grants else ():
            self.outbox.post(message)

    async def close(self) -> None:
        """Free everything; may be called twice."""
        self.hang_up("closed")
        self.playout.close()
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.say_goodbye(wire.signal("peerLeft"))
            await peer.close()
        self.outbox.attach(None)

    # What the door does.

    @property
    def over(self) -> bool:
        """Whether the caller is gone."""
        return self._over.is_set()

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

    async def connected(self) -> None:
        """Wait until media can flow, or the call is over."""
        await self._connected.wait()

    async def attach(self, peer: Peer) -> None:
        """Go on over ``peer``; close the one before."""
        old, self.peer = self.peer, peer
        self._seen_at, self._gone_at = self._wall.now(), None
        if old is None:
            return
        self.outbox.attach(None)
        self.intake.restart()
        await old.close()
        self._report(Note("reconnected"))

    # What a peer tells.

    def changed(self, peer: Peer) -> None:
        """Follow the state of the connection."""
        if peer is not self.peer:
            return
        if peer.connected:
            self._came = True
            self._seen_at, self._gone_at = self._wall.now(), None
            self._connected.set()
        elif peer.over and self._gone_at is None:
            self._gone_at = self._wall.now()

    def opened(self, peer: Peer, channel: RTCDataChannel) -> None:
        """Send over the new channel what has been waiting."""
        if peer is self.peer:
            self.outbox.attach(channel)

    def heard(self, peer: Peer, packet: Packet) -> None:
        """Take in a packet of the microphone."""
        if peer is self.peer:
            self._seen_at = self._wall.now()
            self.intake.hear(packet)

    def seen(self, peer: Peer, frame: av.VideoFrame, source: str) -> None:
        """Take in a picture."""
        if peer is self.peer:
            self._seen_at = self._wall.now()
            self.intake.see(frame, source)

    def said(self, peer: Peer, message: str | bytes) -> None:
        """Do what a message asks."""
        if peer is not self.peer or self.over:
            return
        self._seen_at = self._wall.now()
        limits = self._limits.messages
        try:
            match self._messages.judge(len(message), self._seen_at):
                case "read":
                    self._obey(wire.parse(message))
                case "warn":
                    most = f"more than {limits.rate_hz:g} messages a second or {limits.most_bytes} bytes in one"
                    raise wire.WireError(f"{most}; what goes beyond is not read")
                case "close":
                    self.abused(peer, "too many messages that were not read")
        except wire.WireError as error:
            self.outbox.post(wire.error_response(error.id, str(error)))

    def abused(self, peer: Peer, why: str) -> None:
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
                for answer in wire.bot_ready(message, self._about):
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
                self.playout.stop(self._reply)
                self._quiet()
                intake.hand(Signal("stop"))
                self.outbox.post(wire.response(message))
            case wire.PushToTalk():
                intake.push_to_talk, intake.held = message.enabled, message.enabled and message.held
                intake.hand(Signal("push_to_talk", enabled=intake.push_to_talk, held=intake.held))
                self.outbox.post(wire.response(message))
                self._show_state()
            case wire.Consent() | wire.Senses():
                self._agree(message)

    def _agree(self, message: wire.Consent | wire.Senses) -> None:
        if isinstance(message, wire.Consent):
            self._consented = True
            self._report(Note("consent", data={"version": str(message.version)[:64]}))
        elif not self._consented:
            raise wire.WireError("consent comes first", message.id)
        self.intake.senses = message.senses
        self._log.info("senses_allowed", senses=sorted(message.senses))
        self.intake.hand(Signal("senses"))
        self.outbox.post(wire.response(message, {"senses": sorted(message.senses)}))
        self._show_state()

    def _tick(self) -> None:
        now = self._wall.now()
        if self._gone_at is not None and now - self._gone_at > self._limits.return_within:
            self.hang_up("connection closed")
        elif now - self._seen_at > self._limits.dead_after:
            self.hang_up("no sign of life")
        if self.peer is not None:
            self.peer.inlet.flush()
        self.intake.tick()
        self._follow_link(now - self._seen_at)
        self._follow_voice(now)
        if now - self._measured_at >= _MEASURE:
            self._measured_at = now
            self._measure()

    def _measure(self) -> None:
        for metric in self.intake.measure(self.peer.counts() if self.peer is not None else {}):
            self._report(metric)
        if self.outbox.dropped > self._dropped:
            self._report(Metric("messages_dropped_count", self.outbox.dropped - self._dropped))
            self._dropped = self.outbox.dropped
        if self._messages.refused > self._unread:
            self._report(Metric("messages_refused_count", self._messages.refused - self._unread))
            self._unread = self._messages.refused

    def _follow_link(self, silent: Nanos) -> None:
        limits = self._limits
        link = "lost" if silent > limits.lost_after else "degraded" if silent > limits.degraded_after else "live"
        if link != self._link:
            self._link = link
            self._report(Note("link", data={"state": link, "silent_s": round(as_seconds(silent), 1)}))

    def _follow_voice(self, now: Nanos) -> None:
        if not self.playout.idle:
            self._sound_at = now
        elif self._speaking and now - self._sound_at > _PAUSE:
            self._quiet()

    def _left(self, reply: int) -> None:
        """The first sound of a reply leaves."""
        self._reply = reply
        self._firsts[reply] = self._now()
        while len(self._firsts) > _REMEMBERED:
            del self._firsts[next(iter(self._firsts))]
        self._sound_at = self._wall.now()
        self._voice(speaking=True)

    def _quiet(self) -> None:
        if self._speaking:
            self._voice(speaking=False)

    def _voice(self, *, speaking: bool) -> None:
        state = "started" if speaking else "stopped"
        self.outbox.post(wire.ours("voice", state=state, reply=self._reply))
        if speaking != self._speaking:
            self.outbox.post(wire.Outbound(type=f"bot-{state}-speaking"))
        self._speaking = speaking

    def _show_state(self, *, anyway: bool = False) -> None:
        intake = self.intake
        state = wire.state(
            call=self._call_id,
            consent=self._consented,
            senses=intake.senses,
            microphone=intake.microphone,
            camera=intake.camera,
            push_to_talk=intake.push_to_talk,
            agent=self._about,
        )
        if anyway or state != self._shown:
            self._shown = state
            self.outbox.post(state)

    def _report(self, body: Body) -> None:
        self.tell(Event(self._now(), body))

    def _now(self) -> Nanos:
        return self._clock.now() if self._clock is not None else 0
