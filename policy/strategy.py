"""From what was read and what is shown to what to do: strategy, mood, display emotion, tone, and the reason.

The strategies are those of ESConv (Liu et al., ACL 2021) without self-disclosure. A reading of the words
(:mod:`policy.reading`) is weighed with the cues of face and voice (:mod:`policy.cues`) under a few rules
that always hold: danger first; no advice before it is asked for and something has been understood; never
three questions in a row; nothing happy while words, face or voice are in distress; a smile alone is not joy.
All of it is a pure function of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from perception.percept import EXPRESSION, NEGATIVE, PROSODY, Percept
from policy import prompt
from policy import reading as _reading
from policy.cues import SIGHT, Cues
from policy.parse import sentences
from policy.reading import CONTINUE, MOODS, TELL, Reading
from policy.replies import strategy_by_line
from policy.safety import FOLLOW, Finding
from policy.words import covers_up, is_english, lexicon, mood_words, plain, tokens

HEAVY: Final = _reading.HEAVY | {"heavy"}
"""Moods of distress, the coarse one included."""

GLAD: Final = prompt.GLAD | {"glad"}
"""Moods that are good to have, the coarse one included."""

SHOWN: Final = 0.45
"""How sure a face or a voice must be in distress before it counts."""

_FACE_MOOD: Final[Mapping[str, str]] = {"sad": "sadness", "fear": "fear", "angry": "anger", "disgust": "anger"}
_CALMING: Final = frozenset({"anger", "fear", "stress"})
_SAD: Final = frozenset({"grief", "sadness"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to do.

    Attributes:
        strategy: one of :data:`policy.decision.STRATEGIES`.
        mood: one of :data:`policy.reading.MOODS`, or ``heavy`` or ``glad`` where that is all that is sure.
        topic: the table of curated lines to speak from: ``mood/strategy`` or ``section/name``.
        emotion: what the agent's face shows, one of :data:`policy.decision.EMOTIONS`.
        tone: how the voice says it, one of :data:`policy.decision.TONES`.
        confidence: 0..1.
        reason: one plain sentence.
        evidence: the percepts it rests on, oldest first.
        wait: whether to say nothing.
        free: whether a model may put it into its own words.
        distress: how far words, face or voice are in distress, 0..1.
    """

    strategy: str
    mood: str = "neutral"
    topic: str
    emotion: str = "neutral"
    tone: str = "neutral"
    confidence: float = 1.0
    reason: str
    evidence: tuple[Percept, ...] = ()
    wait: bool = False
    free: bool = False
    distress: float = 0.0


def choose(reading: Reading, cues: Cues, danger: Finding | None = None, *, lately: Finding | None = None) -> Choice:
    """Choose the answer to ``cues.words``.

    Args:
        reading: how the words were read.
        cues: what face, voice and history show.
        danger: what the look-out found in the words.
        lately: what it found in one of the last few turns before.
    """
    if danger is not None:
        return _safety(danger.kind, danger.reason, danger.confidence, cues)
    if not is_english(cues.words, cues.language):
        return Choice(
            strategy="other",
            topic="act/language",
            emotion="concern" if cues.distress >= SHOWN else "warm",
            tone="soft",
            confidence=0.7,
            reason="The words do not seem to be English, and guessing would be worse than asking.",
            evidence=cues.evidence,
            distress=cues.distress,
        )
    mood = _mood(reading, cues)
    distress = max(cues.distress, reading.heavy if mood in HEAVY else 0.0)
    if lately is not None and reading.act not in {"goodbye", "thanks"} and mood not in GLAD:
        return _safety(FOLLOW, "Something dangerous was said a moment ago, so it stays with that.", 0.8, cues)
    act = _act(reading, cues, mood, distress)
    if act is not None:
        return act
    masked = _masked(cues, mood, distress)
    if masked is not None:
        return masked
    strategy, why = _strategy(reading, cues, mood, distress)
    emotion, tone = display(mood, distress, cues)
    return Choice(
        strategy=strategy,
        mood=mood,
        topic=_topic(mood, strategy, why, cues),
        emotion=emotion,
        tone=tone,
        confidence=round(min(1.0, 0.35 + 0.65 * reading.strategies.get(strategy, 0.0)), 3),
        reason=_because(mood, cues, strategy, why),
        evidence=cues.evidence,
        free=True,
        distress=distress,
    )


