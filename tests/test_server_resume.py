"""Coming back into a call over real HTTP, where new calls need a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import token
from tests.rtc import Client
from tests.test_server import House, house, run

pytestmark = pytest.mark.slow


async def status(h: House, resume: str | None) -> tuple[int, str]:
    client = Client(video=False)
    h.clients.append(client)
    answer = await h.http.post("/api/offer", json=await client.offer(resume=resume))
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(resume) not in answer.text
    return answer.status_code, answer.json()["detail"]


def test_a_resume_token_needs_no_join_token_and_opens_nothing_but_its_call(tmp_path: Path) -> None:
    key = tmp_path / "rapport.key"
    token.new_key(key)

    async def main() -> None:
        async with house(host="0.0.0.0", public="no", key_file=str(key), max_calls=1) as h:
            first = await h.call(token=token.mint(token.read_key(key), ttl_s=60))
            assert first.resume
            beacon = {"pc_id": first.pc_id, "may_return": True}
            assert (await h.http.post("/api/bye", json=beacon)).status_code == 204
            await first.close()
            second = await h.call(resume=first.resume)
            second.ask("ping", None, "there")
            await second.wait_for(lambda m: m.get("id") == "there")
            assert len(h.runtime.transports) == 1
            assert await status(h, first.resume) == (
                409,
                "this resume token was used before: the call goes on over another connection",
            )
            code, why = await status(h, "x" * 43)
            assert (code, "begin a new one" in why) == (410, True)
            assert (await status(h, "x" * 65))[0] == 400
            second.say("disconnect-bot")
            await h.runtime.until(h.runtime.ended.is_set)
            assert (await status(h, second.resume))[0] == 410
            assert await h.metric("rapport_calls ") == 0

    run(main)
