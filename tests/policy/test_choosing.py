from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from agent.models import resolve
from perception.context import CUE_QUESTION, ContextWindow, Entry, Turn
from perception.media import Text
from perception.percept import EXPRESSION, FACE, GESTURE, PRESENCE, TRANSCRIPT
from perception.timebase import SECOND, seconds
from policy.backends import Policy, compact, scripted
from policy.choosing import Chooser, Evidence, evidence_of, question_of
from policy.decision import Speak
from policy.embedding import SIZE, Embedder, Vectors
from policy.reading import KeywordReader, PrototypeReader
from policy.words import is_common, tokens
from policy.writer import Stopped
from tests.policy.windows import percept, talk

FEELINGS = ("A. happy", "B. sad", "C. angry", "D. surprised")
TAGS = "Reason in <think></think>, then give the letter in <answer></answer>."


def words_alone(texts: Iterable[str]) -> Vectors:
    """A tiny encoder: texts are near where they share words that are not common."""
    rows = []
    for text in texts:
        row = np.full(SIZE, 1e-3, np.float32)
        for word in tokens(text):
            if not is_common(word):
                row[sum(map(ord, word)) * 7 % SIZE] += 1.0
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)


def asks(
    question: str, form: str = "single", options: tuple[str, ...] = (), *known: Entry, closing: str = "", at: float = 30
) -> ContextWindow:
    """A window in which ``question`` waits for its answer behind what was known."""
    text = "\n".join(
        ["You watch a video.", f"Question: {question}", *(["Options:", *options] if options else []), closing]
    )
    entry = Text(text, seconds(at), form=form, options=options)
    return ContextWindow(start=0, end=seconds(at), entries=(*known, entry), cue=CUE_QUESTION)


def looks(label: str, count: int = 8) -> list[Entry]:
    return [percept(EXPRESSION, label, k / 2, k / 2 + 0.5, 0.75) for k in range(count)]


def says(text: str, at: float = 5) -> Turn:
    return Turn("user", text, seconds(at), seconds(at + 3))


def known_of(window: ContextWindow) -> Evidence:
    question = question_of(window)
    assert question is not None
    return evidence_of(question, window)


def answer(window: ContextWindow, chooser: Chooser | None = None) -> Speak:
    question = question_of(window)
    assert question is not None
    chooser = chooser or Chooser(words_alone, KeywordReader())
    return chooser.answer(question, window).speak(question)


async def decisions(policy: Policy, window: ContextWindow, *, prepare: bool = False) -> list[object]:
    session = policy.session()
    if prepare:
        await session.prepare(replace(window, entries=window.entries[:-1], cue=""))
    found: list[object] = [d async for d in session.decide(window)]
    await session.close()
    return found


def test_a_question_waits_until_a_turn_follows() -> None:
    window = asks("How does she feel?", "single", FEELINGS)
    found = question_of(window)
    assert found is not None
    assert found.asked == "How does she feel?"
    assert found.candidates == ("A", "B", "C", "D")
    assert found.choices == ("happy", "sad", "angry", "surprised")
    late = replace(window, entries=(*window.entries, percept(EXPRESSION, "sad", 29, 30)))
    assert question_of(late) == found
    cut = Turn("agent", "Well", 29 * SECOND, 30 * SECOND, cut=True)
    assert question_of(replace(window, entries=(*window.entries, cut))) == found
    for after in (says("Hello", 31), Turn("agent", "B", 31 * SECOND, 32 * SECOND), Text("hi", 31 * SECOND)):
        assert question_of(replace(window, entries=(*window.entries, after))) is None
    assert question_of(talk("Hello.")) is None


