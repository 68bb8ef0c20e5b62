"""A chat as a person reads it: captions clause by clause, looks and reasons in colour, the help card as a box.

Colours are left out where the output is no terminal or NO_COLOR is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from agent.action import Action, Caption, Display, Resource
from agent.chat.told import Turned
from agent.journal import Decided, Event, Note
from policy.decision import Decision, Speak, Wait
from policy.safety.helplines import Contact

HELP: Final = """\
/why   why the last reply was given: reason, evidence, confidence, mind, strategy
/help  this
/quit  end the chat; so do Ctrl-D and Ctrl-C
Anything else is said to the agent."""

_COLOURS: Final = {
    "neutral": "white",
    "warm": "yellow",
    "happy": "bright_yellow",
    "tender": "magenta",
    "concern": "blue",
    "sad": "bright_blue",
    "surprise": "bright_magenta",
    "curious": "cyan",
    "calm": "green",
}
_MOVES: Final = {"lean_in": "leans in", "look_away": "looks away", "nod": "nods", "tilt": "tilts its head"}
_WIDE: Final = 5


class Screen:
    """Writes a call as it goes on.

    Args:
        console: where to.
        prompts: whether a person types there, who is shown when it is their turn.
    """

    def __init__(self, console: Console, *, prompts: bool) -> None:
        self._console = console
        self._prompts = prompts
        self._prompted = False
        self._shown: dict[int, str] = {}
        self._look = ""
        self._decided: list[Decision] = []

    def line(self, who: str, text: str | Text, style: str = "") -> None:
        """Write a line: who, and what."""
        if self._prompted:
            self._prompted = False
            self._console.print()
        told = Text(text, style) if isinstance(text, str) else text
        for part in told.split("\n"):
            self._console.print(_row(who, part))
            who = ""

    def prompt(self) -> None:
        """Show that the person may type."""
        if self._prompts and not self._prompted:
            self._prompted = True
            self._console.print(Text.assemble((f"{'you':>{_WIDE}}", "bold green"), (" │ ", "dim")), end="")

    def typed(self) -> None:
        """The person has typed a line, and ended it."""
        self._prompted = False

    def saw(self, action: Action) -> None:
        """Write what there is to see of an action."""
        match action:
            case Caption(speaker="agent", text=text, reply=reply, cut=False):
                before = self._shown.get(reply, "")
                self._shown[reply] = text
                new = text.removeprefix(before).strip()
                if new:
                    self.line("" if before else "agent", new)
            case Display(emotion=emotion, gesture=gesture):
                moves = gesture in _MOVES
                look = emotion + (f", {_MOVES[gesture]}" if moves else "")
                if emotion != self._look or moves:
                    self._look = emotion
                    self.line("", f"({look})", f"italic {_COLOURS.get(emotion, 'white')}")
            case Resource(contacts=contacts):
                if self._prompted:
                    self._prompted = False
                    self._console.print()
                self._console.print(card(contacts), soft_wrap=False)

    def heard(self, event: Event) -> None:
        """Write why, when a reply is over."""
        match event.body:
            case Decided(decision=decision, reply=reply) if reply:
                self._decided.append(decision)
            case Note(event="state", data={"state": "listening"}):
                decided, self._decided = self._decided, []
                for reason in _reasons(decided):
                    self.line("", reason, "dim")
                self.prompt()


def _reasons(decided: Sequence[Decision]) -> list[str]:
    """Return each reason once, with what it is the reason of."""
    said = {d.reason: d.strategy for d in decided if isinstance(d, Speak)}
    silent = {d.reason: "says nothing" for d in decided if isinstance(d, Wait)}
    named = silent | said
    return [f"{named[r]}: {r}" if r in named else r for r in dict.fromkeys(d.reason for d in decided)]


def card(contacts: Iterable[Contact]) -> Panel:
    """Return the help card."""
    told = Text("You do not have to be alone with this:")
    for one in contacts:
        ways = ", ".join(way for way in (one.number, one.text, one.url) if way)
        told.append(f"\n{one.name}", "bold").append(f"  {ways}")
    return Panel(told, border_style="red", title="help", title_align="left", expand=False)


def why(turn: Turned) -> Text:
    """Return why a turn went as it did, line by line."""
    if not turn.action or not turn.reason:
        return Text("Nothing has been decided yet.")
    rows = [
        ("action", turn.action + (f", {turn.strategy}" if turn.strategy else "")),
        ("reason", turn.reason),
        ("confidence", f"{turn.confidence:.2f}"),
        ("look", " → ".join(turn.looks)),
        ("mind", turn.mind),
        ("source", turn.source),
        ("after", "" if turn.after_s is None else f"{turn.after_s:.2f} s"),
        ("card", turn.card),
        *(("evidence", f"{p.kind} {p.label} ({p.confidence:.2f}, {p.worker})") for p in turn.evidence),
    ]
    told = Text()
    for name, value in rows:
        if value:
            told.append(f"{name:>10}  ", "bold").append(f"{value}\n")
    if not turn.evidence:
        told.append(f"{'evidence':>10}  ", "bold").append("the words alone\n")
    told.rstrip()
    return told


def dialogue(console: Console, turns: Iterable[Turned]) -> None:
    """Write a conversation of a script."""
    for number, turn in enumerate(turns):
        if not number:
            console.print(Text.assemble(("── ", "dim"), (turn.id, "bold")))
        if turn.turn:
            console.print(_row("you", Text(turn.said) if turn.said else Text("(silence)", "dim")))
        if turn.card:
            console.print(_row("", Text(f"[help card: {turn.card}]", "bold red")))
        said = Text(turn.answered) if turn.answered else Text(f"({turn.action})", "dim")
        console.print(_row("agent", said))
        after = "" if turn.after_s is None else f"{turn.after_s:.2f} s"
        about = [turn.emotion, turn.strategy, turn.source, after, turn.reason]
        told = Text(" · ".join(part for part in about if part), "dim")
        if turn.emotion:
            told.stylize(_COLOURS.get(turn.emotion, "white"), 0, len(turn.emotion))
        console.print(_row("", told))


def _row(who: str, told: Text) -> Text:
    return Text.assemble((f"{who:>{_WIDE}}", "bold"), (" │ ", "dim"), told)
