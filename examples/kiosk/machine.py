"""What a kiosk does when: idle, greet and ask, talk, goodbye, erase. Rules only: events and instants in, orders out.

::

    idle --arrived or touched--> asking --yes--> talking --goodbye, left, or over--> parting --said--> erasing --> idle
                                   |                                                                    ^
                                   +--no, left, or nobody answers--------------------> resting ---------|--> idle
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where the kiosk is."""

    IDLE = "idle"
    ASKING = "asking"
    TALKING = "talking"
    PARTING = "parting"
    ERASING = "erasing"
    RESTING = "resting"


@dataclass(frozen=True, slots=True)
class Show:
    """Put words and buttons on the screen; ``perceives`` says what is perceived from now on."""

    title: str = ""
    text: str = ""
    buttons: Mapping[str, str] = field(default_factory=dict)
    perceives: str = ""


@dataclass(frozen=True, slots=True)
class Say:
    """Say words. ``said`` is told when they have been said."""

    words: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Listen for yes and no, and for nothing else; ``on`` again says stop."""

    on: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin the call; ``voice_only``: do not look. ``over`` is told when it has ended."""

    voice_only: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Erase:
    """Erase what is kept of the call, and what is on the screen. ``erased`` is told when that is done."""


Order = Show | Say | Listen | Begin | End | Erase


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What it says and shows; translate it by giving others."""

    idle: str = "Hello!"
    idle_text: str = "Touch the screen, or come closer, to talk with me."
    ask: str = "May I listen and look?"
    notice: str = "I am an AI. If you allow it, I listen to your voice and look at your face while we talk."
    until: str = "Touch a button, or say yes or no: until then I listen for these words only."
    hello: str = "Hello! I am an AI. May I listen to you and look at you while we talk? Please say yes, or no."
    again: str = "I did not get that. Please say yes or no, or touch the screen."
    no: str = "That is fine. I have not seen or heard anything. Have a good day!"
    alone: str = "I will be here when you like to talk."
    bye: str = "Goodbye. Take good care of yourself."
    forgets: str = "I am forgetting what we talked about ..."
    forgotten: str = "Nothing of it was kept."
    kept: str = "It could not be erased whole. Please tell somebody who works here."
    buttons: Mapping[str, str] = field(
        default_factory=lambda: {"yes": "Yes", "voice": "Listen, but do not look", "no": "No"}
    )
    goodbye: str = "Goodbye"
    hears_and_sees: str = "I hear and see you"
    hears: str = "I hear you"
    listens: str = "I listen for yes or no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long it waits, in seconds.

    Attributes:
        answer: for yes or no, before it asks again, and then before it gives up.
        gone: how long nobody is seen in a call before it ends.
        silent: how long no word is heard in one before it ends, where nobody was seen to come: without a camera nobody
            is seen to go, either.
        grave: the same after somebody spoke of danger.
        rests: after somebody said no or went, before it greets again; a touch always counts.
        parting: longest goodbye.
        erasing: longest that erasing may take.
        shows: how long the last words stand on the screen.
    """

    answer: float = 15.0
    gone: float = 12.0
    silent: float = 180.0
    grave: float = 900.0
    rests: float = 20.0
    parting: float = 8.0
    erasing: float = 10.0
    shows: float = 4.0


_NEVER: Final = float("inf")