@pytest.mark.parametrize(
    ("form", "options", "candidates"),
    [
        ("single", ("(a) x", "(b) y"), ("A", "B")),
        ("single", ("red", "green", "blue"), ("A", "B", "C")),
        ("multi", ("B: x", "C: y"), ("B", "C")),
        ("yes_no", (), ("Yes", "No")),
        ("number", (), ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")),
    ],
)
def test_every_form_has_its_candidates(form: str, options: tuple[str, ...], candidates: tuple[str, ...]) -> None:
    found = question_of(asks("Which?", form, options))
    assert found is not None
    assert found.candidates == candidates


def test_the_words_around_the_question_are_not_the_question() -> None:
    found = question_of(asks("What is she doing, which one of the following is correct?", "single", ("A. x", "B. y")))
    assert found is not None
    assert found.asked == "What is she doing"
    stem = "Said: how are you?\nComplete: she feels\n\nOptions:\nA. x\nB. y\nReply with the letter that fits best."
    assert replace(found, text=stem).asked == "Complete: she feels"
    bare = replace(found, options=(), text="Look closely.\nWho is it?\nReply with a number.")
    assert bare.asked == "Who is it?"
    assert replace(bare, text="Count the people.\nReply with a number.").asked == "Count the people."


@pytest.mark.parametrize(("label", "letter"), [("sad", "B"), ("happy", "A"), ("angry", "C"), ("surprise", "D")])
def test_a_face_points_to_the_option_that_names_it(label: str, letter: str) -> None:
    said = answer(asks("What does the person feel?", "single", FEELINGS, *looks(label)))
    assert said.text == letter
    assert said.strategy == "information"
    assert [p.label for p in said.evidence] == [label]
    assert said.confidence > 0.5


def test_the_persons_words_point_to_an_option() -> None:
    options = ("A. about a holiday", "B. about a lost umbrella", "C. about a football match")
    assert answer(asks("What is it about?", "single", options, says("I lost my red umbrella."))).text == "B"


def test_words_that_are_no_turn_yet_count_once_and_in_their_last_form() -> None:
    known: list[Entry] = [
        says("Hello there."),
        percept(TRANSCRIPT, "hello there", 5, 8, utterance=1),
        percept(TRANSCRIPT, "I lost", 9, 10, utterance=2),
        percept(TRANSCRIPT, "I lost my umbrella", 9, 11, utterance=2),
    ]
    assert known_of(asks("What?", "single", FEELINGS, *known)).said == ("Hello there.", "I lost my umbrella")


def test_what_comes_after_the_question_changes_nothing() -> None:
    window = asks("What does the person feel?", "single", FEELINGS, *looks("sad"))
    poisoned = replace(
        window, entries=(*window.entries, *(percept(EXPRESSION, "happy", 31 + k, 32 + k) for k in range(9)))
    )
    assert answer(poisoned) == answer(window)
    late = replace(window, entries=(window.entries[-1], *window.entries[:-1]))
    assert answer(late) == answer(window)


def test_earlier_questions_and_answers_are_no_evidence() -> None:
    earlier = asks("Is it about a match or an umbrella?", "yes_no").entries[0]
    agent = Turn("agent", "A match.", seconds(31), seconds(32))
    assert known_of(asks("What?", "yes_no", (), says("Hello."), earlier, agent, at=60)).said == ("Hello.",)


def test_several_letters_are_those_above_the_mean() -> None:
    options = ("A. smiling", "B. crying", "C. nodding", "D. frowning angrily in rage")
    known = [
        *looks("happy", 6),
        percept(GESTURE, "nod", 4, 5),
        percept(GESTURE, "nod", 8, 9),
        percept(FACE, "present", 9),
    ]
    assert answer(asks("What does she do?", "multi", options, *known)).text == "AC"


def test_people_are_counted_once_they_have_stayed() -> None:
    known = [percept(FACE, "present", k, count=2.0) for k in range(5)]
    assert answer(asks("How many people are there?", "number", (), *known)).text == "2"
    flicker = [*known, percept(FACE, "present", 6, count=7.0)]
    assert answer(asks("How many people are there?", "number", (), *flicker)).text == "2"
    came = [*known, percept(PRESENCE, "arrived", 7, count=3.0)]
    assert answer(asks("How many people are there?", "number", (), *came)).text == "3"
    nods = [*known, *(percept(GESTURE, "nod", k, k + 1) for k in range(4))]
    assert answer(asks("How many times does she nod?", "number", (), *nods)).text == "4"


@pytest.mark.parametrize(
    ("question", "known", "text"),
    [
        ("Is the person sad?", looks("sad"), "Yes"),
        ("Is the person angry?", looks("sad"), "No"),
        ("Does the person nod?", [percept(GESTURE, "nod", 1, 2), percept(FACE, "present", 3)], "Yes"),
        ("Does the person nod?", [percept(FACE, "present", 3)], "No"),
        ("Is the person hiding something?", list(talk("I'm fine, really.", face="sad", voice="flat").entries), "Yes"),
        ("Is the person honest?", list(talk("I'm fine, really.", face="sad", voice="flat").entries), "No"),
        ("Is the person lying?", list(talk("I'm fine, really.", face="happy").entries), "No"),
    ],
)
def test_yes_or_no(question: str, known: list[Entry], text: str) -> None:
    assert answer(asks(question, "yes_no", (), *known)).text == text
    letters = {"No": "A", "Yes": "B"}
    assert answer(asks(question, "single", ("A. No", "B. Yes"), *known)).text == letters[text]


def test_the_emotion_to_show_is_the_one_the_policy_would_show() -> None:
    options = ("A. happy", "B. disgust", "C. surprised", "D. sad")
    window = asks("Which emotion should you show?", "single", options, *looks("happy"), says("My mum died last week."))
    assert answer(window).text == "D"
    glad = asks(
        "Which emotion should you show?", "single", options, *looks("happy", 16), says("I got the job, I'm so happy!")
    )
    assert answer(glad).text == "A"


def test_reasoning_stands_in_tags_where_they_are_asked_for() -> None:
    said = answer(asks("What does the person feel?", "single", FEELINGS, *looks("sad"), closing=TAGS))
    assert said.text == f"<think>{said.reason}</think><answer>B</answer>"
    assert "<" not in said.reason


@pytest.mark.parametrize("options", [FEELINGS, ()])
@pytest.mark.parametrize("form", ["single", "multi", "number", "yes_no", "something_new"])
def test_when_nothing_was_perceived_it_still_answers_and_is_not_sure(form: str, options: tuple[str, ...]) -> None:
    window = asks("Which is it?", form, options)
    found = question_of(window)
    assert found is not None
    for said in (answer(window), asyncio.run(decisions(scripted.load(), window))[0]):
        assert isinstance(said, Speak)
        assert said.confidence < 0.26
        assert said.text in found.candidates or {*said.text} <= {*found.candidates}


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (asks("What does she feel?", "single", FEELINGS, *looks("sad")), "B"),
        (asks("What does she feel?", "single", FEELINGS), "A"),
        (
            asks("About what?", "multi", ("A. a dog", "B. an umbrella", "C. a cat"), says("My cat has my umbrella.")),
            "BC",
        ),
        (asks("How many?", "number", (), percept(PRESENCE, "arrived", 1, count=3.0)), "3"),
        (asks("How many?", "number"), "0"),
        (asks("Is she sad?", "yes_no", (), *looks("sad")), "Yes"),
        (asks("Is she angry?", "yes_no", (), *looks("sad")), "No"),
    ],
)
def test_the_scripted_policy_answers_by_words(window: ContextWindow, text: str) -> None:
    found = asyncio.run(decisions(scripted.load(), window))
    assert [d.text for d in found if isinstance(d, Speak)] == [text]
    assert len(found) == 1


