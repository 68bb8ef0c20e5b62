"""From what was read and what is shown to what to do: strategy, mood, display emotion, tone, and the reason.

The strategies are those of ESConv (Liu et al., ACL 2021) without self-disclosure. A reading of the words
(:mod:`policy.reading`) is weighed with the cues of face and voice (:mod:`policy.cues`) under a few rules
that always hold: danger first; no advice before it is asked for and something has been understood; never
three questions in a row; nothing happy while words, face or voice are in distress; a smile alone is not joy.
All of it is a pure function of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perception.percept import EXPRESSION, PROSODY
from policy.acts import Choice, answer_act, answer_fond, answer_mask
from policy.cues import Cues
from policy.leaning import WAIT, Leaning
from policy.mood import GLAD, HEAVY, SHOWN, display, fuse, leader
from policy.parse import sentences
from policy.reading import Reading
from policy.replies import strategy_by_line
from policy.safety.detector import FOLLOW, Finding
from policy.words import is_english, is_question, lexicon, mood_words, plain, tokens


def choose(
    reading: Reading,
    cues: Cues,
    danger: Finding | None = None,
    *,
    lately: Finding | None = None,
    leaning: Leaning | None = None,
) -> Choice:
    """Choose the answer to ``cues.words``.

    Args:
        reading: how the words were read.
        cues: what face, voice and history show.
        danger: what the look-out found in the words.
        lately: what it found in one of the last few turns before.
        leaning: what the trained models make of all of it, if there are any; the rules stay in front of them.
    """
    if danger is not None:
        return _safety(danger.kind, danger.reason, danger.confidence, cues)
    if not is_english(cues.words, cues.language):
        return Choice(
            strategy="other",
            topic="act/language",
            emotion="tender" if cues.distress >= SHOWN else "calm",
            tone="soft",
            confidence=0.7,
            reason="The words do not seem to be English, and guessing would be worse than asking.",
            evidence=cues.evidence,
            distress=cues.distress,
        )
    mood = fuse(reading, cues)
    distress = max(cues.distress, reading.heavy if mood in HEAVY else 0.0)
    if lately is not None and reading.act not in {"goodbye", "thanks"} and mood not in GLAD:
        return _safety(FOLLOW, "Something dangerous was said a moment ago, so it stays with that.", 0.8, cues)
    act = answer_act(reading, cues, mood, distress)
    if act is not None and (leaning is None or act.topic not in _BRIEF):
        return act
    glad = sum(share for name, share in reading.moods.items() if name in GLAD)
    layered = answer_mask(cues, mood, distress, glad) or answer_fond(cues, mood, distress)
    if layered is not None:
        return layered
    emotion, tone = display(mood, distress, cues, leaning, reading.moods)
    strategy, why = _strategy(reading, cues, mood, distress, leaning)
    return Choice(
        strategy=strategy,
        mood=mood,
        topic=_topic(mood, strategy, why, cues),
        emotion=emotion,
        tone=tone,
        confidence=round(min(1.0, 0.35 + 0.65 * _share(strategy, reading, leaning)), 3),
        reason=_because(mood, cues, strategy, why),
        evidence=cues.evidence,
        free=True,
        distress=distress,
    )


_BRIEF: Final = frozenset({"act/continue", "act/continue_heavy"})
"""Answers to a word or two; trained models see what the word belongs to and decide instead."""


def _best(leaning: Leaning, cues: Cues) -> str:
    """Return the strategy that fits best; whoever says something is answered, so waiting is none of them.

    Safety is called for by the look-out alone, advice and facts only where they are asked for; and after two questions
    in a row there is no third. Silence where it was asked for is an act (:mod:`policy.acts`).
    """
    shares = {name: share for name, share in leaning.strategies.items() if name not in {WAIT, "safety", "suggestion"}}
    if not is_question(cues.words):
        del shares["information"]
    if _questions(cues) >= 2:
        del shares["question"]
    return leader(shares, _ORDER)


def _topic(mood: str, strategy: str, why: str, cues: Cues) -> str:
    """Return the table of curated lines; facts have tables of their own, for a guess would be worse than none."""
    if why == _TOO_EARLY:
        return "act/before_advice"
    if strategy == "other":
        return f"{'heavy' if mood in HEAVY else 'glad' if mood in GLAD else 'neutral'}/other"
    if strategy != "information":
        return f"{mood}/{strategy}"
    asks = lexicon("asks").hits(plain(cues.words))
    if "normal" in asks and (mood in HEAVY or "i" in tokens(cues.words)):
        return "act/normal"
    if "lasting" in asks and mood in HEAVY:
        return "act/lasting"
    return f"{'heavy' if mood in HEAVY else 'neutral'}/information"


def _safety(kind: str, reason: str, sure: float, cues: Cues) -> Choice:
    return Choice(
        strategy="safety",
        mood="fear" if kind == "medical" else "sadness",
        topic=f"crisis/{kind}",
        emotion="concern",
        tone="calm" if kind == "medical" else "soft",
        confidence=sure,
        reason=reason,
        evidence=cues.evidence,
        distress=1.0,
    )


def _share(strategy: str, reading: Reading, leaning: Leaning | None) -> float:
    return (reading.strategies if leaning is None else leaning.strategies).get(strategy, 0.0)


def _strategy(
    reading: Reading, cues: Cues, mood: str, distress: float, leaning: Leaning | None = None
) -> tuple[str, str]:
    """Weigh the shares of the reading with cues and history; return the strategy and what tipped it."""
    scores = {name: reading.strategies.get(name, 0.0) for name in _FREE}
    asked, why = reading.act, ""
    if asked == "advice":
        if _understood(cues):
            return "suggestion", "they ask for advice after having told enough"
        if _questions(cues) < 2:
            return "question", _TOO_EARLY
        return ("reflection" if mood in HEAVY else "restatement"), "advice would come too early"
    if asked == "fact":
        return "information", "they ask for a fact"
    scores["suggestion"] = scores["information"] = -1.0
    if mood in HEAVY or distress >= SHOWN:
        scores["reflection"] += 0.25
        scores["affirmation"] += 0.12 + (0.3 if mood == "shame" else 0.0)
        why = "feelings come first"
    elif mood in GLAD:
        scores["affirmation"] += 0.45
        scores["question"] += 0.15
        scores["reflection"] -= 0.1
        scores["restatement"] -= 0.3
        why = "good news wants to be shared"
    else:
        scores["question"] += 0.3
        scores["affirmation"] -= 0.15
        why = "there is room to hear more"
    if leaning is None:
        told_much = _guess(scores, cues, mood)
        why = "they told a lot at once" if told_much else why
    if _questions(cues) >= 2:
        scores["question"] = -1.0
        why = "enough has been asked"
    if leaning is not None:
        # What was learned from whole moments takes the place of what the rules would guess.
        return _best(leaning, cues), why
    return leader(scores, _ORDER), why


def _guess(scores: dict[str, float], cues: Cues, mood: str) -> bool:
    """Adjust ``scores`` to the length of the words and to what was said before; return whether they told a lot."""
    count = len(tokens(cues.words))
    if count > 45:
        scores["restatement"] += 0.35
    elif count < 25:
        scores["restatement"] -= 0.6
    if count <= 7 and not mood_words(cues.words) and mood not in GLAD:
        scores["question"] += 0.2
    last = [strategy_of(text) for text in cues.agent[-2:]]
    if last:
        scores[last[-1]] = scores.get(last[-1], 0.0) - 0.2
    if last and last[-1] != "question" and cues.turns >= 2:
        scores["question"] += 0.1
    return count > 45


_TOO_EARLY: Final = "they ask for advice, but too little is understood yet"
_ORDER: Final = ("reflection", "question", "affirmation", "restatement", "information", "suggestion", "other")
"""Strategies, the one that is never far wrong first; which of two that are as good as equal is taken."""

_FREE: Final = ("question", "restatement", "reflection", "affirmation", "suggestion", "information")


def _understood(cues: Cues) -> bool:
    """Tell whether the person has told something of substance in at least two runs of turns."""
    told = [text for text in (*cues.before, cues.words) if len(tokens(text)) >= 4]
    return len(told) >= 2


def _questions(cues: Cues) -> int:
    """Count the questions with which the agent's last turns ended, one after another."""
    count = 0
    for text in reversed(cues.agent):
        if "?" not in text:
            break
        count += 1
    return count


