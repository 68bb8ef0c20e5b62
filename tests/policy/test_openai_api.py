"""The served policy against a real server on the loopback: the laws of a policy, media, failures, and barge-in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from agent.bench.condition import Condition
from agent.bench.witness import Witness
from agent.clock import VirtualClock
from perception.context import CUE_GREETING, CUE_QUESTION, CUE_SILENCE, ContextWindow, Entry, Turn
from perception.media import RATE_HZ, AudioChunk, Text, VideoFrame
from perception.percept import EXPRESSION
from perception.timebase import MS, SECOND
from policy.api_client import Limits
from policy.api_errors import ApiError, Refused, Stalled, Unreachable, Unreadable
from policy.api_session import ApiSession, Asking
from policy.backends import openai_api
from policy.backends.openai_api import OpenAIApi
from policy.decision import Backchannel, Express, Speak, Step, Thought, Wait
from policy.form import SYSTEM, request
from policy.guard import Guard, Withheld
from tests.openai_server import THOUGHT, OpenAIServer
from tests.policy.windows import percept, talk

LONG = "My boss shouts at me every single day, in front of everyone, and I can't sleep any more."
WINDOW = talk(LONG, face="sad")
KIND = "That sounds exhausting. What happens when it starts?"

Make = Callable[..., OpenAIApi]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as found:
        found.words = KIND
        yield found


@pytest.fixture
def make(server: OpenAIServer) -> Iterator[Make]:
    made: list[OpenAIApi] = []

    def policy(*, gate: bool = True, limits: Limits | None = None, **options: Any) -> OpenAIApi:
        asking = Asking(url=server.url, model="tiny", limits=limits or Limits(), **options)
        made.append(OpenAIApi(asking, Guard(judges=gate)))
        return made[-1]

    yield policy
    for each in made:
        each.close()


def film(seconds: int, *entries: Entry, cue: str = "end_of_turn", first_s: int = 0) -> ContextWindow:
    """A person who speaks in front of a camera: sound whose loudness and pictures whose red grow with the seconds."""
    tone = np.sin(np.arange(RATE_HZ) * 0.1, dtype=np.float32)
    spoken = range(first_s, seconds)
    return ContextWindow(
        start=0,
        end=seconds * SECOND,
        entries=entries,
        cue=cue,
        audio=tuple(AudioChunk(tone * np.float32(0.02 * (s + 1)), s * SECOND) for s in spoken),
        frames=tuple(VideoFrame(np.full((72, 128, 3), (20 * s, 0, 0), np.uint8), s * SECOND) for s in spoken),
    )


def said(text: str, end_s: float) -> Turn:
    return Turn("user", text, round((end_s - 1) * SECOND), round(end_s * SECOND))


async def answer(session: ApiSession, window: ContextWindow) -> list[Step]:
    return [step async for step in session.decide(window)]


def decide(policy: OpenAIApi, *windows: ContextWindow, prepare: Sequence[ContextWindow] = ()) -> list[list[Step]]:
    """Answer ``windows`` one after the other in one call."""

    async def call() -> list[list[Step]]:
        session = policy.session()
        for window in prepare:
            await session.prepare(window)
        found = [await answer(session, window) for window in windows]
        await session.close()
        return found

    return asyncio.run(call())


def words(steps: Sequence[Step]) -> str:
    return " ".join(step.text for step in steps if isinstance(step, Speak))


def failure(policy: OpenAIApi, window: ContextWindow = WINDOW) -> tuple[Exception, float]:
    began = time.perf_counter()
    with pytest.raises((ApiError, Withheld)) as caught:
        decide(policy, window)
    return caught.value, time.perf_counter() - began


# The laws.


def test_it_says_that_it_takes_media_itself() -> None:
    assert openai_api.NATIVE


def test_a_look_comes_before_the_words(make: Make) -> None:
    policy = make()
    assert policy.name == "openai_api"
    found = decide(policy, WINDOW)[0]
    assert isinstance(found[0], Express)
    assert found[0].emotion == "concern"
    assert words(found) == KIND
    assert len(found) == 3
    for step in found:
        assert not isinstance(step, Thought)
        assert step.reason
        assert any(p.kind == EXPRESSION for p in step.evidence)


def test_there_is_always_a_decision(make: Make) -> None:
    policy = make()
    for cue in ("", "end_of_turn", "question", "silence", "affect", "greeting", "something_new"):
        windows = [ContextWindow(start=0, end=0, cue=cue), talk("Hm", face="uncertain", cue=cue)]
        assert all(decide(policy, *windows)), cue


def test_the_same_window_gives_the_same_decisions(make: Make) -> None:
    policy, window = make(), film(5, said(LONG, 4))
    once = decide(policy, window)[0]
    assert decide(policy, window, window, prepare=[window]) == [once, once]
    assert decide(policy, window, prepare=[talk("Other.", "Words.", "Here.")])[0] == once


def test_calls_do_not_see_each_other(make: Make, server: OpenAIServer) -> None:
    policy, server.words = make(gate=False), None
    windows = [film(2, said(LONG, 1)), film(5, said("My mum died.", 4)), talk("Thanks, bye.")]

    async def together() -> list[list[Step]]:
        return list(await asyncio.gather(*(answer(policy.session(), window) for window in windows)))

    assert asyncio.run(together()) == [decide(policy, window)[0] for window in windows]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_closing_the_iterator_stops_the_work_within_100_ms(make: Make, server: OpenAIServer, steps: int) -> None:
    policy, server.mode, server.at = make(), "stall", 0.85

    async def leave() -> float:
        session = policy.session()
        stream = session.decide(film(5, said(LONG, 4)))
        for _ in range(steps):
            await anext(stream)
        began = time.perf_counter()
        await stream.aclose()
        took = time.perf_counter() - began
        await session.close()
        return took

    assert asyncio.run(leave()) < 0.1
    if steps:
        assert server.asked.gone.wait(2)


def test_a_barge_in_is_seen_by_the_server_and_leaves_the_call_usable(make: Make, server: OpenAIServer) -> None:
    policy, server.mode, server.at = make(), "stall", 0.85
    window = film(5, said(LONG, 4))

    async def interrupt() -> tuple[list[Step], float, list[Step]]:
        session, spoken = policy.session(), asyncio.Event()
        heard: list[Step] = []

        async def listen() -> None:
            async with aclosing(session.decide(window)) as stream:
                async for step in stream:
                    heard.append(step)
                    if isinstance(step, Speak):
                        spoken.set()

        task = asyncio.ensure_future(listen())
        await spoken.wait()
        began = time.perf_counter()
        task.cancel()
        await asyncio.wait([task])
        took = time.perf_counter() - began
        assert server.asked.gone.wait(2)
        assert not server.asked.whole.is_set()
        server.mode = "ok"
        cut = Turn("agent", "That sounds", 5 * SECOND, 6 * SECOND, cut=True)
        again = replace(film(9, said(LONG, 4), cut, said("No, wait!", 8)))
        return heard, took, await answer(session, again)

    heard, took, after = asyncio.run(interrupt())
    assert words(heard) == "That sounds exhausting."
    assert took < 0.1
    assert words(after) == KIND
    assert [(role, part) for role, part in server.asked.flat if role == "assistant"] == [
        ("assistant", '"That sounds \\u2014"')
    ]


@pytest.mark.parametrize("after", [0.0, 0.005, 0.02])
def test_cancelling_at_any_time_leaves_the_call_usable(make: Make, server: OpenAIServer, after: float) -> None:
    policy, window = make(), film(5, said(LONG, 4))
    whole = decide(policy, window)[0]

    async def cancel() -> list[Step]:
        session = policy.session()
        for work in (session.prepare(window), answer(session, window)):
            task = asyncio.ensure_future(work)
            await asyncio.wait([task], timeout=after)
            began = time.perf_counter()
            task.cancel()
            await asyncio.wait([task])
            assert time.perf_counter() - began < 0.1
        return await answer(session, window)

    assert asyncio.run(cancel()) == whole


# What is asked.


def test_pictures_and_sound_arrive(make: Make, server: OpenAIServer) -> None:
    policy, server.words = make(gate=False), None
    found = decide(policy, film(6, said(LONG, 5)))[0]
    assert words(found) == "That took 3 pictures and 6.0 seconds of sound. What was the hardest part?"
    assert server.asked.pictures == [(72, 128)] * 3
    assert np.allclose(server.asked.brightness, [0, 40, 80], atol=4)
    assert np.allclose(server.asked.loudness, [0.04, 0.08, 0.12], atol=0.001)
    kinds = [part.partition('"type": "')[2].partition('"')[0] for role, part in server.asked.flat if role == "user"]
    assert kinds.index("image_url") < kinds.index("input_audio")
    assert kinds.count("text") == 2
    assert kinds[-1] == "text"
    assert server.asked.body["temperature"] == 0
    assert server.asked.body["stream_options"] == {"include_usage": True}
    assert server.asked.flat[0] == ("system", f'"{SYSTEM}"')
    assert request(WINDOW) in server.asked.flat[-1][1]


@pytest.mark.parametrize(("hears", "sees"), [(False, True), (True, False), (False, False)])
def test_a_model_that_lacks_a_sense_is_spared_it(make: Make, server: OpenAIServer, hears: bool, sees: bool) -> None:
    decide(make(hears=hears, sees=sees), film(6, said(LONG, 5)))
    assert (len(server.asked.sounds) > 0, len(server.asked.pictures) > 0) == (hears, sees)


def test_a_refused_camera_is_not_sent_any_more(make: Make, server: OpenAIServer) -> None:
    seen, later = film(4, said(LONG, 3)), film(8, said(LONG, 3), said("More.", 7))
    decide(make(), seen, replace(later, frames=(), refused=frozenset({"camera"})))
    assert [len(asked.pictures) for asked in server.requests] == [2, 0]
    assert len(server.asked.sounds) == 4


def test_a_later_request_begins_with_the_earlier_one(make: Make, server: OpenAIServer) -> None:
    policy = make(gate=False)
    reply = Turn("agent", KIND, 5 * SECOND, 7 * SECOND)
    first = film(5, said(LONG, 4))
    last = film(12, said(LONG, 4), reply, said("It just does.", 11), first_s=3)
    decide(policy, first, last, prepare=[film(2), film(4)])
    warm, warmer, one, two = server.requests
    assert warm.warms
    assert warmer.warms
    for early, late, left in ((warm, warmer, 0), (warmer, one, 0), (one, two, 1)):
        count = len(early.flat) - left
        assert late.flat[:count] == early.flat[:count]
        assert len(late.flat) > count > 1
        assert late.raw.partition(b'"messages":')[2].startswith(
            early.raw.partition(b'"messages":')[2].rpartition(b',{"type":"text"' if left else b"]}]")[0]
        )
    usage = policy.usage
    assert usage.requests == 4
    assert usage.prompt_tokens > usage.cached_tokens > usage.prompt_tokens // 3


def test_reading_along_asks_only_where_there_is_news(make: Make, server: OpenAIServer) -> None:
    window = film(4, said(LONG, 3))
    decide(make(), prepare=[window, window, replace(window, end=window.end + MS)])
    assert [asked.body["max_tokens"] for asked in server.requests] == [1]
    decide(make(warm=False), prepare=[window])
    assert len(server.requests) == 1
    # Nothing at all, or nothing since the agent spoke.
    answered = replace(talk("Hello.", "Hi.", "Hm."), entries=talk("Hello.", "Hi.", "Hm.").entries[:2])
    decide(make(), prepare=[ContextWindow(start=0, end=0), answered])
    assert len(server.requests) == 1


def test_reading_along_happens_once_at_a_time(make: Make, server: OpenAIServer) -> None:
    policy, server.mode = make(), "stall_first"

    async def twice() -> None:
        session = policy.session()
        first = asyncio.ensure_future(session.prepare(film(2)))
        await asyncio.wait([first], timeout=0.05)
        await session.prepare(film(4))
        first.cancel()
        await asyncio.wait([first])

    asyncio.run(twice())
    assert len(server.requests) == 1
    assert server.asked.gone.wait(2)


def test_reading_along_fails_in_silence_and_is_logged_once(make: Make, server: OpenAIServer) -> None:
    policy, server.mode = make(), "status"
    with capture_logs() as logs:
        windows = [film(s, said(LONG, 1)) for s in (2, 4, 6)]
        decide(policy, prepare=windows)
    assert [entry["event"] for entry in logs] == ["reading_along_failed"]
    assert (logs[0]["kind"], logs[0]["log_level"]) == ("busy", "warning")
    assert LONG not in str(logs)
    assert len(server.requests) == 3
    server.mode = "stall_first"
    began = time.perf_counter()
    decide(make(limits=Limits(first_token=0.15)), prepare=[film(2)])
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("structured", ["json_schema", "structured_outputs", "none"])
def test_the_model_thinks_first_where_it_is_told_to(make: Make, server: OpenAIServer, structured: str) -> None:
    if structured == "none":
        server.mode = "tags"
    found = decide(make(think=True, structured=structured, enhanced=True), WINDOW)[0]
    thoughts = [step.text for step in found if isinstance(step, Thought)]
    assert " ".join(thoughts) == THOUGHT
    assert [type(step) for step in found[len(thoughts) :]] == [Express, Speak, Speak]
    assert server.asked.body["max_tokens"] == 200 + 256
    assert "think" in server.asked.flat[-1][1]


@pytest.mark.parametrize("mode", ["reasoning", "reasoning_content"])
def test_reasoning_that_the_server_parses_is_a_thought(make: Make, server: OpenAIServer, mode: str) -> None:
    server.mode = mode
    found = decide(make(), WINDOW)[0]
    assert " ".join(step.text for step in found if isinstance(step, Thought)) == THOUGHT
    assert words(found) == KIND


def test_waiting_is_a_decision_where_silence_was_asked_for_or_nothing_was_said(
    make: Make, server: OpenAIServer
) -> None:
    server.mode = "wait"
    assert [type(step) for step in decide(make(), talk("Please be quiet for a moment."))[0]] == [Wait]
    assert [type(step) for step in decide(make(), replace(WINDOW, cue=CUE_SILENCE))[0]] == [Wait]
    assert words(decide(make(), WINDOW)[0]), "whoever says something is answered"


@pytest.mark.parametrize(("written", "heard"), [("I see", "I see"), ("You idiot", "mm-hm"), ("", "mm-hm")])
def test_a_sound_of_listening_is_a_known_one(make: Make, server: OpenAIServer, written: str, heard: str) -> None:
    server.mode, server.words = "backchannel", written
    found = decide(make(), WINDOW)[0]
    assert [(type(step), step.token) for step in found if isinstance(step, Backchannel)] == [(Backchannel, heard)]
    assert len(found) == 1


def test_further_fields_are_sent(make: Make, server: OpenAIServer) -> None:
    decide(make(extra={"modalities": ["text"]}, seed=7, most_tokens=50), WINDOW)
    assert server.asked.body["modalities"] == ["text"]
    assert (server.asked.body["seed"], server.asked.body["max_tokens"]) == (7, 50)


# Media by name.


def test_media_that_the_server_knows_go_by_name(make: Make, server: OpenAIServer) -> None:
    policy, server.words = make(gate=False, media_by_id=True), None
    found = decide(policy, film(4, said(LONG, 3)), film(8, said(LONG, 3), said("More.", 7)))
    assert [asked.nulls for asked in server.requests] == [0, 4]
    assert "4 pictures and 8.0 seconds" in words(found[1])
    assert len(server.asked.raw) < 1.5 * len(server.requests[0].raw)
    decide(make(gate=False), film(4, said(LONG, 3)))
    assert server.asked.nulls == 0


def test_media_are_sent_again_once_the_server_has_lost_them(make: Make, server: OpenAIServer) -> None:
    policy, server.words = make(gate=False, media_by_id=True), None
    windows = [film(4, said(LONG, 3)), film(8, said(LONG, 3), said("More.", 7))]
    last = film(12, said(LONG, 3), said("More.", 7), said("Much more.", 11))

    async def call() -> list[Step]:
        session = policy.session()
        await answer(session, windows[0])
        server.media.clear()
        with capture_logs() as logs:
            found = await answer(session, windows[1])
        assert [entry["event"] for entry in logs] == ["media_sent_again"]
        await answer(session, last)
        return found

    assert "4 pictures and 8.0 seconds" in words(asyncio.run(call()))
    assert [asked.nulls for asked in server.requests] == [0, 1, 0, 0]


def test_media_count_as_known_only_after_an_answer(make: Make, server: OpenAIServer) -> None:
    policy, server.mode, server.times = make(media_by_id=True, retries=0), "status", 1

    async def call() -> None:
        session = policy.session()
        with pytest.raises(ApiError):
            await answer(session, film(4, said(LONG, 3)))
        await answer(session, film(4, said(LONG, 3)))

    asyncio.run(call())
    assert [asked.nulls for asked in server.requests] == [0, 0]


# Failures.


@pytest.mark.parametrize(
    ("mode", "at", "limits", "kind"),
    [
        ("stall_first", 0.0, Limits(first_token=0.15), Stalled),
        ("stall", 0.0, Limits(between_tokens=0.15), Stalled),
        ("stall", 0.0, Limits(total=0.15), Stalled),
        ("status", 0.0, Limits(), ApiError),
        ("no_events", 0.0, Limits(), Unreadable),
        ("no_json", 0.0, Limits(), Unreadable),
        ("no_schema", 0.0, Limits(), Unreadable),
        ("prose", 0.0, Limits(), Unreadable),
        ("length", 0.0, Limits(), Unreadable),
        ("cut", 0.5, Limits(), Unreachable),
        ("error", 0.5, Limits(), Refused),
    ],
)
def test_each_failure_is_named_in_time_and_nothing_of_it_stays(
    make: Make, server: OpenAIServer, mode: str, at: float, limits: Limits, kind: type
) -> None:
    server.mode, server.at = mode, at
    policy = make(limits=limits)
    error, took = failure(policy)
    assert isinstance(error, kind)
    assert server.url in str(error)
    assert took < 2
    server.mode = "ok"
    assert words(decide(policy, WINDOW)[0]) == KIND


def test_what_was_spoken_before_a_failure_stays_spoken(make: Make, server: OpenAIServer) -> None:
    policy, server.mode, server.at = make(), "cut", 0.85

    async def listen() -> list[Step]:
        stream = policy.session().decide(WINDOW)
        heard = [await anext(stream), await anext(stream)]
        with pytest.raises(Unreachable):
            await anext(stream)
        return heard

    assert words(asyncio.run(listen())) == "That sounds exhausting."


def test_a_stall_in_virtual_time_ends_in_real_time(make: Make, server: OpenAIServer) -> None:
    policy, server.mode = make(limits=Limits(first_token=0.15)), "stall_first"
    clock = VirtualClock({"policy": 50 * MS})

    async def call() -> int:
        stream = policy.session().decide(WINDOW)
        with pytest.raises(Stalled, match="first token"):
            async with clock.working("policy"), asyncio.timeout(3600):
                await anext(stream)
        return clock.now()

    began = time.perf_counter()
    assert 50 * MS <= clock.run(call()) < 51 * MS
    assert 0.1 < time.perf_counter() - began < 2


def test_a_replay_in_virtual_time_gets_its_answer(make: Make) -> None:
    policy, clock = make(), VirtualClock({"policy": 50 * MS})

    async def call() -> list[Step]:
        found: list[Step] = []
        stream = policy.session().decide(WINDOW)
        while True:
            async with clock.working("policy"):
                step = await anext(stream, None)
            if step is None:
                return found
            found.append(step)

    assert words(clock.run(call())) == KIND


# The guard.


@pytest.mark.parametrize(
    "window", [ContextWindow(start=0, end=SECOND, cue=CUE_GREETING), talk("I want to kill myself.")]
)
def test_curated_lines_come_without_the_server(make: Make, server: OpenAIServer, window: ContextWindow) -> None:
    assert words(decide(make(), window)[0])
    assert not server.requests


def test_when_nothing_was_said_it_waits(make: Make) -> None:
    window = ContextWindow(start=0, end=SECOND, entries=(percept(EXPRESSION, "neutral", 0, 1),), cue="end_of_turn")
    assert [type(step) for step in decide(make(), window)[0]] == [Wait]


def test_first_words_that_break_a_rule_are_withheld(make: Make, server: OpenAIServer) -> None:
    server.words = "You should just calm down. What happened?"
    error, _ = failure(make())
    assert isinstance(error, Withheld)
    assert server.words not in str(error)
    assert words(decide(make(gate=False), WINDOW)[0]) == server.words


def test_later_words_that_break_a_rule_end_the_reply(make: Make, server: OpenAIServer) -> None:
    server.words = "That sounds exhausting. You should just calm down. What happens then?"
    assert words(decide(make(), WINDOW)[0]) == "That sounds exhausting."


# Questions with a form.


def question(text: str) -> ContextWindow:
    asked = Text(text, 6 * SECOND, "single", ("A. calm", "B. sad"))
    return replace(film(6, said(LONG, 5), asked, cue=CUE_QUESTION))


def test_a_question_with_a_form_is_answered_as_it_is(make: Make, server: OpenAIServer) -> None:
    found = decide(make(), question("How do they feel?\nA. calm\nB. sad"))[0]
    assert [type(step) for step in found] == [Speak]
    assert isinstance(found[0], Speak)
    assert found[0].text == "B, 3 pictures, 3 sounds"
    assert found[0].strategy == "information"
    assert "How do they feel?" in server.asked.flat[-1][1]
    assert server.asked.body["max_tokens"] == 64
    assert "response_format" not in server.asked.body


@pytest.mark.parametrize(("hears", "sees"), [(True, True), (False, True), (True, False)])
def test_a_benchmark_records_what_the_server_really_got(
    make: Make, server: OpenAIServer, hears: bool, sees: bool
) -> None:
    witness = Witness(make(hears=hears, sees=sees), Condition(feed="native"))

    async def call() -> None:
        session = witness.session()
        async for _ in session.decide(question("How do they feel?")):
            pass
        await session.close()

    asyncio.run(call())
    [sight] = witness.sights
    assert sight.frames == len(server.asked.pictures) == (3 if sees else 0), "and not the six of the window"
    assert sight.heard_s == pytest.approx(6.0 if hears else 0.0)
    told = "\n".join(message["content"] for message in sight.prompt)
    assert told.count("[picture at") == sight.frames
    assert sight.prompt[0] == {"role": "system", "content": SYSTEM}
    assert "How do they feel?" in sight.prompt[-1]["content"]


def test_a_question_that_wants_reasoning_gets_room_for_it(make: Make, server: OpenAIServer) -> None:
    decide(make(), question("Think between <think> and </think>."))
    assert server.asked.body["max_tokens"] == 1024


def test_nobody_waits_for_the_answer_to_a_question(make: Make, server: OpenAIServer) -> None:
    server.mode = "stall_first"
    error, took = failure(make(limits=Limits(first_token=0.05), answer_s=0.15), question("How do they feel?"))
    assert isinstance(error, Stalled)
    assert 0.12 < took < 2