class Kiosk:
    """The rules. Every method returns the orders that follow; ``now`` is in seconds and never goes back.

    Args:
        words: what it says and shows.
        patience: how long it waits.
        greets: whether it speaks to who comes; or waits to be touched.
    """

    def __init__(self, words: Words = Words(), patience: Patience = Patience(), *, greets: bool = True) -> None:
        self.state = State.IDLE
        self.due = _NEVER
        """When :meth:`tick` has to be called, if nothing happens before."""
        self._words, self._patience, self._greets = words, patience, greets
        self._asked = 0
        self._seen = self._ends_silent = False
        self._silent = self._patience.silent

    def start(self) -> list[Order]:
        """Begin."""
        return [self._idle()]

    def arrived(self, now: float) -> list[Order]:
        """Somebody stands there."""
        self._seen, self._ends_silent = True, False
        if self.state is State.TALKING:
            self.due = _NEVER
        return self._ask(now) if self.state is State.IDLE and self._greets else []

    def left(self, now: float) -> list[Order]:
        """Nobody stands there any more."""
        self._seen = self._ends_silent = False
        if self.state is State.ASKING:
            return self._rest(now, "", self._words.alone, speak=False)
        if self.state is State.TALKING:
            self.due = min(self.due, now + self._patience.gone)
        return []

    def touched(self, button: str, now: float) -> list[Order]:
        """Somebody touched a button; an empty name is the screen itself."""
        match self.state, button:
            case ((State.IDLE | State.RESTING), _):
                return self._ask(now)
            case State.ASKING, "yes" | "no" | "voice":
                return self._answer(button, now)
            case State.TALKING, "goodbye":
                return self._part(now)
            case _:
                return []

    def heard(self, answer: str, now: float) -> list[Order]:
        """Somebody said ``yes`` or ``no``."""
        return self._answer(answer, now) if self.state is State.ASKING and answer in ("yes", "no") else []

    def spoke(self, now: float) -> list[Order]:
        """Somebody said something in the call."""
        if self.state is State.TALKING and self._ends_silent:
            self.due = now + self._silent
        return []

    def alarmed(self, now: float) -> list[Order]:
        """Somebody spoke of danger: they are given long to find the next word."""
        self._silent = self._patience.grave
        return self.spoke(now)

    def said(self, now: float) -> list[Order]:
        """What was to be said has been said."""
        if self.state is State.ASKING:
            self.due = now + self._patience.answer
            return [Listen(True)]
        return self._erase(now) if self.state is State.PARTING else []

    def over(self, now: float) -> list[Order]:
        """The call has ended, for whatever reason."""
        if self.state is State.TALKING:
            return self._erase(now)
        return []

    def erased(self, now: float, *, whole: bool = True) -> list[Order]:
        """What was kept of the call is erased, or not whole."""
        if self.state is not State.ERASING:
            return []
        return self._rest(now, self._words.bye, self._words.forgotten if whole else self._words.kept, speak=False)

    def tick(self, now: float) -> list[Order]:
        """Time has passed."""
        if now < self.due:
            return []
        self.due = _NEVER
        match self.state:
            case State.ASKING if self._asked < 2:
                self._asked += 1
                self.due = now + 4 * self._patience.answer
                return [Listen(False), Say(self._words.again)]
            case State.ASKING:
                return self._rest(now, "", self._words.alone, speak=False)
            case State.TALKING:
                return self._part(now)
            case State.PARTING:
                return self._erase(now)
            case State.ERASING:
                return self.erased(now, whole=False)
            case _:
                return [self._idle()]

    # Inside.

    def _idle(self) -> Show:
        self.state, self.due = State.IDLE, _NEVER
        return Show(self._words.idle, self._words.idle_text, {"": "Talk to me"})

    def _ask(self, now: float) -> list[Order]:
        self.state, self._asked = State.ASKING, 1
        self.due = now + 4 * self._patience.answer  # a voice that fails must not leave it asking for ever
        notice = f"{self._words.notice}\n{self._words.until}"
        shown = Show(self._words.ask, notice, self._words.buttons, self._words.listens)
        return [shown, Say(self._words.hello)]

    def _answer(self, answer: str, now: float) -> list[Order]:
        if answer == "no":
            return self._rest(now, "", self._words.no, speak=True)
        self.state, self._ends_silent = State.TALKING, not self._seen
        self._silent = self._patience.silent
        self.due = now + self._silent if self._ends_silent else _NEVER
        sees = answer == "yes"
        sign = self._words.hears_and_sees if sees else self._words.hears
        shown = Show(buttons={"goodbye": self._words.goodbye}, perceives=sign)
        return [Listen(False), shown, Begin(voice_only=not sees)]

    def _part(self, now: float) -> list[Order]:
        self.state, self.due = State.PARTING, now + self._patience.parting
        return [End(), Show(self._words.bye), Say(self._words.bye)]

    def _erase(self, now: float) -> list[Order]:
        self.state, self.due = State.ERASING, now + self._patience.erasing
        return [Show(self._words.bye, self._words.forgets), Erase()]

    def _rest(self, now: float, title: str, text: str, *, speak: bool) -> list[Order]:
        asked = self.state is State.ASKING
        self.state, self.due = State.RESTING, now + (self._patience.rests if asked else self._patience.shows)
        orders: list[Order] = [Listen(False)] if asked else []
        orders.append(Show(title, text, {"": "Talk to me"}))
        return [*orders, Say(text)] if speak else orders