def _topic(mood: str, strategy: str, why: str, cues: Cues) -> str:
    """Return the table of curated lines; facts have tables of their own, for a guess would be worse than none."""
    if why == _TOO_EARLY:
        return "act/before_advice"
    if strategy != "information":
        return f"{mood}/{strategy}"
    asks = lexicon("asks").hits(plain(cues.words))
    if "normal" in asks and (mood in HEAVY or "i" in tokens(cues.words)):
        return "act/normal"
    if "lasting" in asks and mood in HEAVY:
        return "act/lasting"
    return f"{'heavy' if mood in HEAVY else 'neutral'}/information"


def display(mood: str, distress: float, cues: Cues) -> tuple[str, str]:
    """Return the display emotion and the tone of voice for ``mood``.

    Happy needs a glad mood and no distress in face or voice; joyful words over a sad face get warmth.
    """
    if mood in GLAD:
        if cues.distress >= SHOWN:
            return "warm", "soft"
        return ("happy", "lively") if mood in {"joy", "pride"} else ("warm", "warm")
    if mood in _SAD:
        return "sad" if mood == "grief" else "concern", "soft"
    if mood in HEAVY or distress >= SHOWN:
        return "concern", "calm" if mood in _CALMING else "soft"
    return ("curious", "warm") if mood == "boredom" else ("warm", "neutral")


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


def _mood(reading: Reading, cues: Cues) -> str:
    """Fuse the mood of the words with the face, which decides where the words leave it open.

    Returns:
        A mood of :data:`MOODS`, or the coarse ``heavy`` or ``glad`` where only that much is certain.
    """
    face = cues.face_at_words or cues.face or {}
    moods = {
        m: reading.moods.get(m, 0.0) * (1.0 + _PULL * sum(face.get(f, 0.0) for f in _FITS.get(m, ()))) for m in MOODS
    }
    total = sum(moods.values()) or 1.0
    moods = {mood: share / total for mood, share in moods.items()}
    best = max(MOODS, key=lambda mood: moods[mood])
    worded = bool(mood_words(cues.words))
    heavy, glad = (sum(moods[mood] for mood in group if mood in moods) for group in (HEAVY, GLAD))
    if cues.distress >= SHOWN and not worded and (best not in GLAD or moods[best] < _SURE):
        if moods[best] >= _SURE and best in HEAVY:
            return best
        return "heavy" if heavy >= 0.3 or cues.face is None else _face_mood(cues)
    if moods[best] >= _SURE or (worded and moods[best] >= 0.35):
        return best
    if heavy >= 0.55 and not (cues.smiling >= 0.6 and not worded):
        return "heavy"
    if glad >= 0.5 or (glad >= 0.3 and cues.smiling >= 0.6):
        return "glad"
    return "neutral"


_PULL: Final = 1.5
_FITS: Final[Mapping[str, tuple[str, ...]]] = {
    "grief": ("sad",),
    "sadness": ("sad",),
    "loneliness": ("sad",),
    "disappointment": ("sad",),
    "hurt": ("sad", "angry"),
    "anger": ("angry", "disgust"),
    "fear": ("fear",),
    "joy": ("happy",),
    "pride": ("happy",),
    "relief": ("happy",),
    "neutral": ("neutral",),
}
"""Which faces speak for which mood of the words."""

_SURE: Final = 0.45
"""Share from which a mood is spoken to by its name; about three of four such readings are right."""


def _face_mood(cues: Cues) -> str:
    face = cues.face_at_words or cues.face or {}
    label = max(sorted(NEGATIVE), key=lambda name: face.get(name, 0.0))
    return _FACE_MOOD[label] if face.get(label, 0.0) >= 0.6 else "heavy"


def _act(reading: Reading, cues: Cues, mood: str, distress: float) -> Choice | None:
    """Answer the small acts: greetings, thanks, being asked to be quiet, and so on."""
    act = reading.act
    if act in {TELL, "advice", "fact"}:
        return None
    heavy = distress >= SHOWN and (cues.distress >= SHOWN or mood in HEAVY)
    topic, reason, emotion, tone, wait = (
        f"act/{act}",
        _ACT_REASON.get(act, "A small everyday answer."),
        "warm",
        "warm",
        False,
    )
    if act == "greeting":
        topic = "act/hello_again" if cues.agent else "act/greeting"
    elif act == "quiet":
        emotion, tone = "calm", "soft"
        wait = any(_same(cues.agent[-2:], text) for text in ("quiet", "won't say a word", "just sit"))
    elif act == "perceive":
        topic, reason = _perceived(cues)
    elif act == CONTINUE:
        if covers_up(cues.words) and (cues.contradiction or cues.distress >= SHOWN):
            return None
        topic = "act/continue_heavy" if heavy else "act/continue"
    elif act == "smalltalk" and heavy:
        return None
    if heavy:
        emotion, tone = "concern", "soft"
    return Choice(
        strategy="other",
        mood=mood,
        topic=topic,
        emotion=emotion,
        tone=tone,
        confidence=round(0.5 + 0.5 * reading.act_sure, 3),
        reason=reason,
        evidence=cues.evidence,
        wait=wait,
        distress=distress,
    )


