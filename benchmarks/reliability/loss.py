"""Loss in both directions: this transport beside stock aiortc, in the same run, on equally bad networks.

Two callers send the same packets of sound and small pictures over loopback. The network is clean, then loses each
UDP packet with the same chance in both directions (media, requests to send again, STUN, everything), then is
clean again. Counted is what comes out at the far end: of ``feed()`` here, of ``track.recv()`` there. What was
decoded from a copy in the next packet (in-band FEC) or made up is counted apart, and not as delivered.

    python -m benchmarks.reliability.loss [--seconds 10] [--loss 0.1] [--words]

``--seconds 60`` gives the figures of docs/operations.md. ``--words`` adds the word errors of speech recognition on
twelve spoken sentences, clean and with the same loss, through the same buffer and decoder; it takes a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.transports import _libopus
from agent.transports._ear import Ear
from agent.transports._inbound import AudioIn
from agent.transports._opus import OpusEncoder
from agent.transports._reorder import Packet, ReorderBuffer
from benchmarks.reliability import Caller, House, count_rtp, house, to_stock, verdict
from perception.media import AudioChunk
from perception.timebase import MS

CLEAN, LOSS, AGAIN = "clean", "loss", "clean again"
DELIVERED, DELAY_MS, PICTURES, WORDS = 0.88, 120.0, 0.90, 1.5


@dataclass(frozen=True)
class Outcome:
    """Of one listener.

    Attributes:
        network: share of the sound that the network let through during the loss.
        delivered: share that came out as it was sent.
        recovered: share that was decoded from a copy.
        lag_ms: median from microphone to listener, by phase.
        pictures: share of the pictures that came out during the loss.
    """

    network: float
    delivered: float
    recovered: float
    lag_ms: dict[str, float]
    pictures: float

    @property
    def added_ms(self) -> float:
        """Delay that is left when the loss is over."""
        return self.lag_ms[AGAIN] - self.lag_ms[CLEAN]


async def measure(seconds: float, loss: float, seed: int = 7) -> tuple[Outcome, Outcome, str]:
    """Return what came out here, at stock aiortc, and how bad the network was."""
    phase = CLEAN
    marks: dict[str, tuple[float, float]] = {}
    async with house() as found:
        ours, stock = Caller(seed=seed), Caller(seed=seed)
        await found.call(ours)
        listener = await to_stock(stock)
        for caller in (ours, stock):
            count_rtp(caller, lambda: phase)
        before = found.calls[0].intake.totals()["audio_received_count"]
        await asyncio.sleep(1.5)
        sent: dict[Caller, list[int]] = {ours: [], stock: []}
        sounds: list[int] = []
        totals: list[dict[str, int]] = []
        proof = ""
        for phase in (CLEAN, LOSS, AGAIN):
            await _caught_up(found, ours, before)
            for caller in (ours, stock):
                caller.network.reset()
                caller.network.loss = loss if phase == LOSS else 0.0
                assert caller.camera is not None
                sent[caller].append(caller.camera.sent)
            sounds.append(len(stock.seen.sounds))
            totals.append(found.calls[0].intake.totals())
            began = time.perf_counter()
            await asyncio.sleep(seconds)
            marks[phase] = (began, time.perf_counter())
            if phase == LOSS:
                proof = f"here: {ours.network.prove(loss)}; stock: {stock.network.prove(loss)}"
        await listener.close()
    heard = {k: totals[2][k] - totals[1][k] for k in totals[1]}
    way = ours.rtp[LOSS]
    here = Outcome(
        network=1 - way.share,
        delivered=heard["audio_received_count"] / (way.passed + way.lost),
        recovered=heard["audio_recovered_count"] / (way.passed + way.lost),
        lag_ms={p: _lag(ours, marks[p]) for p in marks},
        pictures=_pictures(ours, marks[LOSS], sent[ours]),
    )
    way = stock.rtp[LOSS]
    there = Outcome(
        network=1 - way.share,
        delivered=(sounds[2] - sounds[1]) / (way.passed + way.lost),
        recovered=0.0,
        lag_ms={p: _lag(stock, marks[p]) for p in marks},
        pictures=_pictures(stock, marks[LOSS], sent[stock]),
    )
    return here, there, proof


async def _caught_up(found: House, caller: Caller, before: int) -> None:
    """Wait until what the network let through has been counted at the other end, on a machine that is busy.

    Not for ever: a packet that comes after its place has been given up is never counted.
    """
    for _ in range(200):
        passed = sum(way.passed for way in caller.rtp.values())
        if passed and found.calls[0].intake.totals()["audio_received_count"] - before >= passed:
            return
        await asyncio.sleep(0.005)


def _lag(caller: Caller, mark: tuple[float, float]) -> float:
    # The first half second of a phase still belongs to the one before.
    lags = [lag for at, lag in caller.seen.bursts if mark[0] + 0.5 <= at <= mark[1]]
    return statistics.median(lags) * 1000 if lags else float("nan")


def _pictures(caller: Caller, mark: tuple[float, float], sent: Sequence[int]) -> float:
    came = sum(mark[0] <= at <= mark[1] for at, _ in caller.seen.pictures)
    return came / max(1, sent[2] - sent[1])


def word_errors(loss: float, seed: int = 3) -> tuple[float, float, int]:
    """Return the word error rates of spoken sentences, clean and with loss, and how many words there were."""
    import jiwer
    import soxr
    from hibari import Hibari

    from agent.models import resolve
    from benchmarks.call import LINES
    from perception.workers.asr import load

    factory = load(resolve=resolve, partials="off")
    voice = Hibari()
    said: list[str] = []
    found: dict[float, list[str]] = {0.0: [], loss: []}
    for k, line in enumerate(LINES):
        sound = np.concatenate([soxr.resample(s, 24_000, 48_000) for s in voice.stream(line, speed=0.95, seed=1)])
        said.append(line)
        for share, texts in found.items():
            texts.append(_recognise(factory, through(np.asarray(sound, np.float32), share, seed + k)))
    plain = jiwer.Compose(
        [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.Strip(), jiwer.ReduceToListOfListOfWords()]
    )
    rates = [jiwer.wer(said, texts, plain, plain) for texts in found.values()]
    return float(rates[0]), float(rates[1]), sum(len(line.split()) for line in said)


def through(sound: np.ndarray[tuple[int], np.dtype[np.float32]], loss: float, seed: int) -> list[AudioChunk]:
    """Send ``sound`` (48 kHz) as packets of which some are lost; return what the senses are fed."""
    chance = random.Random(seed)
    encoder, buffer, ear, audio = OpusEncoder(48_000), ReorderBuffer[Packet](), Ear(_libopus.library()), AudioIn()
    quiet = np.zeros(24_000, np.float32)
    sound = np.concatenate((quiet, sound, np.zeros(96_000, np.float32)))
    chunks: list[AudioChunk] = []
    for k in range(len(sound) // 960):
        data = encoder.encode(sound[k * 960 : (k + 1) * 960])
        if chance.random() < loss:
            continue
        now = (k + 1) * 20 * MS
        for packet in buffer.push(k, Packet(data, k * 960, now, k), now):
            heard = ear.hear(packet)
            if heard is not None:
                chunks += audio.push(*heard, now)
    return chunks


def _recognise(factory: object, chunks: list[AudioChunk]) -> str:
    from perception.percept import TRANSCRIPT

    worker = factory()  # type: ignore[operator]
    texts: list[str] = []
    for chunk in chunks:
        texts += [p.label for p in worker.feed([chunk]) if p.kind == TRANSCRIPT]
    return " ".join(texts)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each of the three phases")
    parser.add_argument("--loss", type=float, default=0.1, help="share of packets lost each way")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--words", action="store_true", help="word errors too")
    options = parser.parse_args()
    here, there, proof = asyncio.run(measure(options.seconds, options.loss, options.seed))
    print(f"{proof}; phases of {options.seconds:g} s\n")
    print(f"{'':14s}{'network':>9s}{'delivered':>11s}{'from copies':>13s}{'pictures':>10s}   lag clean / loss / after")
    for name, found in (("rapport", here), ("stock aiortc", there)):
        lags = " / ".join(f"{found.lag_ms[p]:.0f}" for p in (CLEAN, LOSS, AGAIN))
        print(
            f"{name:14s}{found.network:9.1%}{found.delivered:11.1%}{found.recovered:13.1%}{found.pictures:10.1%}"
            f"   {lags} ms"
        )
    reached = {
        # A short run may meet a network that by chance loses more than it was asked to.
        f"sound delivered, at least {DELIVERED:.0%}": here.delivered
        >= DELIVERED - max(0, 1 - options.loss - here.network),
        f"delay added after the loss, at most {DELAY_MS:.0f} ms": here.added_ms <= DELAY_MS,
        f"pictures, at least {PICTURES:.0%}": here.pictures >= PICTURES,
    }
    if options.words:
        clean, lossy, count = word_errors(options.loss)
        print(f"\nword errors over {count} words: {clean:.1%} clean, {lossy:.1%} with {options.loss:.0%} loss")
        reached[f"word errors, at most {WORDS:g} times the clean ones"] = lossy <= max(WORDS * clean, clean + 1 / count)
    return verdict(reached)


if __name__ == "__main__":
    sys.exit(main())
