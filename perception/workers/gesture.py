"""What the hands sign: ``gesture`` with the label of the sign, once per time it is shown.

Labels are those of :data:`perception.hands.GESTURES` but ``none``. Data: ``x y``, the middle of the hand as
shares of the picture, and ``right``, that it is a right hand. Nods and head shakes are ``gesture`` percepts,
too, but come from the face worker, which knows the pose of the head.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perception.hands import GESTURES, HandNetworks
from perception.litert import read_bundle
from perception.media import Media, VideoFrame
from perception.percept import GESTURE, Percept
from perception.slots import Slots
from perception.timebase import Nanos
from perception.workers import Resolve

NAME = "gesture"
_MEMORY = 3
_AGREE = 2


@dataclass(frozen=True, slots=True)
class GestureFactory:
    """The weights of the hand networks, read once; makes one :class:`GestureWorker` per call.

    Attributes:
        bundle: members of ``gesture_recognizer.task``.
        rate_hz: pictures analysed per second.
        hands: most hands looked at in one picture.
        least_probability: below it a hand signs nothing.
    """

    bundle: Mapping[str, bytes]
    rate_hz: float = 2.5
    hands: int = 2
    least_probability: float = 0.5

    @property
    def name(self) -> str:
        """The sense."""
        return NAME

    @property
    def accepts(self) -> tuple[type[VideoFrame]]:
        """Pictures."""
        return (VideoFrame,)

    def __call__(self) -> GestureWorker:
        """Return a fresh worker."""
        return GestureWorker(self, HandNetworks(self.bundle))


def load(*, resolve: Resolve, rate_hz: float = 2.5, hands: int = 2, least_probability: float = 0.5) -> GestureFactory:
    """Read the weights.

    Args:
        resolve: finds ``gesture-recognizer``.
        rate_hz: pictures analysed per second.
        hands: most hands looked at in one picture.
        least_probability: below it a hand signs nothing.

    Raises:
        ValueError: ``rate_hz`` or ``hands`` is not above zero, or the file is not what it should be.
    """
    Slots(rate_hz)
    if hands < 1:
        raise ValueError(f"hands must be at least 1, got {hands}")
    return GestureFactory(read_bundle(resolve("gesture-recognizer")), rate_hz, hands, least_probability)


@dataclass(frozen=True, slots=True)
class Sign:
    """A hand that signs something in one picture.

    Attributes:
        label: what.
        confidence: 0..1.
        x: middle of the hand, share of the picture's width.
        y: likewise, of its height.
        right: that it is a right hand, 0..1.
    """

    label: str
    confidence: float
    x: float = 0.5
    y: float = 0.5
    right: float = 0.5


class SignFilter:
    """Believes a sign that two of the last three pictures show, and tells of it once until it has gone."""

    def __init__(self) -> None:
        self._past: deque[tuple[Nanos, Mapping[str, Sign]]] = deque(maxlen=_MEMORY)
        self._told: set[str] = set()

    def step(self, at: Nanos, signs: Sequence[Sign]) -> list[tuple[Nanos, Sign]]:
        """Take in what one picture shows; return the newly believed signs, and when each was first seen."""
        best: dict[str, Sign] = {}
        for sign in signs:
            if sign.label not in best or sign.confidence > best[sign.label].confidence:
                best[sign.label] = sign
        self._past.append((at, best))
        seen = {label: [t for t, shown in self._past if label in shown] for _, shown in self._past for label in shown}
        self._told &= seen.keys()
        found = []
        for label, sign in best.items():
            if len(seen[label]) >= _AGREE and label not in self._told:
                self._told.add(label)
                found.append((seen[label][0], sign))
        return found


class GestureWorker:
    """Watches the hands of one call's person.

    Args:
        factory: the settings.
        networks: finds and reads hands; this worker's own.
    """

    def __init__(self, factory: GestureFactory, networks: HandNetworks) -> None:
        self._factory = factory
        self._networks = networks
        self._slots = Slots(factory.rate_hz, phase=0.25)
        self._filter = SignFilter()

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Analyse the pictures of the camera that are due; return the signs they complete."""
        percepts: list[Percept] = []
        for frame in self._slots.pictures(media):
            for start, sign in self._filter.step(frame.at, self._signs(frame)):
                data = {"x": sign.x, "y": sign.y, "right": sign.right}
                percepts.append(Percept(GESTURE, sign.label, start, frame.at, sign.confidence, NAME, data))
        return percepts

    def _signs(self, frame: VideoFrame) -> list[Sign]:
        height, width = frame.pixels.shape[:2]
        signs = []
        for hand in self._networks.hands(frame.pixels, self._factory.hands):
            votes = self._networks.gestures(hand.points, hand.right)
            top = int(votes.argmax())
            if top == 0 or float(votes[top]) < self._factory.least_probability:
                continue
            x, y = hand.centre
            signs.append(Sign(GESTURES[top], min(1.0, float(votes[top])), x / width, y / height, hand.right))
        return signs
