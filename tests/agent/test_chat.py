"""``agent chat``: a script under the virtual clock, and a person at the keyboard, through the loop of a live call."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent import cli, models
from agent.chat import command, running, script
from agent.chat.running import Held, Loaded
from agent.chat.script import Conversation, Line, ScriptError, Silence
from agent.chat.told import Turned
from agent.clock import SystemClock
from agent.config import Config, ConfigError, Use
from agent.disclosure import DisclosureOptions
from agent.privacy.options import DeploymentOptions
from perception.context import ContextWindow
from perception.timebase import SECOND
from policy.decision import Express, Speak, Step, Wait

ROOT = Path(__file__).parents[2]

RULES = (
    {"cue": "greeting", "say": "Hello, I'm an AI.", "emotion": "warm"},
    {"words": "quiet", "wait": True},
    {"words": "well", "backchannel": "mm-hm"},
    {"words": "dog", "say": ["Oh no.", "What was he like?"], "emotion": "sad", "strategy": "question"},
    {"cue": "silence", "say": "Take your time.", "emotion": "calm"},
    {"say": "I see.", "emotion": "curious", "strategy": "reflection"},
)


def nowhere(name: str) -> Path:
    raise FileNotFoundError(f"{name} is not needed")


def config(*rules: dict[str, Any], **changes: Any) -> Config:
    return running.fitting(Config(policy=Use("scripted", {"script": rules or RULES}), **changes))


@pytest.fixture
def loaded() -> Iterator[Loaded]:
    made = running.load(config(), nowhere)
    yield made
    made.close()


def hold(loaded: Loaded, *lines: str | Line | Silence, id: str = "x") -> list[Turned]:
    told = tuple(Line(line) if isinstance(line, str) else line for line in lines)
    held = running.hold(Conversation(id, told), loaded)
    assert not held.failed
    return list(held.turns)


# What a script says.


def test_a_script_is_a_list_or_one_conversation_a_line() -> None:
    talks: list[dict[str, Any]] = [
        {"id": "a", "lines": ["Hi.", {"say": "Fine.", "face": "sad", "voice": "flat"}]},
        {"lines": [{"wait": 2.5}, {"say": "Yes.", "face": ["happy", "uncertain"]}]},
    ]
    expected = [
        Conversation("a", (Line("Hi."), Line("Fine.", ("sad",), "flat"))),
        Conversation("2", (Silence(5 * SECOND // 2), Line("Yes.", ("happy", "uncertain")))),
    ]
    assert script.parse(json.dumps(talks, indent=1), "f") == expected
    assert script.parse("\n".join(map(json.dumps, talks)) + "\n\n", "f") == expected
    assert script.parse(json.dumps(talks[0]), "f") == expected[:1]
    assert [c.staged for c in expected] == [True, True]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "f: there is no conversation"),
        ("[]", "f: there is no conversation"),
        ('{"id": "a", "lines": ["Hi."]}\n{"id"', "f: line 2 is no JSON: Expecting ':' delimiter, column 6"),
        ("[3]", "f: entry 1 is 3, expected"),
        ('[{"id": "a"}]', "f: entry 1 (a): lines is missing"),
        ('[{"id": "a", "lines": []}]', "f: entry 1 (a): lines is []"),
        ('[{"id": "a", "line": ["Hi."]}]', "f: entry 1: unknown field 'line'; did you mean lines?"),
        ('[{"id": "", "lines": ["Hi."]}]', 'f: entry 1: id is "", expected a string'),
        ('[{"lines": ["a"]}, {"id": 1, "lines": ["b"]}]', "f: entry 2: id '1' is that of entry 1"),
        ('[{"id": "a", "lines": ["Hi.", " "]}]', 'f: entry 1 (a): lines[1] is " ", expected words'),
        ('[{"id": "a", "lines": [7]}]', "f: entry 1 (a): lines[0] is 7"),
        ('[{"id": "a", "lines": [{"face": "sad"}]}]', "lines[0].say is missing"),
        ('[{"id": "a", "lines": [{"say": "x", "face": "glum"}]}]', 'lines[0].face is "glum", expected one of angry'),
        ('[{"id": "a", "lines": [{"say": "x", "voice": "low"}]}]', 'lines[0].voice is "low", expected one of flat'),
        ('[{"id": "a", "lines": [{"wait": 0}]}]', "lines[0].wait is 0, expected seconds"),
        ('[{"id": "a", "lines": [{"wait": 9, "say": "x"}]}]', "unknown field 'say'"),
        (json.dumps([{"lines": ["x" * 4001]}]), "lines[0] has 4001 characters"),
        ('[{"lines": ["\\ud83d"]}]', "lines[0] holds half a character"),
    ],
)
def test_what_cannot_be_followed_names_the_entry_and_the_field(text: str, why: str) -> None:
    with pytest.raises(ScriptError) as caught:
        script.parse(text, "f")
    assert why in str(caught.value)


# What becomes of it.


def test_every_line_is_a_turn_and_the_greeting_is_none_of_them(loaded: Loaded) -> None:
    greeting, dog, well, quiet = hold(loaded, "My dog died.", "All is well.", "Be quiet now.")
    assert (greeting.turn, greeting.said, greeting.answered, greeting.source) == (0, "", "Hello, I'm an AI.", "policy")
    assert dog == Turned(
        "x",
        1,
        "My dog died.",
        answered="Oh no. What was he like?",
        action="speak",
        strategy="question",
        emotion="sad",
        reason="The script says so.",
        mind="scripted",
        source="policy",
        after_s=dog.after_s,
        looks=("sad",),
        confidence=1.0,
    )
    assert dog.after_s is not None
    assert 0.05 <= dog.after_s < 0.2
    assert (quiet.answered, quiet.action, quiet.strategy, quiet.source, quiet.after_s) == (
        "",
        "wait",
        "",
        "policy",
        None,
    )
    assert (well.answered, well.action) == ("mm-hm", "backchannel")
    assert list(dog.as_json()) == [
        *("id", "turn", "said", "answered", "action", "strategy"),
        *("emotion", "reason", "mind", "source", "after_s", "looks", "card"),
    ]


def test_danger_is_answered_by_the_lane_and_shows_the_card(loaded: Loaded) -> None:
    _, before, danger = hold(loaded, "Hi.", "I want to kill myself.")
    assert (before.card, before.source) == ("", "policy")
    assert (danger.card, danger.source, danger.strategy, danger.mind) == ("self_harm", "lane", "safety", "")
    assert danger.answered


def test_who_is_an_ai_says_so_again_and_that_counts_as_disclosure() -> None:
    call = dataclasses.replace(Config().call, disclosure=DisclosureOptions(every=SECOND))
    made = running.load(config(call=call), nowhere)
    *_, turn = hold(made, "Hi.", "The bus was late.", "So was I.", "And it was full.")
    made.close()
    assert turn.answered.startswith("I see. ")
    assert turn.source == "policy+disclosure"
    assert (turn.strategy, turn.reason) == ("reflection", "The script says so.")


def test_a_silence_is_a_turn_in_which_the_agent_may_speak_up(loaded: Loaded) -> None:
    _, told, silence, after = hold(loaded, "I am so sad, she died.", Silence(15 * SECOND), "Thanks.")
    assert told.answered == "I see."
    assert (silence.turn, silence.said, silence.answered) == (2, "", "Take your time.")
    assert silence.after_s is not None
    assert 7 < silence.after_s < 10
    assert after.answered == "I see."


def test_what_is_spoken_has_a_face_and_a_voice() -> None:
    made = running.load(running.fitting(Config(policy=Use("scripted"))), nowhere)
    words = "I'm fine, really, everything is fine."
    _, typed = hold(made, words)
    _, spoken = hold(made, Line(words, ("sad",), "trembling"))
    made.close()
    assert typed.evidence == ()
    assert {(p.kind, p.label) for p in spoken.evidence} >= {("expression", "sad"), ("prosody", "trembling")}
    assert spoken.said == words
    assert "trembling" in spoken.reason
    assert spoken.answered != typed.answered
    assert spoken.after_s is not None
    assert spoken.after_s > 0.5  # the end of what is spoken has to be waited for


def test_where_feelings_may_not_be_inferred_nobody_sees_or_hears_them() -> None:
    place = running.fitting(Config(policy=Use("scripted"), deployment=DeploymentOptions(context="workplace")))
    assert not place.deployment.affect
    made = running.load(place, nowhere)
    _, spoken = hold(made, Line("I'm fine, really, everything is fine.", ("sad",), "trembling"))
    made.close()
    assert not {p.kind for p in spoken.evidence} & {"expression", "prosody"}


class Broken:
    """One call of a policy that raises, unless it is asked to say nothing."""

    name = "broken"

    def session(self) -> Broken:
        return self

    async def prepare(self, window: ContextWindow, /) -> None:
        return

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:
        if window.cue == "greeting":
            yield Speak(text="Hi, I'm an AI.", reason="It begins.")
            return
        yield Express(emotion="curious", reason="Before it breaks.")
        yield Wait(reason="Before it breaks, too.") if "nothing" in str(window.turns[-1].text) else _break()

    async def close(self) -> None:
        return


def _break() -> Step:
    raise RuntimeError("broken")


class BrokenPolicy:
    name = "broken"

    def session(self) -> Broken:
        return Broken()

    def close(self) -> None:
        return


def load(*, resolve: object) -> BrokenPolicy:
    return BrokenPolicy()


def test_where_the_policy_fails_the_words_are_the_fallback() -> None:
    made = running.load(running.fitting(Config(), "tests.agent.test_chat"), nowhere)
    greeting, broken, silent = hold(made, "Hi.", "Say nothing.")
    made.close()
    assert (greeting.answered, greeting.source, greeting.mind) == ("Hi, I'm an AI.", "policy", "broken")
    assert (broken.answered, broken.source) == (Config().call.reply.fallback, "fallback")
    assert (silent.answered, silent.action, silent.reason) == ("", "express", "Before it breaks, too.")


def test_it_happens_the_same_way_every_time(loaded: Loaded) -> None:
    lines: tuple[str | Line | Silence, ...] = (
        *("Hi.", Line("I'm fine, really.", ("happy", "sad"), "flat"), Silence(12 * SECOND)),
        *("My dog died.", "I want to kill myself.", "No."),
    )

    def printed() -> bytes:
        return "".join(json.dumps(turn.as_json()) + "\n" for turn in hold(loaded, *lines)).encode()

    assert printed() == printed()


@pytest.mark.slow
def test_several_processes_print_the_same_in_the_same_order() -> None:
    talks = [Conversation(f"talk {n}", (Line(f"My dog is {n}."), Line("Hi."))) for n in range(5)]

    def held(jobs: int) -> Sequence[Held]:
        return list(running.hold_all(talks, config(), nowhere, jobs=jobs))

    assert held(2) == held(1)
    assert [h.turns[0].id for h in held(1)] == [talk.id for talk in talks]


def test_a_call_that_breaks_is_named_and_the_next_is_held(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(self: Loaded, *given: Any) -> Any:
        if given[0].teller.told().id == "bad":
            raise RuntimeError("broken")
        return whole(self, *given)

    whole = Loaded.call
    monkeypatch.setattr(Loaded, "call", call)
    monkeypatch.setattr(models, "resolve", nowhere)
    file = tmp_path / "talks.json"
    file.write_text('{"id": "bad", "lines": ["Hi."]}\n{"id": "good", "lines": ["Hi."]}\n', encoding="utf-8")
    assert chat("--script", file, "--json", "--policy", "scripted") == 1
    out, err = capsys.readouterr()
    assert [(json.loads(line)["id"], json.loads(line)["turn"]) for line in out.splitlines() if line[0] == "{"] == [
        ("good", 0),
        ("good", 1),
    ]
    assert "agent: conversation 'bad' broke off: RuntimeError" in err


# The command.


def chat(*arguments: object) -> int:
    options: argparse.Namespace = cli._parser().parse_args(["chat", *map(str, arguments)])
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--json",), "name one with --script FILE"),
        (("--jobs", "2"), "name one with --script FILE"),
        (("--jobs", "0", "--script", "x"), "--jobs is 0"),
        (("--script", "none.json"), "none.json: cannot be read"),
        (("--policy", "nobody", "--script", "-"), "there is no policy 'nobody'"),
    ],
)
def test_wrong_usage_is_told(arguments: Sequence[str], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b'[{"lines": ["Hi."]}]'))
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(ConfigError, match=why.replace(".", r"\.")):
        chat(*arguments)


def test_the_policy_of_the_command_line_takes_the_place_of_that_of_the_configuration() -> None:
    given = Config(policy=Use("scripted", {"script": ()}), fallback=(Use("scripted"),))
    assert running.fitting(given).policy.options == {"script": ()}
    assert running.fitting(given, "scripted").policy.options == {"script": ()}
    other = running.fitting(given, "compact")
    assert other.policy == Use("compact", {"hears": False})
    assert other.fallback == (Use("scripted"),)


def test_a_script_reads_as_a_dialogue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "resolve", nowhere)
    file = tmp_path / "talks.json"
    file.write_text('[{"id": "tea", "lines": ["I want to kill myself.", {"wait": 2}]}]', encoding="utf-8")
    assert chat("--script", file, "--policy", "scripted") == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith(("──", " ", "agent"))]
    assert lines[0] == "── tea"
    assert "  you │ I want to kill myself." in lines
    assert "      │ [help card: self_harm]" in lines
    assert "  you │ (silence)" in lines
    assert "\x1b" not in out


def test_what_is_piped_in_is_answered_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "resolve", nowhere)
    monkeypatch.setattr(sys, "stdin", io.StringIO("My dog died.\n\n/why\n/nothing\n/quit\nNot said any more.\n"))
    assert command._converse(config()) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " │ " in line]
    said = [line.partition(" │ ")[2] for line in lines]
    assert (
        said.index("Hello, I'm an AI.")
        < said.index("My dog died.")
        < said.index("Oh no.")
        < said.index("What was he like?")
    )
    assert "(sad)" in said
    assert "question: The script says so." in said
    assert "    action  speak, question" in said
    assert "    source  policy" in said
    assert "There is no /nothing; /help tells what there is." in said
    assert not any("Not said" in line for line in said)


class AtTerminal:
    """``agent chat`` at a terminal, as a person has it."""

    def __init__(self, **environment: str) -> None:
        import pty

        self._master, slave = pty.openpty()
        words = [sys.executable, "-m", "agent.cli", "chat", "--policy", "scripted"]
        env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color"} | environment
        self.process = subprocess.Popen(words, cwd=ROOT, env=env, stdin=slave, stdout=slave, stderr=subprocess.DEVNULL)
        os.close(slave)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, words: str, patience: float = 60) -> None:
        clock, begin = SystemClock(), len(self.shown)
        while words not in self.shown[begin:]:
            assert clock.now() < patience * SECOND, f"no {words!r} in:\n{self.shown}"
            if select.select([self._master], [], [], 0.2)[0]:
                self.shown += os.read(self._master, 4096).decode(errors="replace")

    def end(self) -> int:
        code = self.process.wait(60)
        os.close(self._master)
        return code


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
@pytest.mark.parametrize("ending", ["ctrl-c", "ctrl-d", "/quit"])
def test_a_person_types_at_a_terminal(ending: str) -> None:
    seat = AtTerminal(**({"NO_COLOR": "1"} if ending == "/quit" else {}))
    try:
        seat.until("Loading the policy scripted")
        seat.until("Rapport")
        seat.until("you")
        seat.type("My mother died on Sunday.\n")
        seat.until("agent")
        seat.until("you")
        seat.type("/why\n")
        seat.until("evidence")
        seat.type("I want to kill myself.\n")
        seat.until("You do not have to be alone with this")
        seat.until("you")
        if ending == "ctrl-c":
            seat.process.send_signal(signal.SIGINT)
        else:
            seat.type({"ctrl-d": "\x04", "/quit": "/quit\n"}[ending])
        assert seat.end() == 0
    finally:
        seat.process.kill()
        seat.process.wait()
    coloured = re.search(r"\x1b\[(?:\d;)*(?:3|9)[0-7]m", seat.shown) is not None
    assert coloured == (ending != "/quit")


@pytest.mark.slow
@pytest.mark.models
def test_the_default_policy_holds_a_script_in_seconds() -> None:
    lines = {
        "job": ("Hi there.", "I lost my job.", "My wife doesn't know.", "How do I tell her?", "I feel ill.", "Bye."),
        "dog": ("Our dog died.", "He was fourteen.", "The kids cry.", "So do I.", "He was good.", "Thank you."),
        "exam": ("I passed!", "Third time lucky.", "Mum cried.", "I'm scared though.", "It's on Monday.", "Bye now."),
    }
    talks = [Conversation(name, tuple(map(Line, said))) for name, said in lines.items()]
    made = running.load(running.fitting(Config()), models.resolve)
    try:
        clock = SystemClock()
        found = [running.hold(talk, made) for talk in talks]
        took = clock.now()
        again = [running.hold(talk, made) for talk in talks]
    finally:
        made.close()
    assert again == found
    assert took < 30 * SECOND
    turns = [turn for held in found for turn in held.turns]
    assert len(turns) == 3 * 7
    assert all(turn.mind == "compact" for turn in turns)
    assert sum(bool(turn.answered) for turn in turns) >= 18
