from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perception.context import CUE_SILENCE, ContextWindow
from policy.backends import scripted
from policy.decision import Backchannel, Decision, Express, Speak, Wait
from tests.policy.windows import talk


async def answers(policy: scripted.Scripted, window: ContextWindow) -> list[Decision]:
    session = policy.session()
    found = [decision async for decision in session.decide(window)]
    await session.close()
    return found


def run(policy: scripted.Scripted, window: ContextWindow) -> list[Decision]:
    import asyncio

    return asyncio.run(answers(policy, window))


def test_without_a_script_it_listens_by_its_own_rules() -> None:
    found = run(scripted.load(), talk("My mum died last week.", face="sad"))
    assert isinstance(found[0], Express)
    assert found[0].emotion == "sad"
    said = [d for d in found if isinstance(d, Speak)]
    assert said
    assert said[0].evidence
    assert said[0].tone == "soft"


def test_rules_match_on_turn_cue_and_words_in_order() -> None:
    policy = scripted.load(
        script=[
            {"cue": "silence", "wait": True},
            {"words": "exam", "say": ["Oh.", "What happened?"], "emotion": "concern", "strategy": "question"},
            {"turn": 2, "say": "Second."},
            {"turn": 3, "backchannel": "mm-hm"},
        ]
    )
    exam = run(policy, talk("I failed my EXAM"))
    assert [d.text for d in exam if isinstance(d, Speak)] == ["Oh.", "What happened?"]
    assert isinstance(exam[0], Express)
    assert exam[0].emotion == "concern"
    assert [d.text for d in run(policy, talk("a", "b", "c")) if isinstance(d, Speak)] == ["Second."]
    assert [type(d) for d in run(policy, talk("a", "b", "c", "d", "e"))] == [Backchannel]
    assert [type(d) for d in run(policy, talk("hello", cue=CUE_SILENCE))] == [Wait]
    assert [d for d in run(policy, talk("Hi")) if isinstance(d, Speak)]


def test_a_script_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text('[[rule]]\nturn = 1\nsay = ["Hello."]\ngesture = "nod"\n', encoding="utf-8")
    found = run(scripted.load(script=path), talk("Hi"))
    assert isinstance(found[0], Express)
    assert found[0].gesture == "nod"
    assert [d.text for d in found if isinstance(d, Speak)] == ["Hello."]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"sya": ["x"]}, "rule 1: unknown key 'sya'"),
        ({"emotion": "furious"}, "rule 1: emotion = 'furious'"),
        ({"words": "(", "say": ["x"]}, "rule 1: words = '('"),
    ],
)
def test_a_wrong_script_names_the_rule_and_the_key(rule: dict[str, object], message: str) -> None:
    with pytest.raises(scripted.ScriptError, match="rule 1") as caught:
        scripted.load(script=[rule])
    assert message in str(caught.value)


@pytest.mark.slow
def test_it_needs_no_heavy_library() -> None:
    loaded = "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    code = f"import policy.backends.scripted, policy.reflex, sys; {loaded}"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert out.stdout.strip() == "[]"