def test_a_script_overrides_an_answer() -> None:
    policy = scripted.load(script=[{"cue": "question", "words": "feel", "say": "C"}])
    found = asyncio.run(decisions(policy, asks("What does she feel?", "single", FEELINGS, *looks("sad"))))
    assert [d.text for d in found if isinstance(d, Speak)] == ["C"]


# With the real models.

SAD = asks("What does the person feel?", "single", FEELINGS, *looks("sad"), says("I lost my dog."))
FORMS = [
    SAD,
    asks("What does the person feel?", "multi", FEELINGS, *looks("sad"), closing=TAGS),
    asks("How many people are there?", "number", (), percept(PRESENCE, "arrived", 1, count=2.0)),
    asks("Is the person sad?", "yes_no", (), *looks("sad"), says("I lost my dog.")),
]


@pytest.fixture(scope="module")
def likelihood() -> Iterator[compact.Compact]:
    policy = compact.load(resolve=resolve, answers="likelihood")
    yield policy
    policy.close()


@pytest.fixture(scope="module")
def generated() -> Iterator[Policy]:
    policy = compact.load(resolve=resolve, answers="generated")
    yield policy
    policy.close()


@pytest.mark.models
@pytest.mark.slow
def test_likeness_finds_meaning_and_the_fitting_reply(embedder: Embedder, reader: PrototypeReader) -> None:
    chooser = Chooser(embedder, reader)
    topics = ("A. Their favourite food", "B. The death of a pet", "C. A holiday by the sea")
    told = says("Our puppy passed away on Sunday and the house is so silent now.")
    assert answer(asks("What does the person talk about?", "single", topics, told), chooser).text == "B"
    replies = (
        "A. You should simply buy another one at the pet shop.",
        "B. It sounds like you loved that puppy, and the silence hurts.",
        "C. The weather will be lovely all week, they say.",
        "D. Did you know that there are 300 breeds of dogs?",
    )
    said = answer(asks("Which reply would comfort the person best?", "single", replies, told), chooser)
    assert said.text == "B"


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", ["compact_off", "likelihood", "generated"])
def test_a_question_gets_one_answer_and_the_same_again(name: str, request: pytest.FixtureRequest) -> None:
    policy: Policy = request.getfixturevalue(name)
    for window in FORMS if name == "compact_off" else FORMS[1:3]:
        found = asyncio.run(decisions(policy, window))
        assert len(found) == 1
        assert isinstance(found[0], Speak)
        assert (found[0].strategy, found[0].emotion) == ("information", "neutral")
        assert asyncio.run(decisions(policy, window, prepare=True)) == found
        question = question_of(window)
        assert question is not None
        if name != "generated":
            inner = found[0].text.rpartition("<answer>")[2].removesuffix("</answer>")
            assert {*(inner if question.form == "multi" else [inner])} <= {*question.candidates}
            assert ("<think>" in found[0].text) == ("<think>" in question.text)


