"""The kiosk: its rules, who counts as somebody, and one person from hello to forgetting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent import build, config
from agent.clock import VirtualClock
from agent.onboard.station import Station
from agent.privacy.ledger import Ledger
from examples.kiosk import __main__ as program
from examples.kiosk.arrival import Arrival
from examples.kiosk.kiosk import KioskProgram, words_of
from examples.kiosk.machine import Begin, End, Erase, Kiosk, Listen, Order, Patience, Say, Show, Words
from perception.percept import TRANSCRIPT
from perception.timebase import SECOND, seconds
from tests.agent.stage import percept, said
from tests.media_samples import write_sound
from tests.onboard.place import (
    COSTS,
    KeptScreen,
    MemoryCamera,
    MemorySound,
    configuration,
    old_journal,
    picture,
    place,
    runtime,
)

CONFIG = Path(__file__).parents[2] / "configs" / "kiosk.toml"


def kinds(orders: list[Order]) -> list[str]:
    return [type(order).__name__ for order in orders]


def where(rules: Kiosk) -> str:
    return rules.state.value


def shown(orders: list[Order]) -> Show:
    return next(order for order in orders if isinstance(order, Show))


def asking(now: float = 0.0) -> Kiosk:
    rules = Kiosk()
    rules.start()
    assert kinds(rules.arrived(now)) == ["Show", "Say"]
    rules.said(now + 5)
    return rules


def test_a_whole_visit() -> None:
    rules = Kiosk()
    assert shown(rules.start()).perceives == ""
    orders = rules.arrived(10)
    assert where(rules) == "asking"
    assert set(shown(orders).buttons) == {"yes", "voice", "no"}
    assert rules.said(15) == [Listen(True)]
    orders = rules.heard("yes", 17)
    assert orders == [Listen(False), Show(buttons={"goodbye": "Goodbye"}, perceives="I hear and see you"), Begin()]
    assert rules.touched("goodbye", 60) == [End(), Show(Words().bye), Say(Words().bye)]
    assert kinds(rules.over(61)) == [], "it ended because it was told to"
    orders = rules.said(62)
    assert orders[-1] == Erase()
    assert shown(orders).perceives == ""
    assert shown(rules.erased(63)).text == Words().forgotten
    assert where(rules) == "resting"
    assert kinds(rules.tick(70)) == ["Show"]
    assert where(rules) == "idle"


@pytest.mark.parametrize("answer", ["touch", "voice"])
def test_no_is_taken_for_no_and_nobody_is_asked_again_at_once(answer: str) -> None:
    rules = asking()
    orders = rules.touched("no", 7) if answer == "touch" else rules.heard("no", 7)
    assert kinds(orders) == ["Listen", "Show", "Say"]
    assert orders[0] == Listen(False)
    assert rules.arrived(8) == []
    assert kinds(rules.touched("", 9)) == ["Show", "Say"], "a touch counts at once"


def test_to_be_heard_and_not_seen_can_be_chosen() -> None:
    orders = asking().touched("voice", 7)
    assert orders[-1] == Begin(voice_only=True)
    assert shown(orders).perceives == "I hear you"


def test_who_does_not_answer_is_asked_once_more_and_then_left_alone() -> None:
    rules = asking()
    assert rules.due == 20
    assert rules.tick(19) == []
    assert rules.tick(20) == [Listen(False), Say(Words().again)]
    assert rules.said(23) == [Listen(True)]
    orders = rules.tick(38)
    assert kinds(orders) == ["Listen", "Show"]
    assert "Begin" not in kinds(orders)
    assert where(rules) == "resting"


def test_who_goes_away_while_asked_is_not_called_back() -> None:
    rules = asking()
    assert kinds(rules.left(8)) == ["Listen", "Show"]
    assert where(rules) == "resting"


def test_who_goes_away_in_a_call_is_waited_for_and_then_let_go() -> None:
    rules = asking()
    rules.heard("yes", 7)
    assert rules.left(30) == []
    assert rules.due == 42
    rules.arrived(35)
    assert rules.tick(50) == []
    rules.left(60)
    assert kinds(rules.tick(72)) == ["End", "Show", "Say"]


def test_who_was_never_seen_is_taken_for_gone_after_a_long_silence() -> None:
    rules = Kiosk()
    rules.start()
    rules.touched("", 0)
    rules.touched("yes", 5)
    assert rules.due == 185
    assert rules.spoke(100) == []
    assert rules.tick(185) == []
    assert kinds(rules.tick(280)) == ["End", "Show", "Say"]
    rules = asking()
    rules.heard("yes", 7)
    rules.spoke(8)
    assert rules.tick(1000) == [], "who is seen may be silent"
    rules.left(1000)
    rules.spoke(1005)
    assert kinds(rules.tick(1012)) == ["End", "Show", "Say"], "words of somebody else keep nobody who has gone"


def test_who_spoke_of_danger_is_given_long_to_find_the_next_word() -> None:
    rules = Kiosk()
    rules.start()
    rules.touched("", 0)
    rules.touched("yes", 5)
    rules.alarmed(10)
    assert rules.tick(500) == []
    assert rules.spoke(600) == []
    assert rules.tick(1499) == []
    assert kinds(rules.tick(1500)) == ["End", "Show", "Say"]


def test_who_comes_into_sight_in_a_call_may_be_silent_from_then_on() -> None:
    rules = Kiosk()
    rules.start()
    rules.touched("", 0)
    rules.touched("yes", 5)
    rules.arrived(50)
    assert rules.tick(1000) == []


def test_a_call_that_ends_by_itself_is_forgotten_too() -> None:
    rules = asking()
    rules.heard("yes", 7)
    assert kinds(rules.over(20)) == ["Show", "Erase"]


def test_nothing_waits_for_ever() -> None:
    rules = Kiosk()
    rules.start()
    rules.arrived(0)
    for now in range(0, 600):
        rules.tick(now)  # no voice ever says that it has spoken
    assert where(rules) == "idle"
    rules = asking()
    rules.heard("yes", 7)
    rules.touched("goodbye", 8)
    assert kinds(rules.tick(16)) == ["Show", "Erase"]
    assert shown(rules.tick(26)).text == Words().kept
    rules.tick(40)
    assert where(rules) == "idle"


def test_what_does_not_belong_to_the_state_does_nothing() -> None:
    rules = Kiosk(greets=False)
    rules.start()
    assert rules.arrived(0) == rules.left(1) == rules.heard("yes", 2) == rules.said(3) == rules.over(4) == []
    assert rules.erased(5) == []
    rules = asking()
    assert rules.touched("goodbye", 6) == rules.touched("?", 6) == rules.heard("maybe", 6) == rules.arrived(6) == []


def test_somebody_is_seen_to_come_and_to_go() -> None:
    arrival = Arrival()
    happened = [(n / 10, found) for n in range(300) if (found := arrival.see(picture(100 <= n < 200), n / 10))]
    assert [found for _, found in happened] == ["arrived", "left"]
    assert 11 <= happened[0][0] <= 11.3
    assert 24 <= happened[1][0] <= 24.5


@pytest.mark.slow
def test_nobody_is_seen_in_a_lamp_a_flicker_or_a_shadow_that_passes() -> None:
    arrival = Arrival()
    rng = np.random.default_rng(1)
    found = []
    for n in range(400):
        pixels = picture(somebody=200 <= n < 205).astype(int)
        pixels += 40 if n > 100 else 0
        pixels += rng.normal(0, 6, pixels.shape).astype(int)
        found.append(arrival.see(np.clip(pixels, 0, 255).astype(np.uint8), n / 10))
    assert not any(found)


@pytest.mark.slow
def test_who_stands_still_for_minutes_does_not_become_furniture() -> None:
    arrival = Arrival()
    found = [arrival.see(picture(n >= 20), n / 10) for n in range(900)]
    assert [f for f in found if f] == ["arrived"]


Use = Callable[[KioskProgram, KeptScreen, VirtualClock], Coroutine[Any, Any, None]]


def visit(folder: Path, use: Use, station: Station, rules: Kiosk | None = None, **more: Any) -> KeptScreen:
    clock = VirtualClock(COSTS | {"erase": 0, "consent": 0})
    screen = KeptScreen()

    async def main() -> None:
        with runtime(folder, **more) as made:
            async with station.running(clock), asyncio.TaskGroup() as group:
                kiosk = KioskProgram(
                    made, station, screen, rules or Kiosk(), clock, echo="off", call_clock=lambda: clock
                )
                using = group.create_task(use(kiosk, screen, clock))
                await kiosk.run(people=1)
                await using

    clock.run(main())
    return screen


@pytest.mark.slow
def test_one_person_comes_agrees_aloud_talks_goes_and_is_forgotten(tmp_path: Path) -> None:
    sound = MemorySound(block_ms=100)
    journal = tmp_path / "journal"
    heard = [(seconds(13), percept(TRANSCRIPT, 12, 13, "Yes, of course."))]
    seen: list[tuple[float, str]] = []

    async def person(kiosk: KioskProgram, screen: KeptScreen, clock: VirtualClock) -> None:
        await clock.sleep_until(seconds(16))
        assert screen.screens[-1][3] == "I hear and see you"
        assert len(list(journal.glob("*.jsonl"))) == 1
        kept = next(iter(journal.glob("*.jsonl"))).read_text()
        assert "call_started" in kept
        screen.touched.put_nowait("goodbye")
        seen.append((clock.now() / SECOND, "goodbye"))

    station = place(sound, MemoryCamera(somebody=[(3, 60)]))
    screen = visit(tmp_path, person, station, name="asr", hears=heard, journal=journal)
    titles = [title for title, _, _, _ in screen.screens]
    assert titles == [Words().idle, Words().ask, "", Words().bye, Words().bye, Words().bye, Words().idle]
    assert screen.screens[-2][1] == Words().forgotten
    assert screen.cleared == 1
    assert list(journal.glob("*.jsonl")) == []
    entries = Ledger(tmp_path).entries()
    assert [(e.event, e.scopes, e.by) for e in entries[:1]] == [("given", ("face", "voice"), "person")]
    assert entries[-1].event == "erased"
    spoken = sound.sounding()
    assert 4 <= spoken[0][0] < 5, "it greets a second after somebody came"
    assert spoken[-1][0] == pytest.approx(16, abs=1)


@pytest.mark.slow
def test_somebody_who_touches_voice_only_is_not_looked_at(tmp_path: Path) -> None:
    async def person(kiosk: KioskProgram, screen: KeptScreen, clock: VirtualClock) -> None:
        await clock.sleep_until(seconds(1))
        screen.touched.put_nowait("")
        await clock.sleep_until(seconds(2))
        screen.touched.put_nowait("voice")
        await clock.sleep_until(seconds(6))
        screen.touched.put_nowait("goodbye")

    rules = Kiosk(patience=Patience(shows=1), greets=False)
    screen = visit(tmp_path, person, place(MemorySound(block_ms=100), MemoryCamera()), rules)
    assert any(perceives == "I hear you" for _, _, _, perceives in screen.screens)
    entries = Ledger(tmp_path).entries()
    assert entries[0].scopes == ("voice",)


@pytest.mark.slow
def test_without_a_camera_the_call_of_who_walks_away_ends(tmp_path: Path) -> None:
    over: list[float] = []

    async def person(kiosk: KioskProgram, screen: KeptScreen, clock: VirtualClock) -> None:
        await clock.sleep_until(seconds(1))
        screen.touched.put_nowait("")
        await clock.sleep_until(seconds(2))
        screen.touched.put_nowait("yes")
        while not screen.cleared:
            await clock.sleep_until(clock.now() + SECOND)
        over.append(clock.now() / SECOND)

    rules = Kiosk(patience=Patience(silent=10, shows=1), greets=False)
    heard = said("My dog died last night.", 6, 8)
    visit(tmp_path, person, place(MemorySound(block_ms=100)), rules, hears=heard)
    assert 18 <= over[0] <= 30, "ten seconds after the last word, and a goodbye"


def test_what_is_too_old_goes_while_the_kiosk_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(loaded: config.Config) -> None:
        raise config.ConfigError("far enough")

    monkeypatch.setattr(build, "runtime", stop)
    write_sound(tmp_path / "hum.wav", seconds=0.5)
    loaded = configuration(tmp_path / "kiosk.toml")
    with loaded.open("a") as file:
        file.write(f'local = {{ microphone = "{tmp_path / "hum.wav"}", speaker = "none", camera = "none" }}\n')
    old = old_journal(loaded)
    assert program.main(["--config", str(loaded), "--address"]) == 2
    assert not old.exists()


def test_what_it_says_before_anybody_agrees_is_so_here(tmp_path: Path) -> None:
    with runtime(tmp_path) as made:
        assert "listen to you, to" in words_of(made, place()).notice
        words = words_of(made, place(camera=MemoryCamera()))
    rules = Kiosk(words)
    rules.start()
    text = shown(rules.arrived(0)).text
    assert text.startswith("This is an AI. If you allow it, it will listen to you and look at you, to notice")
    assert "Everything stays here." in text
    assert text.endswith(words.until)


def test_the_configuration_is_one_and_writes_nothing_down() -> None:
    loaded = config.load(CONFIG)
    assert loaded.deployment.context == "kiosk"
    assert not loaded.journal.directory


def test_the_program_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "kiosk.toml"
    wrong.write_text('local = { microphone = "none.wav", speaker = "none", camera = "none" }')
    assert program.main(["--config", str(wrong), "--address"]) == 2
    assert "none.wav: no such file" in capsys.readouterr().err
