"""A network that is gone for five seconds: the same call goes on, at once, without showing the past.

A caller talks; then nothing passes in either direction, STUN included; then all is well again, and the caller is
silent. Measured is the time from the network's return to the first sound and the first picture at the far end,
here and at stock aiortc in the same run; how many pictures older than 500 ms came out; and, with the loop that
answers live calls behind this transport (a worker that hears loudness, a policy that always answers), how often the
agent replied to the sentence that was cut.

    python -m benchmarks.reliability.outage [--seconds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.clock import SystemClock
from agent.initiative import InitiativeOptions
from agent.journal import Decided, Event
from agent.loop import Call
from agent.parts import CallOptions, Parts
from agent.transports import Transport
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from benchmarks.reliability import Caller, House, house, to_stock, verdict
from perception.context import ContextWindow
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import SPEECH_ENDED, SPEECH_STARTED, TRANSCRIPT, Datum, Percept
from perception.timebase import MS, SECOND, Nanos
from policy.decision import Decision, Speak

SOUND_S, PICTURE_S, REPLIES = 1.0, 2.0, 1


@dataclass(frozen=True)
class Outcome:
    """Of one listener; seconds are counted from the network's return.

    Attributes:
        sound_s: to the first sound that was sent after it.
        picture_s: to the first picture.
        stale: pictures older than 500 ms that came out from the outage on.
        burst_hz: most pictures within one second after it.
        same_call: whether it is still the first call.
        replies: how often the agent spoke from the outage on.
    """

    sound_s: float
    picture_s: float
    stale: int
    burst_hz: int
    same_call: bool
    replies: int


class Loudness:
    """A worker that takes loud sound for words: enough of an ear to hold a conversation with a hum."""

    name = "loudness"
    accepts = (AudioChunk, VideoFrame)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._since: Nanos | None = None
        self._last: Nanos = 0
        self._utterance = 0

    def __call__(self) -> Loudness:
        return self

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        found: list[Percept] = []
        for item in media:
            if isinstance(item, AudioChunk):
                found += self._hear(item)
        return found

    def _hear(self, chunk: AudioChunk) -> list[Percept]:
        if float(np.abs(chunk.samples).max(initial=0)) > 0.1:
            self._last = chunk.end
            if self._since is None:
                self._since = chunk.start
                return [Percept(SPEECH_STARTED, "", chunk.start, chunk.end, 0.9, self.name)]
        elif self._since is not None and chunk.end - self._last > 300 * MS:
            start, self._since = self._since, None
            self._utterance += 1
            data: dict[str, Datum] = {"utterance": float(self._utterance), "word_starts": (start / SECOND,)}
            return [
                Percept(SPEECH_ENDED, "", start, self._last, 0.9, self.name),
                Percept(TRANSCRIPT, "I was just saying that.", start, self._last, 0.9, self.name, data),
            ]
        return []


class Answers:
    """A policy that always has something to say."""

    name = "answers"

    def session(self) -> Answers:
        return self

    async def prepare(self, window: ContextWindow, /) -> None:
        return

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        yield Speak(text="I hear you.", tone="soft", strategy="reflection", emotion="warm", reason="A turn has ended.")

    async def close(self) -> None:
        return


class Always:
    """The policy around :class:`Answers`."""

    name = "answers"

    def session(self) -> Answers:
        return Answers()

    def close(self) -> None:
        return


class Conversation:
    """Holds the caller's call with the loop that answers live calls, and notes when the agent speaks."""

    def __init__(self, found: House, caller: Caller) -> None:
        self.spoke: list[float] = []
        self._caller = caller
        found.run = self.run

    async def run(self, transport: Transport) -> None:
        options = CallOptions(
            greeting=False,
            reflexes=False,
            keep_media=True,
            turns=TurnOptions(silence=0),
            initiative=InitiativeOptions(enabled=False),
        )
        clock = SystemClock()
        parts = Parts(workers=[_Seeing(self._caller, clock)], policy=Always(), voice=PlainVoice(), options=options)
        await Call(transport, parts, clock, [self._note]).run()

    def _note(self, event: Event) -> None:
        if isinstance(event.body, Decided) and isinstance(event.body.decision, Speak):
            self.spoke.append(time.perf_counter())


