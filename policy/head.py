"""The trained head: from words, face and voice together to strategy, display emotion and mood.

A small network over the sentence embeddings of what was said and over the cues of face, voice, gaze and history
(:mod:`policy.cues`). It is trained on the corpus of :mod:`policy.training` and weighs where rules would guess: the
same words with another face want another answer. The rules that always hold stay in front of it
(:mod:`policy.strategy`). Whether each strategy and each display emotion fits is a question of its own, for several
may; how likely each is goes into its share. Weights: ``policy/data/head.safetensors``; several networks, whose answers
are averaged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from perception.percept import LOOKS, MANNERS
from policy.cues import Cues
from policy.decision import LEARNED_EMOTIONS, STRATEGIES
from policy.embedding import SIZE, Embed
from policy.leaning import WAIT, Leaning
from policy.reading import MOODS
from policy.words import covers_up, is_question, lexicon, mood_words, plain, tokens

FILE: Final = Path(__file__).parent / "data" / "head.safetensors"
STRATEGY_NAMES: Final = (*STRATEGIES, WAIT)

Floats = NDArray[np.float32]

_GESTURES: Final = ("nod", "head_shake")
_ACTS: Final = (
    "off_topic", "change", "quiet", "repeat", "presence", "identity", "perceive", "complaint", "joke", "greeting",
    "how_are_you", "thanks", "goodbye", "continue", "advice", "fact",
)  # fmt: skip
NUMBERS: Final = 2 * (len(LOOKS) + 1) + len(MANNERS) + 1 + 3 + len(_GESTURES) + len(MOODS) + len(_ACTS) + 8
"""Features beside the embeddings."""

FEATURES: Final = 2 * SIZE + NUMBERS


class Head:
    """Loaded weights.

    Args:
        embed: the sentence encoder that the weights were trained with.
        path: of the weights.

    Raises:
        FileNotFoundError: there are none.
        ValueError: they are of another shape than this code.
    """

    def __init__(self, embed: Embed, path: Path = FILE) -> None:
        from safetensors.numpy import load_file

        weights = load_file(path)
        self._embed = embed
        self._nets = [
            tuple(weights[f"{n}.{name}"].astype(np.float32) for name in ("in.w", "in.b", "out.w", "out.b"))
            for n in range(len(weights) // 4)
        ]
        outputs = len(STRATEGY_NAMES) + len(LEARNED_EMOTIONS) + len(MOODS)
        for first, _, last, _ in self._nets:
            if first.shape[1] != FEATURES or last.shape[0] != outputs:
                raise ValueError(
                    f"{path}: {first.shape[1]} features and {last.shape[0]} outputs, where this version has {FEATURES} "
                    f"and {outputs}; train it anew: python tools/train_head.py"
                )

    def lean(self, cues: Cues) -> Leaning:
        """Weigh a moment; a pure function of ``cues``."""
        features = features_of(cues, self._embed)
        total = np.zeros(len(STRATEGY_NAMES) + len(LEARNED_EMOTIONS) + len(MOODS), np.float32)
        for w1, b1, w2, b2 in self._nets:
            hidden = np.maximum(0.0, w1 @ features + b1)
            fits, shown, felt = split(w2 @ hidden + b2)
            total += np.concatenate([_sigmoid(fits), _sigmoid(shown), _softmax(felt)])
        strategies, emotions, moods = (part / max(1e-9, float(part.sum())) for part in split(total))
        return Leaning(
            dict(zip(STRATEGY_NAMES, map(float, strategies), strict=True)),
            dict(zip(LEARNED_EMOTIONS, map(float, emotions), strict=True)),
            dict(zip(MOODS, map(float, moods), strict=True)),
        )


def texts_of(cues: Cues) -> list[str]:
    """Return the texts that are embedded for a moment: the words, and what was said before by both sides."""
    before = " ".join([*cues.before[-1:], *cues.agent[-1:]]).strip()
    return [cues.words, *([before] if before else [])]


def features_of(cues: Cues, embed: Embed) -> Floats:
    """Return what the head reads, float32 of shape ``(FEATURES,)``."""
    vectors = embed(texts_of(cues))
    before = vectors[1] if len(vectors) > 1 else np.zeros(SIZE, np.float32)
    # An embedding has unit length; scaled, its entries are of the size of the other features.
    return np.concatenate([vectors[0] * 10, before * 6, _numbers(cues)]).astype(np.float32)


def _numbers(cues: Cues) -> Floats:
    said = mood_words(cues.words)
    count, bare = len(tokens(cues.words)), plain(cues.words)
    acts = lexicon("act")
    values: list[float] = []
    for face in (cues.face, cues.face_at_words):
        values += [face is None, *(0.0 if face is None else 2 * face.get(name, 0.0) for name in LOOKS)]
    voice = cues.voice
    values += [voice is None, *(0.0 if voice is None else 1.5 * voice.get(name, 0.0) for name in MANNERS)]
    values += [cues.gaze == "towards", cues.gaze == "away", cues.gaze is None]
    values += [name in cues.gestures for name in _GESTURES]
    values += [min(2, said.get(mood, 0)) for mood in MOODS]
    values += [act in acts.by_label and acts.search(act, bare) is not None for act in _ACTS]
    values += [
        np.log1p(count) / 2,
        min(4, cues.turns) / 2,
        bool(cues.contradiction),
        covers_up(cues.words),
        is_question(cues.words),
        bool(cues.agent) and "?" in cues.agent[-1],
        bool(cues.agent),
        cues.words.rstrip().endswith(("...", "…", "-", "—")),
    ]
    return np.array(values, np.float32)


def split(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Cut outputs into those for strategies, emotions and moods."""
    first, second = len(STRATEGY_NAMES), len(STRATEGY_NAMES) + len(LEARNED_EMOTIONS)
    return values[:first], values[first:second], values[second:]


def _sigmoid(values: Floats) -> Floats:
    odds: Floats = (1.0 / (1.0 + np.exp(-values))).astype(np.float32)
    return odds


def _softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max())
    shares: Floats = (powers / powers.sum()).astype(np.float32)
    return shares
