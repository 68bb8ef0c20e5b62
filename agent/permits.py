"""What the caller allows to be perceived, now: it may change in mid-call, and what follows from that."""

from __future__ import annotations

from collections.abc import Callable

from agent.clock import Clock
from agent.consent import Bystanders, permitted, refused_senses
from agent.journal import Body, Note
from agent.parts import Parts
from agent.privacy.withdrawal import Left, reporters_of
from agent.sense_map import SenseMap
from agent.senses import Senses
from agent.transports import Transport
from agent.watch import NAMES, MediaType, MediaWatch
from perception.context import RollingContext
from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import Percept
from perception.timebase import Nanos


class Permits:
    """Stands between the caller's media and the senses of one call.

    Args:
        transport: the caller, who allows senses by name.
        parts: what could perceive, and how long media may stay away.
        senses: the workers, at work.
        context: remembers the media that somebody perceives.
        clock: of the call.
        record: takes what belongs in the journal.

    Attributes:
        allowed: names that are allowed, ``None`` for all.
    """

    def __init__(
        self,
        transport: Transport,
        parts: Parts,
        senses: Senses,
        context: RollingContext,
        clock: Clock,
        record: Callable[[Body], None],
    ) -> None:
        self.allowed: frozenset[str] | None = transport.senses
        self._transport = transport
        self._workers = parts.workers
        self._map = SenseMap.of(parts.workers)
        self._senses = senses
        self._context = context
        self._clock = clock
        self._record = record
        self._keep_media = parts.options.keep_media
        self._watch = MediaWatch(parts.options.lost_after)
        self._bystanders = Bystanders()
        self._taken = False

    def notice(self) -> None:
        """Follow a change of what is allowed."""
        allowed = self._transport.senses
        if allowed == self.allowed:
            return
        refused = self._senses.names if self.allowed is None else self.allowed
        gone = refused - (allowed if allowed is not None else refused)
        self.allowed = allowed
        self._senses.forget(gone)
        wanted = self.wanted()
        self._watch.restart(self._clock.now(), wanted)
        for kind in NAMES.keys() - wanted:
            self._context.forget_media(kind)
        self._record(Note("senses_changed", data={"allowed": sorted(allowed or ())}))
        self._taken = self._taken or bool(gone)

    def taken(self) -> bool:
        """Return whether something was taken back since this was last asked."""
        taken, self._taken = self._taken, False
        return taken

    def keeps_words(self) -> bool:
        """Return whether what was said may still be known."""
        return Left(self.allowed, self._workers, reporters_of(self._context.entries)).words

    def feed(self, media: Media) -> None:
        """Hand sound or a picture to whoever may perceive it."""
        if not self._senses.feed(media, self.allowed) and not self._keep_media:
            return
        match media:
            case AudioChunk():
                self._watch.saw(AudioChunk, media.end)
                self._context.hear(media)
            case VideoFrame():
                self._watch.saw(VideoFrame, media.at)
                self._context.see(media)
            case Text():
                pass

    def wanted(self) -> frozenset[MediaType]:
        """Return the media that at least one allowed worker wants."""
        allowed = self.allowed
        names = self._map.names if allowed is None else allowed
        found: set[MediaType] = {AudioChunk} if names & self._map.ears else set()
        return frozenset(found | ({VideoFrame} if names & self._map.eyes else set()))

    def lost(self, now: Nanos) -> list[Percept]:
        """Return ``sense_lost`` or ``sense_back`` for wanted media that went or came back."""
        return self._watch.step(now, self.wanted())

    def permitted(self, percept: Percept) -> Percept | None:
        """Return what of ``percept`` may be known, or ``None``; asked of each percept, in order."""
        found = permitted(percept, self.allowed, self._senses.names)
        return None if found is not None and self._bystanders.hides(found) else found

    def refused(self) -> frozenset[str]:
        """Return the senses that the policy must take for unknown."""
        return refused_senses(self.allowed, self._senses.names)
