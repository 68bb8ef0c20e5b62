"""Whisper on a short window: recognition of one utterance, fast enough for conversation on one CPU thread.

The usual decoders pad every call to Whisper's 30 s, and the encoder then costs about a second for a word.
CTranslate2 accepts shorter features, with which a sentence takes a fifth of that at the same error rate,
if three things hold: the window is not too short, the multilingual model is padded with the minimum of its
features and not with zeros (zeros make it loop), and decoding is greedy. Ten seconds are enough for the
multilingual model (word errors on a natural recording 4.2 %, against 3.4 % at 12 s and at 30 s, for a fifth less
time); six are not. tiny.en, padded with zeros, needs 12.

The rule that drops invented text is that of *Robust Speech Recognition via Large-Scale Weak Supervision*
(Radford et al., 2022), section 4.5, with thresholds that fit this window.

Where a word is unsure, a second decode of the same encoder output, a beam search, tells what else may have been said
(:class:`Heard`, ``alternatives``). Signs are suppressed in it: otherwise the best hypotheses differ in nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import perception.onnx  # noqa: F401 -- faster_whisper imports onnxruntime
from perception.media import RATE_HZ
from perception.mel import FRAME, log_mel

_FRAMES_PER_S = RATE_HZ // FRAME
_FULL_WINDOW = 30 * _FRAMES_PER_S
_MARGIN_S = 1.0
_TOKENS = 12
_TOKENS_PER_S = 9
_LONGEST_PHRASE = 8
_SIGNS = frozenset('.,!?;:…"-–—()[]')
UNSURE = 0.6
"""Probability of a word below which it may well have been another one. Every ninth sentence of clear synthetic speech
has such a word, and nearly every one that is recognised wrongly."""
MOST_WORDS = 24
"""Words up to which alternatives are looked for: those of a longer utterance differ in what does not matter."""
_ENGLISH = "en"
SURE = 0.7
"""Probability from which a guessed language is believed; below it, English is assumed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was recognised.

    Attributes:
        text: the words, with punctuation; empty where nothing was said.
        starts: seconds from the first sample at which each word of ``text.split()`` starts; empty unless
            asked for. In languages without spaces one entry per character or so.
        ends: seconds at which each ends.
        language: ISO 639-1 code.
        language_probability: 0..1 for the likeliest language; 1 where the language was given.
        avg_logprob: mean log probability of a token.
        no_speech: the model's belief that there are no words, 0..1.
        weakest: probability of the least sure word, 0..1; 1 where no times were asked for.
        alternatives: what else may have been said, likeliest first, without signs; empty unless asked for, and where
            every word is sure.
    """

    text: str
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    language: str
    language_probability: float
    avg_logprob: float
    no_speech: float
    weakest: float = 1.0
    alternatives: tuple[str, ...] = ()

    @property
    def believed(self) -> bool:
        """Whether it is likely that this was said at all, and not made up from noise."""
        if not self.text or self.avg_logprob < -1.0:
            return False
        return not (self.no_speech > 0.6 and self.avg_logprob < -0.4)


class Whisper:
    """Loaded weights. Holds no state; may be used from several threads at once.

    Args:
        model: folder of a CTranslate2 conversion with ``tokenizer.json``.
        pad_minimum: pad with the minimum of the features (right for the multilingual base model) or with
            zeros (right for tiny.en).
        window_s: shortest encoder window.
        workers: utterances that may be decoded at the same time; each takes one thread.

    Raises:
        FileNotFoundError: the folder lacks its model or its tokenizer.
    """

    def __init__(self, model: Path, *, pad_minimum: bool = True, window_s: float = 10.0, workers: int = 1) -> None:
        from faster_whisper import WhisperModel

        for needed in ("model.bin", "tokenizer.json"):
            if not (model / needed).is_file():
                raise FileNotFoundError(f"no {needed} in {model}")
        self._model = WhisperModel(
            str(model), device="cpu", compute_type="int8", cpu_threads=1, num_workers=workers, local_files_only=True
        )
        self._pad_minimum = pad_minimum
        self._window = round(window_s * _FRAMES_PER_S)
        self._tokenizer = lru_cache(maxsize=None)(self._make_tokenizer)
        self._signs = _signs(self._model.hf_tokenizer)

    @property
    def multilingual(self) -> bool:
        """Whether it knows other languages than English."""
        return bool(self._model.model.is_multilingual)

    def knows(self, language: str) -> bool:
        """Return whether it can recognise ``language``, an ISO 639-1 code."""
        return language == _ENGLISH or (
            self.multilingual and self._model.hf_tokenizer.token_to_id(f"<|{language}|>") is not None
        )

    def decode(
        self,
        sound: NDArray[np.float32],
        *,
        language: str | None = _ENGLISH,
        timed: bool = False,
        alternatives: int = 0,
    ) -> Heard:
        """Recognise one utterance. Releases the GIL for nearly all of its time.

        Args:
            sound: float32, shape ``(n,)``, 16 kHz, at most 30 s.
            language: its language, or ``None`` to find out (15 ms more); below :data:`SURE` it is English.
            timed: whether to find the time of every word (15-30 ms more).
            alternatives: hypotheses of a second decode where a word is less sure than :data:`UNSURE` (as long again as
                the first one, without its encoder); 0 for none. Wants ``timed``.
        """
        if len(sound) <= FRAME * 2:
            return Heard("", (), (), language or _ENGLISH, 0.0, -math.inf, 1.0)
        features = log_mel(sound)[:, :_FULL_WINDOW]
        seconds = features.shape[1] / _FRAMES_PER_S
        limit = _TOKENS + round(seconds * _TOKENS_PER_S)
        window = min(_FULL_WINDOW, max(self._window, math.ceil((seconds + _MARGIN_S) * 2) * _FRAMES_PER_S // 2))
        encoded = self._encode(features, window, float(features.min()) if self._pad_minimum else 0.0)
        language, certainty = self._language(encoded, language)
        result = self._generate(encoded, language, limit)
        tokens = result.sequences_ids[0]
        if window < _FULL_WINDOW and (len(tokens) >= limit or repeats(tokens)):
            encoded = self._encode(features, _FULL_WINDOW, 0.0)
            result = self._generate(encoded, language, limit)
            tokens = result.sequences_ids[0]
        if len(tokens) >= limit:
            tokens = without_loop(tokens)
        tokenizer = self._tokenizer(language)
        text = tokenizer.decode(tokens).strip()
        times = self._times(encoded, tokenizer, tokens, features.shape[1]) if timed and text else _Times()
        others: tuple[str, ...] = ()
        if alternatives and times.weakest < UNSURE and len(text.split()) <= MOST_WORDS:
            others = self._others(encoded, language, tokens, alternatives)
        length = len(result.sequences_ids[0])
        logprob = result.scores[0] * length / (length + 1) if length else -math.inf
        return Heard(
            text,
            times.starts,
            times.ends,
            language,
            certainty,
            logprob,
            result.no_speech_prob,
            times.weakest,
            others,
        )

    def _make_tokenizer(self, language: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        return Tokenizer(self._model.hf_tokenizer, self.multilingual, task="transcribe", language=language)

    def _encode(self, features: NDArray[np.float32], window: int, fill: float) -> Any:
        padding = ((0, 0), (0, window - features.shape[1]))
        return self._model.encode(np.ascontiguousarray(np.pad(features, padding, constant_values=fill)))

    def _language(self, encoded: Any, wanted: str | None) -> tuple[str, float]:
        if wanted is not None or not self.multilingual:
            return wanted or _ENGLISH, 1.0
        token, probability = self._model.model.detect_language(encoded)[0][0]
        return (token[2:-2] if probability >= SURE else _ENGLISH), probability

    def _generate(self, encoded: Any, language: str, limit: int) -> Any:
        tokenizer = self._tokenizer(language)
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        return self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=2 * limit,  # CTranslate2 stops at half of it
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=[-1],
        )[0]

    def _others(self, encoded: Any, language: str, tokens: Sequence[int], count: int) -> tuple[str, ...]:
        """Return other hypotheses than ``tokens``, likeliest first."""
        tokenizer = self._tokenizer(language)
        found = self._model.model.generate(
            encoded,
            [[*tokenizer.sot_sequence, tokenizer.no_timestamps]],
            beam_size=count,
            num_hypotheses=count,
            max_length=2 * (len(tokens) + _TOKENS),
            suppress_blank=True,
            suppress_tokens=[-1, *self._signs],
        )[0]
        best = _bare(tokenizer.decode(tokens))
        texts = {_bare(text): text for text in (tokenizer.decode(ids).strip() for ids in reversed(found.sequences_ids))}
        return tuple(text for bare, text in reversed(texts.items()) if bare not in ("", best))

    def _times(self, encoded: Any, tokenizer: Any, tokens: list[int], frames: int) -> _Times:
        pieces = self._model.find_alignment(tokenizer, [tokens], encoded, frames)[0]
        starts: list[float] = []
        ends: list[float] = []
        joined = True
        for piece in pieces:
            word = piece["word"]
            if not word.strip():
                joined = False
            elif starts and joined and not word.startswith(" "):
                ends[-1] = float(piece["end"])
            else:
                starts.append(float(piece["start"]))
                ends.append(float(piece["end"]))
                joined = True
        chances = (float(piece["probability"]) for piece in pieces if _bare(piece["word"]))
        return _Times(tuple(starts), tuple(ends), min(chances, default=1.0))


@dataclass(frozen=True, slots=True)
class _Times:
    """Seconds at which words start and end, and the probability of the least sure one."""

    starts: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    weakest: float = 1.0


def _signs(tokenizer: Any) -> list[int]:
    """Return the tokens that are nothing but punctuation; ``Ġ`` stands for a space in front of one."""
    pieces: dict[str, int] = tokenizer.get_vocab()
    found = {number for piece, number in pieces.items() if (sign := piece.removeprefix("Ġ")) and set(sign) <= _SIGNS}
    # Signs beyond ASCII stand in the vocabulary as bytes.
    rare = (tokenizer.encode(space + sign, add_special_tokens=False).ids for sign in _SIGNS for space in ("", " "))
    return sorted(found | {ids[0] for ids in rare if len(ids) == 1})


def _bare(text: str) -> str:
    """Return the words of ``text`` in small letters, without signs."""
    return " ".join("".join(c for c in word if c not in _SIGNS) for word in text.casefold().split()).strip()


def repeats(tokens: Sequence[int]) -> bool:
    """Return whether a phrase of up to 8 tokens comes at least four times in a row (a single token: eight)."""
    return _loop(tokens) is not None


def without_loop(tokens: Sequence[int]) -> list[int]:
    """Return the tokens up to and with the first round of a loop, or all of them where there is none."""
    loop = _loop(tokens)
    return list(tokens) if loop is None else list(tokens[: sum(loop)])


def _loop(tokens: Sequence[int]) -> tuple[int, int] | None:
    for size in range(1, _LONGEST_PHRASE + 1):
        times = 8 if size == 1 else 4
        run = 0
        for at in range(size, len(tokens)):
            run = run + 1 if tokens[at] == tokens[at - size] else 0
            if run >= size * (times - 1):
                return at + 1 - size * times, size
    return None
