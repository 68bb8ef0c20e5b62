"""The mood of a moment: the words fused with the face, and what the agent's own face and voice do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from perception.percept import NEGATIVE
from policy import affect, prompt, reading
from policy.affect import GRAVE, SMILES, SURE, TENDER, Affect
from policy.cues import Cues
from policy.irony import ironic, literal, sober
from policy.leaning import Leaning
from policy.reading import MOODS, Reading
from policy.words import mood_words, plain

HEAVY: Final = reading.HEAVY | {"heavy"}
"""Moods of distress, the coarse one included."""

GLAD: Final = prompt.GLAD | {"glad"}
"""Moods that are good to have, the coarse one included."""

SHOWN: Final = 0.45
"""How sure a face or a voice must be in distress before it counts."""

_SURE: Final = 0.5
"""Share from which a mood is spoken to by its name; about four of five such readings are right."""

_SURE_GRIEF: Final = 0.8
"""The same for grief; nobody wants to be comforted for a death that did not happen."""

_SURE_GLAD: Final = 0.8
"""Share that a glad mood needs when no glad word and no smile speaks for it: congratulating a person in
distress is the worst mistake there is."""

_BRIGHT: Final = 0.6
"""Probability of a happy face from which it may count as bright."""

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

_FACE_MOOD: Final[Mapping[str, str]] = {"sad": "sadness", "fear": "fear", "angry": "anger", "disgust": "anger"}
_CALMING: Final = frozenset({"anger", "fear", "stress"})


def fuse(read: Reading, cues: Cues) -> str:
    """Fuse the mood of the words with the face, which decides where the words leave it open.

    Returns:
        A mood of :data:`policy.reading.MOODS`, or the coarse ``heavy`` or ``glad`` where only that is certain.
    """
    mood, words = _fuse(read, cues), affect.read(cues.words)
    if words.sure < SURE or cues.distress >= SHOWN or cues.smiling >= SHOWN:
        return mood
    if words.valence == affect.GLAD and mood in HEAVY:
        return "glad"  # "no longer afraid" is no fear
    return "heavy" if words.valence == affect.HURT and mood not in HEAVY else mood


def _fuse(read: Reading, cues: Cues) -> str:
    if ironic(cues.words):
        return "heavy"  # whatever the face does: a grin is part of such a joke
    face = cues.face_at_words or cues.face or {}
    moods = {
        mood: share * (1.0 + _PULL * sum(face.get(look, 0.0) for look in _FITS.get(mood, ())))
        for mood, share in read.moods.items()
    }
    total = sum(moods.values()) or 1.0
    moods = {mood: share / total for mood, share in moods.items()}
    best = leader(moods, MOODS)
    heavy, glad = (sum(part for mood, part in moods.items() if mood in group) for group in (HEAVY, GLAD))
    named = mood_words(sober(cues.words))
    if _harmless(cues, named):
        named = {mood: count for mood, count in named.items() if mood not in HEAVY}
        if best in HEAVY:
            return "glad" if glad >= _SOME_GLAD else "neutral"
    share = moods[best]
    if best in GLAD and share >= _SURE and bright(cues) and "grief" not in named:
        return best
    if best in GLAD:
        if "grief" in named:
            return "grief"
        told = any(mood in GLAD for mood in named)
        if (
            told
            and any(mood in GLAD for mood in mood_words(plain(cues.words).partition(" but ")[0]))
            and (" but " in plain(cues.words))
        ):
            return "heavy" if any(mood in HEAVY for mood in named) else "neutral"
        if cues.distress >= SHOWN and not told:
            return "heavy"
        if not told and cues.smiling < 0.5 and share < _SURE_GLAD:
            return "heavy" if any(mood in HEAVY for mood in named) else "neutral"
    elif best in HEAVY and not named and cues.smiling >= 0.6 and share < _SURE_GLAD:
        return "glad" if glad >= 0.3 else "neutral"
    if cues.distress >= SHOWN and not named:
        if share >= _SURE and best in HEAVY:
            return best
        return "heavy" if heavy >= 0.3 or not face else _mood_of_face(face)
    sure = _SURE_GRIEF if best == "grief" else _SURE
    if best not in named and any(mood in HEAVY for mood in named):
        # A word outweighs a likeness that it does not support.
        word = leader({mood: moods[mood] for mood in named}, MOODS)
        return word if word in HEAVY and moods[word] >= 0.15 else "heavy"
    if share >= sure or (best in named and share >= 0.35):
        return best
    if heavy >= 0.6:
        return "heavy"
    if glad >= 0.5:
        return "glad"
    return "neutral"


def _harmless(cues: Cues, named: Mapping[str, int]) -> bool:
    """Tell whether a smile makes heavy words harmless: they describe a thing, or colour a story told in high spirits.

    Fear, loneliness and the like stay what they are; only tears, temper and silliness are the stuff of funny stories.
    """
    if cues.smiling < _BRIGHT or cues.distress >= SHOWN:
        return False
    heavy = {mood for mood in named if mood in HEAVY}
    if not heavy:
        return sober(cues.words) != plain(cues.words)
    return literal(cues.words) or (len(heavy) == 1 and heavy <= _FUNNY and bright(cues))


_FUNNY: Final = frozenset({"sadness", "anger", "shame"})
_SOME_GLAD: Final = 0.3


def bright(cues: Cues) -> bool:
    """Tell whether the whole manner is glad: a smile, a lively voice, and nothing that speaks against them."""
    voice = cues.voice or {}
    lively = any(voice.get(label, 0.0) >= SHOWN for label in ("rising", "fast", "loud"))
    return cues.smiling >= _BRIGHT and lively and cues.distress < SHOWN and cues.gaze != "away"


def display(
    mood: str, distress: float, cues: Cues, leaning: Leaning | None = None, moods: Mapping[str, float] | None = None
) -> tuple[str, str]:
    """Return the agent's display emotion and its tone of voice.

    Where the words cannot be told to hurt or to be glad, the look is one that is right either way.

    Args:
        mood: as :func:`fuse` returns it.
        distress: how far words, face or voice are in distress, 0..1.
        cues: what face and voice show.
        leaning: what the trained head makes of it, which decides within these rules.
        moods: share per mood of the words alone.
    """
    emotion, tone = _by_rule(mood, distress, cues)
    if leaning is not None:
        fitting = dict(leaning.emotions)
        heavy = sum(share for name, share in leaning.moods.items() if name in HEAVY)
        if mood in HEAVY or distress >= SHOWN or heavy >= _MAY_BE_HEAVY or fitting.get("happy", 0.0) < _SURELY_HAPPY:
            fitting.pop("happy", None)
        emotion = leader(fitting, _ORDER)
        tone = "lively" if emotion == "happy" and tone == "warm" else tone
    emotion = careful(emotion, affect.read(cues.words, cues.before), cues, moods or {})
    if emotion in _SOFT and tone in {"lively", "neutral", "warm"}:
        tone = "soft"
    return emotion, tone


def careful(emotion: str, words: Affect, cues: Cues, moods: Mapping[str, float]) -> str:
    """Return ``emotion``, or in its place the look that is safe for what the words may mean.

    Args:
        emotion: what rules and head would show.
        words: what the words speak of.
        cues: what face and voice show.
        moods: share per mood that the sentence encoder gives the words; empty where there is none.
    """
    heavy, glad = (sum(share for name, share in moods.items() if name in group) for group in (HEAVY, GLAD))
    distressed = cues.distress >= SHOWN
    if words.heavy:
        if emotion in GRAVE and words.valence == affect.HURT and (distressed or (words.sure >= SURE and glad < heavy)):
            return emotion
        angry = bool(moods) and moods.get("anger", 0.0) >= max(moods.values())
        return "calm" if emotion == "calm" and angry else TENDER
    if distressed:
        # Glad or plain words under a face or a voice in distress: the careful look.
        if words.valence == affect.GLAD:
            return TENDER
        return emotion if emotion in affect.CARE else "concern"
    if words.valence == affect.GLAD and words.sure >= SURE:
        return emotion if emotion not in GRAVE else "warm" if words.after else "happy"
    likely = glad - heavy >= _LEAD
    if emotion in SMILES and (
        (words.valence == affect.GLAD and words.sure == affect.WEAK and likely)
        or (cues.smiling >= _BRIGHT and heavy - glad < _LEAD)
    ):
        return "warm"
    if emotion in GRAVE | SMILES:
        return TENDER if heavy - glad >= _LEAD else "curious" if glad > heavy else "calm"
    return emotion


def leader(shares: Mapping[str, float], order: Sequence[str]) -> str:
    """Return the name with the largest share; of those that are as good as equal, the first in ``order``.

    The last bits of a share differ between processors; what is shown must not.
    """
    best = max(shares.values())
    return next(name for name in order if shares.get(name, -1.0) >= best - CLOSE)


CLOSE: Final = 0.02
"""Shares that differ by less are as good as equal."""

_LEAD: Final = 0.3
"""How far glad must be ahead of heavy, or heavy of glad, before a look goes by likeness alone."""

_ORDER: Final = ("concern", "calm", "curious", "warm", "neutral", "sad", "surprise", "happy")
"""Looks, the one that is never far wrong first."""

_MAY_BE_HEAVY: Final = 0.3
"""Share of heavy moods from which nothing happy is shown, whatever else speaks for it."""

_SURELY_HAPPY: Final = 0.42
"""Share of happy from which it is shown; below it another warm look is never wrong."""

_SOFT: Final = frozenset({"sad", "concern", "tender"})


def _by_rule(mood: str, distress: float, cues: Cues) -> tuple[str, str]:
    if mood in GLAD:
        if cues.distress >= SHOWN or any(name in HEAVY for name in mood_words(cues.words)):
            return "warm", "soft"
        return ("happy", "lively") if mood in {"joy", "pride"} else ("warm", "warm")
    if mood in HEAVY or distress >= SHOWN:
        return "sad" if mood == "grief" else "concern", "calm" if mood in _CALMING else "soft"
    return ("curious", "warm") if mood == "boredom" else ("warm", "neutral")


def _mood_of_face(face: Mapping[str, float]) -> str:
    label = max(sorted(NEGATIVE), key=lambda name: face.get(name, 0.0))
    return _FACE_MOOD[label] if face.get(label, 0.0) >= 0.6 else "heavy"