_ACT_REASON: Final[Mapping[str, str]] = {
    "greeting": "The person says hello.",
    "thanks": "The person says thank you.",
    "goodbye": "The person is taking leave.",
    "quiet": "The person asks for quiet.",
    "presence": "The person wants to know whether anyone is there.",
    "identity": "The person asks who they are talking to, and deserves a straight answer.",
    "repeat": "The person did not catch the last words.",
    "how_are_you": "A polite question, handed back.",
    "smalltalk": "Small talk; nothing in face or voice speaks of more.",
    "joke": "The person asks for entertainment.",
    "complaint": "The person is unhappy with the answers.",
    "off_topic": "The words try to steer the agent rather than talk to it.",
    CONTINUE: "A short answer that leaves room for more.",
}


def _perceived(cues: Cues) -> tuple[str, str]:
    if cues.face is None:
        why = "is off" if cues.lost & SIGHT else "shows nothing certain"
        return "act/see_unknown", f"The person asks what can be seen, and the picture {why}."
    if cues.distress >= SHOWN:
        return "act/see_distress", "The person asks what can be seen, and the face looks weighed down."
    if cues.smiling >= SHOWN:
        return "act/see_joy", "The person asks what can be seen, and the face is smiling."
    return "act/see_neutral", "The person asks what can be seen, and the face gives little away."


def _masked(cues: Cues, mood: str, distress: float) -> Choice | None:
    """Answer words that say one thing while face or voice say another."""
    if covers_up(cues.words) and not mood_words(cues.words) and (cues.contradiction or cues.distress >= SHOWN):
        if len(tokens(cues.words)) > 30:
            return None
        signs = cues.contradiction.partition("; ")[2] or "face or voice in distress"
        asked = _questions(cues) >= 2
        topic, reason = (
            "act/masked",
            f"The words say all is well, but {_spell(signs)}, so it gently leaves the door open.",
        )
        strategy = "reflection" if asked else "question"
    elif mood in GLAD and cues.distress >= SHOWN:
        topic, reason, strategy = "act/happy_tears", "Glad words, and a face or voice that is moved.", "reflection"
    elif mood in HEAVY and cues.smiling >= 0.6 and cues.contradiction.startswith("heavy words"):
        topic, reason, strategy = (
            "act/brave_face",
            "Heavy words behind a smile; a smile alone is not joy.",
            "reflection",
        )
    else:
        return None
    return Choice(
        strategy=strategy,
        mood=mood,
        topic=topic,
        emotion="warm" if mood in GLAD else "concern",
        tone="soft",
        confidence=round(max(0.5, cues.distress), 3),
        reason=reason,
        evidence=cues.evidence,
        distress=max(distress, 0.5),
    )


def _strategy(reading: Reading, cues: Cues, mood: str, distress: float) -> tuple[str, str]:
    """Weigh the shares of the reading with cues and history; return the strategy and what tipped it."""
    scores = {name: reading.strategies.get(name, 0.0) for name in _FREE}
    count, asked, why = len(tokens(cues.words)), reading.act, ""
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
    if count > 45:
        scores["restatement"] += 0.35
        why = "they told a lot at once"
    elif count < 25:
        scores["restatement"] -= 0.6
    if count <= 7 and not mood_words(cues.words) and mood not in GLAD:
        scores["question"] += 0.2
    last = [strategy_of(text) for text in cues.agent[-2:]]
    if last:
        scores[last[-1]] = scores.get(last[-1], 0.0) - 0.2
    if last and last[-1] != "question" and cues.turns >= 2:
        scores["question"] += 0.1
    if _questions(cues) >= 2:
        scores["question"] = -1.0
        why = "enough has been asked"
    best = max((name for name in _FREE), key=lambda name: scores[name])
    return best, why


_TOO_EARLY: Final = "they ask for advice, but too little is understood yet"
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


def _same(said: Sequence[str], part: str) -> bool:
    return any(part in text for text in said)


def _spell(signs: str) -> str:
    words = [
        sign.replace("voice ", "the voice is ").replace("face ", "the face looks ").replace("gaze ", "the gaze is ")
        for sign in signs.split(", ")
    ]
    return " and ".join(words)


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


_AN: Final[Mapping[str, str]] = {"affirmation": "an", "information": "some"}


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