@pytest.mark.models
@pytest.mark.slow
def test_likelihoods_are_those_of_what_comes_next(likelihood: compact.Compact) -> None:
    writer = likelihood.mind.writer
    assert writer is not None
    chat, stop = writer.blank(), Event()
    chat.read(["The capital of France is"], stop)
    length = chat.length
    found = chat.likelihoods([" Paris", " Rome", " 1", " 10"], stop)
    assert chat.length == length
    assert -2.0 < found[" Paris"] < 0.0
    assert found[" Paris"] > found[" Rome"]
    assert found[" 1"] > found[" 10"]
    chat.read(["The capital of France is", " 1"], stop)
    zero = chat.likelihoods(["0"], stop)["0"]
    assert found[" 10"] == pytest.approx(found[" 1"] + zero, abs=1e-3)
    chat.read(["The capital of France is"], stop)
    stop.set()
    with pytest.raises(Stopped):
        chat.likelihoods([" 10"], stop)
    assert chat.length == length


@pytest.mark.models
@pytest.mark.slow
def test_the_language_model_is_loaded_only_to_answer_with(
    compact_off: compact.Compact, likelihood: compact.Compact
) -> None:
    assert compact_off.mind.writer is None
    assert likelihood.mind.writer is not None
    with pytest.raises(compact.OptionError, match="answers = 'by heart'"):
        compact.load(resolve=resolve, answers="by heart")


@pytest.mark.models
@pytest.mark.slow
def test_a_chat_line_still_gets_a_reply(likelihood: Policy) -> None:
    found = asyncio.run(decisions(likelihood, talk("I failed my exam.", cue=CUE_QUESTION)))
    assert len(found) > 1


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", ["compact_off", "likelihood", "generated"])
def test_an_answer_stops_within_100_ms(name: str, request: pytest.FixtureRequest) -> None:
    policy: Policy = request.getfixturevalue(name)

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        session = policy.session()

        async def collect() -> list[object]:
            return [d async for d in session.decide(SAD)]

        whole = await collect()
        for after in (0.0, 0.02, 0.15):
            task = asyncio.ensure_future(collect())
            await asyncio.wait([task], timeout=after)
            began = loop.time()
            task.cancel()
            await asyncio.wait([task])
            assert loop.time() - began < 0.1
        assert await collect() == whole
        await session.close()

    asyncio.run(ask())
