"""A call on board, from the question to the goodbye; and ``agent talk`` on the command line."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent import cli
from agent.action import Caption, Display
from agent.clock import VirtualClock
from agent.onboard.answer import judge
from agent.onboard.station import Station
from agent.onboard.talk import GOODBYE, Agreed, Talk, notice
from agent.onboard.terminal import Terminal
from agent.privacy.ledger import Ledger
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
    place,
    runtime,
)


def hold(
    folder: Path,
    use: Callable[[Talk, Terminal, VirtualClock], Awaitable[Any]],
    *,
    station: Station | None = None,
    typed: str | None = "",
    screen: KeptScreen | None = None,
    **more: Any,
) -> tuple[list[str], Any]:
    """Do something with a talk under virtual time; return the lines of the terminal, and what came of it."""
    clock = VirtualClock(COSTS)
    lines: list[str] = []
    station = station or place(camera=MemoryCamera())

    async def main() -> Any:
        terminal = Terminal(lines.append, io.StringIO(typed) if typed is not None else None)
        with runtime(folder, **more) as made:
            async with station.running(clock):
                talk = Talk(made, station, terminal, clock, echo="off", screen=screen, call_clock=lambda: clock)
                return await use(talk, terminal, clock)

    return lines, clock.run(main())


def type_into(terminal: Terminal, *lines: str) -> None:
    for line in lines:
        terminal.lines.put_nowait(line)


def test_a_call_is_heard_answered_and_shown(tmp_path: Path) -> None:
    screen = KeptScreen()
    sound = MemorySound(lasts=4.0)

    async def use(talk: Talk, terminal: Terminal, clock: VirtualClock) -> None:
        await talk.hold(Agreed(None))

    lines, _ = hold(
        tmp_path, use, station=place(sound, MemoryCamera()), screen=screen, hears=said("My dog died.", 0.5, 1.5)
    )
    assert "   you | My dog died." in lines
    assert "       | (concern)" in lines
    assert "agent | I am sorry to hear that. Do you want to tell me more?" in " ".join(line.strip() for line in lines)
    assert lines[-1] == "The call is over."
    assert sound.sounding()
    assert screen.loudest > 0.02
    assert ("", "", ("goodbye",), "I hear and see you") in screen.screens
    assert screen.screens[-1][3] == ""
    assert screen.cleared == 1
    assert any(isinstance(action, Display) for action in screen.actions)
    entries = Ledger(tmp_path).entries()
    assert (entries[0].event, entries[0].scopes, entries[0].by) == ("given", ("face", "voice"), "person")


def test_the_person_types_hushes_and_leaves(tmp_path: Path) -> None:
    sound = MemorySound()

    async def use(talk: Talk, terminal: Terminal, clock: VirtualClock) -> float:
        async def person() -> None:
            await clock.sleep_until(seconds(1))
            type_into(terminal, "I am so tired.")
            await clock.sleep_until(seconds(2))
            type_into(terminal, "/stop")
            await clock.sleep_until(seconds(4))
            type_into(terminal, "/quit")

        async with asyncio.TaskGroup() as group:
            group.create_task(person())
            await talk.hold(Agreed(None))
        return clock.now() / SECOND

    lines, end = hold(tmp_path, use, station=place(sound))
    assert any(line.startswith(" agent | I am sorry") and line.endswith("—") for line in lines)
    assert lines[-2:] == [f" agent | {GOODBYE}", "The call is over."]
    spoken = sound.sounding()
    assert spoken[0][0] == pytest.approx(1.1, abs=0.1)
    assert spoken[0][1] == pytest.approx(2.0, abs=0.1)
    assert spoken[1][0] == pytest.approx(4.0, abs=0.1)
    assert spoken[1][1] - spoken[1][0] > 1.0, "the goodbye is said whole"
    assert end < 8


def test_who_presses_ctrl_c_twice_is_not_kept(tmp_path: Path) -> None:
    async def use(talk: Talk, terminal: Terminal, clock: VirtualClock) -> float:
        async def person() -> None:
            await clock.sleep_until(seconds(1))
            terminal.interrupt()
            await clock.sleep_until(seconds(1.3))
            terminal.interrupt()

        async with asyncio.TaskGroup() as group:
            group.create_task(person())
            await talk.hold(Agreed(None))
        return clock.now() / SECOND

    _, end = hold(tmp_path, use)
    assert 1.3 <= end < 1.7


def test_a_touch_on_goodbye_ends_the_call(tmp_path: Path) -> None:
    screen = KeptScreen()

    async def use(talk: Talk, terminal: Terminal, clock: VirtualClock) -> None:
        async def person() -> None:
            await clock.sleep_until(seconds(1))
            screen.touched.put_nowait("else")
            screen.touched.put_nowait("goodbye")

        async with asyncio.TaskGroup() as group:
            group.create_task(person())
            await talk.hold(Agreed(None))

    lines, _ = hold(tmp_path, use, screen=screen)
    assert f" agent | {GOODBYE}" in lines


@pytest.mark.parametrize(
    ("typed", "senses"),
    [(["yes"], {"ear", "eye"}), (["maybe?", "y"], {"ear", "eye"}), (["voice"], {"ear"}), (["no"], None), ([], None)],
)
def test_the_person_is_asked_at_the_terminal(typed: list[str], senses: set[str] | None, tmp_path: Path) -> None:
    async def use(talk: Talk, terminal: Terminal, clock: VirtualClock) -> Agreed | None:
        for line in [*typed, None]:
            terminal.lines.put_nowait(line)
        return await talk.ask()

    lines, agreed = hold(tmp_path, use)
    assert lines[0] == "This is an AI. If you allow it, it will listen to you and look at you, to notice how you are."
    assert ("Please type yes or no." in lines) == (typed[:1] == ["maybe?"])
    if senses is None:
        assert agreed is None
    else:
        assert (agreed.senses or {"ear", "eye"}) == senses
        assert not agreed.recording


def test_writing_down_is_asked_for_only_where_it_could_happen(tmp_path: Path) -> None:
    async def use(talk: Talk, terminal: Terminal, clock: VirtualClock) -> Agreed | None:
        type_into(terminal, "yes", "yes")
        return await talk.ask()

    lines, agreed = hold(tmp_path, use, journal=tmp_path / "journal")
    assert lines[-1] == "May what is said be written down? yes / no"
    assert agreed.recording


def test_what_the_notice_says_is_so(tmp_path: Path) -> None:
    with runtime(tmp_path) as made:
        assert "listen to you, to" in notice(made, place())[0]
        assert "look at you, to" in notice(made, place(MemorySound(hears=False), MemoryCamera()))[0]
        assert "read what you type" in notice(made, place(MemorySound(hears=False)))[0]
        assert "Everything stays here." in notice(made, place())


@pytest.mark.parametrize(
    ("heard", "agrees"),
    [
        ([(8.0, "Yes, please.")], True),
        ([(8.0, "No, thanks.")], False),
        ([(8.0, "Where is the toilet?"), (60.0, "Okay.")], True),
        ([], False),
    ],
)
def test_the_person_is_asked_aloud(heard: list[tuple[float, str]], agrees: bool, tmp_path: Path) -> None:
    sound = MemorySound()

    async def use(talk: Talk, terminal: Terminal, clock: VirtualClock) -> Agreed | None:
        return await talk.ask_aloud()

    told = [(seconds(at), percept(TRANSCRIPT, at - 1, at, words)) for at, words in heard]
    _, agreed = hold(tmp_path, use, station=place(sound), name="asr", hears=told)
    assert (agreed is not None) == agrees
    assert len(sound.sounding()) >= 1
    assert not Ledger(tmp_path).entries(), "nothing is stored before the call"


@pytest.mark.parametrize(
    ("words", "means"),
    [
        ("Yes.", "yes"),
        ("yeah, sure", "yes"),
        ("OK, go ahead!", "yes"),
        ("I do", "yes"),
        ("No.", "no"),
        ("I don’t want that", "no"),
        ("yes, no, I mean no", "no"),
        ("rather not", "no"),
        ("what is this", ""),
        ("yes my friend said that you would look at me and then tell", ""),
        ("", ""),
    ],
)
def test_in_doubt_it_is_no_yes(words: str, means: str) -> None:
    assert judge(words) == means


def test_the_terminal_shows_help_and_changed_looks_only() -> None:
    lines: list[str] = []
    terminal = Terminal(lines.append)
    for action in (
        Display("warm", "nod"),
        Display("warm", "nod"),
        Display("warm", "blink"),
        Caption("user", "half a", final=False),
        Caption("agent", "I was", final=True, cut=True),
    ):
        terminal.show(action)
    assert lines == ["       | (warm, nods)", " agent | I was —"]
    assert not terminal.asks


@pytest.mark.slow
def test_agent_talk_holds_a_call_with_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sound(tmp_path / "hum.wav", seconds=0.5)
    loaded = configuration(tmp_path / "talk.toml")
    old = old_journal(loaded)
    arguments = [
        "talk",
        "--config",
        str(loaded),
        "--camera",
        "none",
        "--mic",
        str(tmp_path / "hum.wav"),
    ]
    code = cli.main([*arguments, "--speaker", str(tmp_path / "said.wav"), "--consent"])
    out = capsys.readouterr()
    assert code == 0, out.err
    assert out.out.splitlines()[-1] == "The call is over."
    assert (tmp_path / "said.wav").stat().st_size > 48_000 * 2
    assert not old.exists(), "what is kept goes by itself, without a server too"
    assert cli.main([*arguments, "--speaker", "none"]) == 2
    assert "nobody can be asked here" in capsys.readouterr().err


def test_agent_talk_names_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["talk", "--consent", "--camera", "none", "--mic", "none.wav", "--speaker", "none"]) == 4
    assert "none.wav: no such file" in capsys.readouterr().err
    (tmp_path / "bad.toml").write_text('local.echo = "loud"')
    assert cli.main(["talk", "--config", str(tmp_path / "bad.toml")]) == 2
    assert "local.echo is 'loud', expected one of auto, cancel" in capsys.readouterr().err
