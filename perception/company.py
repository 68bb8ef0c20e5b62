"""Whether the face in view is still that of the person who began, or may be somebody else's.

Nobody is recognised: there is no print of a face to compare with. What is known is the track. The first face that is
found is taken for the person's, and stays theirs as long as it is followed, whoever else comes into view. Where the
track breaks in company, because a closer face takes over, or because it was lost while others are there and is not
found again where it was, the face counts as a bystander's until it has been alone in view for a while.
"""

from __future__ import annotations

from typing import Final

from perception.facemesh import Face
from perception.pixels import Region
from perception.timebase import SECOND, Nanos


class Company:
    """Follows one call's pictures in order.

    Attributes:
        stranger: whether the face in view may be a bystander's.
    """

    ALONE: Final[Nanos] = 2 * SECOND
    """Time that a bystander has to be alone in view to be taken for the person."""

    GAP: Final[Nanos] = 3 * SECOND
    """Longest break after which a face where the person's was is still theirs, whoever else is in view."""

    _NEAR: Final = 0.5
    _SIZE: Final = 1.6

    def __init__(self) -> None:
        self.stranger = False
        self._place: Region | None = None
        self._at: Nanos = 0
        self._missed = False
        self._alone: Nanos | None = None

    def step(self, at: Nanos, face: Face | None, people: int, *, another: bool) -> bool:
        """Take in what one picture shows; return :attr:`stranger`.

        Args:
            at: its instant.
            face: the face that is followed, if there is one.
            people: faces in view.
            another: whether the tracker has moved to a face that is closer.
        """
        if face is None:
            self._missed = True
            self._alone = None
            return self.stranger
        place = face.region
        if another or (
            self._missed and self._place is not None and people > 1 and not self._is_where_it_was(at, place)
        ):
            self.stranger = True
        self._missed = False
        if people > 1:
            self._alone = None
        elif self._alone is None:
            self._alone = at
        if self.stranger and self._alone is not None and at - self._alone >= self.ALONE:
            self.stranger = False
        if not self.stranger:
            self._place, self._at = place, at
        return self.stranger

    def _is_where_it_was(self, at: Nanos, place: Region) -> bool:
        before = self._place
        if before is None or self.stranger or at - self._at > self.GAP:
            return False
        reach = self._NEAR * before.side
        size = max(place.side, before.side) / max(1e-6, min(place.side, before.side))
        return abs(place.x - before.x) < reach and abs(place.y - before.y) < reach and size < self._SIZE
