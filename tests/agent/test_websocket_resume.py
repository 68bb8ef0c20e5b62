"""A call over several WebSockets, one after another."""

from __future__ import annotations

import asyncio

import pytest

from agent.refusal import Refused
from tests.agent.test_websocket import run
from tests.rtc import Recorder
from tests.sockets import called, opened, sound, talk

pytestmark = pytest.mark.slow


def test_a_lost_connection_is_followed_by_another_of_the_same_call() -> None:
    async def main() -> None:
        runtime = Recorder()
        async with opened(runtime.answer, return_within_s=5.0) as door:
            async with called(door) as first:
                hello = first.hello
                first.push("ping: 1")
                await talk(first, 0.2)
                first.ask("consent", {"senses": ["vad"], "version": "1"})
                await first.wait_for(lambda m: m["type"] == "server-response")
            async with called(door, resume=hello["resume"]) as second:
                assert second.hello["call"] == hello["call"]
                assert second.hello["resume"] != hello["resume"]
                before = len(runtime.audio)
                second.push("ping: 1")
                second.push(sound(0))
                second.push(sound(1))
                await second.until(lambda: len(runtime.audio) > before)
                with pytest.raises(Refused, match="used before") as refused:
                    async with called(door, resume=hello["resume"]):
                        pass
                assert refused.value.status == 409
                async with called(door, resume=second.hello["resume"]) as third:
                    await second.until(lambda: second.closed is not None)
                    assert second.texts[-1]["data"] == {"v": 1, "t": "link", "state": "moved"}
                    third.say("disconnect-bot")
                    await runtime.until(runtime.ended.is_set)
                    assert third.texts[-1]["message"] == {"type": "peerLeft"}
                    assert third.closed == (1000, "")
            assert len(runtime.transports) == 1
            with pytest.raises(Refused, match="over") as gone:
                async with called(door, resume=second.hello["resume"]):
                    pass
            assert gone.value.status == 410

    run(main)


def test_an_answer_that_was_lost_leaves_the_old_token_good() -> None:
    async def main() -> None:
        async with opened(Recorder().answer) as door:
            async with called(door) as first:
                token = first.hello["resume"]
                first.push("ping: 1")
                await asyncio.sleep(0.05)
            for _ in range(2):
                async with called(door, resume=token) as again:
                    assert again.hello["call"] == first.hello["call"]

    run(main)


def test_lines_are_those_of_every_door() -> None:
    async def main() -> None:
        async with opened(Recorder().answer, max_calls=1) as door, called(door):
            with pytest.raises(Refused) as refused:
                async with called(door):
                    pass
            assert refused.value.status == 503
        with pytest.raises(Refused, match="takes no calls now"):
            async with called(door):
                pass

    run(main)