class _Seeing(Loudness):
    """Notes what reaches perception, too."""

    def __init__(self, caller: Caller, clock: SystemClock) -> None:
        super().__init__(caller)
        self._clock = clock

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        for item in media:
            if isinstance(item, VideoFrame):
                self._caller.picture((self._clock.now() - item.at) / SECOND)
            elif isinstance(item, AudioChunk):
                self._caller.sound(item.samples)
        return super().feed(media)


async def measure(seconds: float, after: float = 8.0, seed: int = 7) -> tuple[Outcome, Outcome, str]:
    """Return what happened here, at stock aiortc, and how bad the network was."""
    async with house() as found:
        ours, stock = Caller(seed=seed), Caller(seed=seed)
        talk = Conversation(found, ours)
        await found.call(ours)
        listener = await to_stock(stock)
        for caller in (ours, stock):
            caller.mic.silent = True
        await asyncio.sleep(1.0)
        ours.mic.humming, ours.mic.silent = True, False
        await asyncio.sleep(2.0)
        for caller in (ours, stock):
            caller.network.reset()
            caller.network.down = True
        cut = time.perf_counter()
        stale = (ours.seen.stale, stock.seen.stale)
        ours.mic.humming, ours.mic.silent = False, True
        packets = found.calls[0].intake.totals()["audio_received_count"]
        await asyncio.sleep(seconds)
        if found.calls[0].intake.totals()["audio_received_count"] > packets + 5:
            raise RuntimeError("sound came through an outage: nothing was measured")
        proof = f"here: {ours.network.prove(1.0)}; stock: {stock.network.prove(1.0)}"
        back = time.perf_counter()
        packets = found.calls[0].intake.totals()["audio_received_count"]
        for caller in (ours, stock):
            caller.network.down = False
        heard_at = float("inf")
        while time.perf_counter() < back + after:
            if heard_at == float("inf") and found.calls[0].intake.totals()["audio_received_count"] > packets:
                heard_at = time.perf_counter()
            await asyncio.sleep(0.02)
        outcomes = []
        for caller, before, at in (
            (ours, stale[0], heard_at),
            (stock, stale[1], next((t for t in stock.seen.sounds if t > back), float("inf"))),
        ):
            pictures = [t for t, _ in caller.seen.pictures if t > back]
            outcomes.append(
                Outcome(
                    sound_s=at - back,
                    picture_s=(pictures[0] if pictures else float("inf")) - back,
                    stale=caller.seen.stale - before,
                    burst_hz=max((sum(t <= u < t + 1 for u in pictures) for t in pictures), default=0),
                    same_call=len(found.calls) == 1 and not found.calls[0].over,
                    replies=sum(t > cut for t in talk.spoke) if caller is ours else 0,
                )
            )
        await listener.close()
    return outcomes[0], outcomes[1], proof


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the outage")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    here, there, proof = asyncio.run(measure(options.seconds, seed=options.seed))
    print(f"{proof}; {options.seconds:g} s without a network\n")
    print(f"{'after its return':14s}{'sound':>10s}{'picture':>10s}{'stale':>8s}{'most in 1 s':>13s}{'replies':>9s}")
    for name, found in (("rapport", here), ("stock aiortc", there)):
        print(
            f"{name:14s}{found.sound_s:8.2f} s{found.picture_s:8.2f} s{found.stale:8d}{found.burst_hz:13d}"
            + (f"{found.replies:9d}" if found is here else f"{'-':>9s}")
        )
    reached = {
        f"sound within {SOUND_S:g} s": here.sound_s <= SOUND_S,
        f"a picture within {PICTURE_S:g} s": here.picture_s <= PICTURE_S,
        "no picture older than 500 ms perceived": here.stale == 0,
        "still the same call": here.same_call,
        f"at most {REPLIES} reply": here.replies <= REPLIES,
    }
    return verdict(reached)


if __name__ == "__main__":
    sys.exit(main())