def strategy_of(text: str) -> str:
    """Tell the strategy of what the agent said: looked up for a curated line, else guessed from its surface."""
    if "?" in text:
        return "question"
    known = strategy_by_line()
    for sentence in sentences(text):
        found = known.get(plain(sentence))
        if found is not None:
            return found
    if plain(text) in known:
        return known[plain(text)]
    first = tokens(text)[:1]
    return "restatement" if first == ["so"] else "suggestion" if first in (["maybe"], ["perhaps"]) else "reflection"


_MOOD_NAME: Final[Mapping[str, str]] = {
    "neutral": "the words carry no strong mood",
    "joy": "the words are glad",
    "pride": "the words are proud",
    "relief": "the words are relieved",
    "heavy": "the words weigh heavy",
    "glad": "the words sound glad",
    "hurt": "the words speak of being hurt",
    "boredom": "the words sound bored",
}


_AN: Final[Mapping[str, str]] = {"affirmation": "an", "information": "some", "other": "an everyday word, some"}


def _because(mood: str, cues: Cues, strategy: str, why: str) -> str:
    parts = [_MOOD_NAME.get(mood, f"the words speak of {mood}")]
    shown = {p.kind: p for p in cues.evidence}
    face, voice = shown.get(EXPRESSION), shown.get(PROSODY)
    if face is not None and cues.face is not None:
        parts.append(f"the face looks {face.label}")
    if voice is not None and cues.voice is not None and voice.label != "neutral":
        parts.append(f"the voice is {voice.label}")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}; {why}, so {_AN.get(strategy, 'a')} {strategy} fits."
