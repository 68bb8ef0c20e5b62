"""Examples of the corpus as a student meets them: perceived, varied, and with some senses missing.

A lesson is made when it is asked for and depends on the seed, its place and its round alone. In the training part the
words are varied (:mod:`policy.training.augment`), what was imagined of face and voice is blurred as the workers would
(:mod:`policy.training.noise`), and now and then a sense is missing. Where an item was rendered as speech
(:mod:`policy.training.heard`), its words are those of the recogniser, its voice that of the prosody worker, and its
sound that of the ears' encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, overload

import numpy as np

from perception.context import ContextWindow
from perception.timebase import SECOND, Nanos
from policy.signals import Floats
from policy.sound import TOKENS_PER_S
from policy.training import heard as hearing
from policy.training.augment import augmented, augmented_choice
from policy.training.corpus import Choice, Situation
from policy.training.examples import Example, example_of, question_example
from policy.training.heard import Heard
from policy.training.noise import hushed, noisy
from policy.training.scenes import window_of

Item = Situation | Choice

SIGHT: Final = ("face", "gaze", "gesture")
SENSES: Final = ("face", "voice", "sound")
"""What may be missing: all that is seen, the tone of voice, the sound itself."""

_TOKEN: Final[Nanos] = round(SECOND / TOKENS_PER_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How lessons are made.

    Attributes:
        rounds: how often each item comes, each time another way.
        varied: whether words are varied and options shuffled.
        blurred: whether what was imagined of face and voice is blurred.
        without: senses that are missing always, of :data:`SENSES`.
        missing: how often each of the others is missing, 0..1.
        spoken: how often an item that was rendered comes as it was heard, 0..1.
        seed: of all that is drawn.
    """

    rounds: int = 1
    varied: bool = False
    blurred: bool = True
    without: tuple[str, ...] = ()
    missing: float = 0.0
    spoken: float = 0.0
    seed: int = 7

    def __post_init__(self) -> None:
        if unknown := [str(name) for name in self.without if name not in SENSES]:
            raise ValueError(f"without names {', '.join(unknown)}; there are: {', '.join(SENSES)}")
        for name in ("missing", "spoken"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected a share from 0 to 1")
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds!r}, expected a whole number from 1")


class Lessons(Sequence[Example]):
    """Lessons of a part of the corpus, made when asked for.

    Args:
        items: of the part.
        plan: how they are made.
        heard: those that were rendered, by id.
    """

    def __init__(self, items: Sequence[Item], plan: Plan, heard: Mapping[str, Heard] | None = None) -> None:
        self._items, self._plan, self._heard = tuple(items), plan, heard or {}

    def __len__(self) -> int:
        return len(self._items) * self._plan.rounds

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        turn, index = divmod(place, len(self._items))
        return self._make(self._items[index], np.random.default_rng([self._plan.seed, turn, index]))

    def _make(self, item: Item, rng: np.random.Generator) -> Example:
        plan = self._plan
        known = self._heard.get(item.id) if plan.spoken and rng.random() < plan.spoken else None
        gone = {*plan.without, *(name for name in SENSES if rng.random() < plan.missing)}
        order = list(range(len(item.options))) if isinstance(item, Choice) else []
        if plan.varied:
            rng.shuffle(order)
            if known is None:
                item = augmented_choice(item, rng) if isinstance(item, Choice) else augmented(item, rng)
        window = window_of(item) if known is None else hearing.window_of(item, known)
        if plan.blurred:
            window = noisy(window, rng)
        window = without(window, gone)
        sound = sound_of(known) if known is not None and "sound" not in gone else None
        if isinstance(item, Choice):
            return question_example(item, window, sound, order=order)
        return example_of(item, window, sound)


def without(window: ContextWindow, gone: set[str]) -> ContextWindow:
    """Return ``window`` without what the missing senses would have told."""
    senses = [*(SIGHT if "face" in gone else ()), *(["voice"] if "voice" in gone else [])]
    return hushed(window, senses) if senses else window


def sound_of(known: Heard) -> Any:
    """Return what gives the encoder states of a span of an item that was rendered, read once from disk."""
    found = {turn.turn: np.asarray(known.states(turn.turn), np.float32) for turn in known.turns}

    def states(begin: Nanos, stop: Nanos) -> Floats | None:
        for turn in known.turns:
            if turn.start <= begin < turn.end:
                first, count = (begin - turn.start) // _TOKEN, round((stop - begin) / _TOKEN)
                rows = found[turn.turn][first : first + count]
                return rows if len(rows) else None
        return None

    return states


def renewed(plan: Plan, **changes: Any) -> Plan:
    """Return ``plan`` with some settings changed."""
    return replace(plan, **changes)
