"""A call as a story: one line per event, for a person at a terminal."""

from __future__ import annotations

from agent.journal import Decided, Event, Metric, Note, Pondered
from perception.context import Turn
from perception.percept import (
    BLINK,
    END_OF_TURN,
    EXPRESSION,
    FACE,
    GAZE,
    PARTIAL,
    PROSODY,
    SENSE_BACK,
    SENSE_LOST,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    Percept,
)
from perception.timebase import SECOND, Nanos
from policy.decision import Backchannel, Express, Speak, action_name

_SILENT = frozenset({FACE, PARTIAL, TRANSCRIPT, BLINK, SPEECH_STARTED, SPEECH_ENDED, END_OF_TURN})
_STEADY = frozenset({EXPRESSION, GAZE, PROSODY})
_TOLD = frozenset({"voice_to_voice", "barge_in"})
_FELL = {"late": "was late", "stalled": "stopped in the middle", "silent": "decided nothing", "failed": "failed"}


class Story:
    """Turns events into lines; keeps what was said last, so that only changes are told."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def line(self, event: Event) -> str | None:
        """Return the line for ``event``, or ``None`` if it is not worth one."""
        told = self._tell(event)
        if told is None:
            return None
        who, what = told
        return f"{stamp(event.at)}  {who:<8}  {what}"

    def _tell(self, event: Event) -> tuple[str, str] | None:
        match event.body:
            case Percept() as percept:
                return self._percept(percept)
            case Turn() as turn:
                return turn.speaker, f"“{turn.text}”" + (" — cut off" if turn.cut else "")
            case Pondered() as pondered:
                return "thinks", pondered.thought.text
            case Decided() as decided:
                decision = decided.decision
                what = action_name(decision)
                match decision:
                    case Speak():
                        what += f" · {decision.strategy} · {decision.emotion}"
                    case Express():
                        what += f" · {decision.emotion}" + (f" · {decision.gesture}" * (decision.gesture != "none"))
                    case Backchannel():
                        what += f" · {decision.token}"
                seen = ", ".join(dict.fromkeys(f"{p.kind} {p.label}".strip()[:40] for p in decision.evidence))
                return "decides", f"{what}: {decision.reason}" + (f" [{seen}]" if seen else "")
            case Metric() as metric if metric.name in _TOLD:
                return "took", f"{metric.name.replace('_', ' ')} {metric.value * 1000:.0f} ms"
            case Note("mind_failed", _, data):
                after = f"; {data['next']} goes on" if data["next"] else ""
                return "note", f"the mind {data['mind']} {_FELL.get(data['why'], data['why'])}{after}"
            case Note() as note if note.level != "info":
                return "note", note.event.replace("_", " ")
        return None

    def _percept(self, percept: Percept) -> tuple[str, str] | None:
        if percept.kind in _SILENT:
            return None
        label = percept.label.replace("_", " ")
        if percept.kind in _STEADY:
            if self._last.get(percept.kind) == label:
                return None
            self._last[percept.kind] = label
        if percept.kind in (SENSE_LOST, SENSE_BACK):
            return "senses", f"{label} {'lost' if percept.kind == SENSE_LOST else 'back'}"
        who = {EXPRESSION: "face", PROSODY: "voice"}.get(percept.kind, percept.kind)
        return who, f"{label} ({percept.confidence:.2f})"


def stamp(instant: Nanos) -> str:
    """Return an instant as minutes, seconds and tenths."""
    tenths = instant * 10 // SECOND
    return f"{tenths // 600:2d}:{tenths // 10 % 60:02d}.{tenths % 10}"
