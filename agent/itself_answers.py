"""Which lines of ``policy/data/itself.toml`` are true in answer to questions about the agent.

What is not known is said as unknown; nothing is claimed of machines that are run by others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.itself_facts import Facts, Now
from policy.itself import Asked

_URGENT: Final = re.compile(r"\b(?:ambulance|police|911|999|112|emergency|fire (?:brigade|department)|help)\b")
_PLACE: Final = re.compile(
    r"\btime (?:is it |'s it )?(?:now )?in (?!the (?:morning|afternoon|evening))\w+|\btime .*\bover there\b"
)
_SHOWS: Final = re.compile(
    r"\b(?:see|seeing|face|eyes|look|looking|cry|crying|cried|tears?|smil\w+|laugh\w*|grin\w*|frown\w*|blush\w*|pale|nod\w*)\b"
)
"""What there is to see of a mood."""

_SOUNDS: Final = re.compile(r"\b(?:hear|hearing|sound|sounding|voice|tone)\b")
_WATCHED: Final = re.compile(
    r"\b(?:see|seeing|watch|watching|look(?:ing)? at) (?:me|us|my face)\b|\b(?:camera|webcam)\b"
)
_NEAR_BY: Final = re.compile(
    r"\b(?:husband|wife|partner|boyfriend|girlfriend|ex|mum|mom|mother|dad|father|parents?|sons?|daughters?|brothers?|sisters?|"
    r"kids|family|flatmates?|roommates?|neighbou?rs?|landlord|landlady|boss|manager|supervisor|command\w*|colleagues?|"
    r"teachers?|school|police|employer|staff|phones?|laptop|tablet|computer|screen|account|plan|shoulder|room|"
    r"get at|pull up|bring up|get into|hack\w*)\b"
)
"""Who or what is near the person rather than on the agent's side."""

_UNSEEN: Final = frozenset({"none", "refused", "lost"})


def answers(asked: Sequence[Asked], facts: Facts, now: Now) -> list[str] | None:
    """Return the lines that are true in answer to all questions of a turn; ``None`` where the mind knows better.

    Args:
        asked: the questions, in order.
        facts: of the configuration.
        now: of the call.
    """
    keys: list[str] = []
    for one in asked:
        found = answer(one.ask, one.clause, facts, now)
        if found is None:
            return None
        keys += [key for key in found if key not in keys]
    kept = any(key.startswith("keep_") for key in keys)
    shorter = {"where_local": "where_only", "recording_none": "recording_no"} if kept else {}
    if "human" in keys:
        shorter["feel"] = "feel_too"
    if "name" in keys:
        shorter["human"] = "human_too"
    sent = any(key.startswith(("where_far", "cloud_far")) for key in keys)
    return [shorter.get(key, key) for key in keys if not (sent and key.startswith("served_far"))]


def answer(ask: str, clause: str, facts: Facts, now: Now) -> tuple[str, ...] | None:
    """Return the lines that are true in answer to a question, in order; ``None`` where the mind knows better.

    Args:
        ask: the question, ``topic.name``.
        clause: how it was put.
        facts: of the configuration.
        now: of the call.
    """
    return _ANSWERS[ask](clause, facts, now)


_Answer = Callable[[str, Facts, Now], tuple[str, ...] | None]


def _always(*keys: str) -> _Answer:
    return lambda _clause, _facts, _now: keys


def _kept(now: Now) -> str:
    return "words" if now.words else "events" if now.journal else "none"


def _far(facts: Facts, key: str) -> str:
    return f"{key}_media" if facts.media else key


def _recording(_clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    return (f"recording_{_kept(now)}", *([_far(facts, "served_far")] if facts.hosts else []))


def _hear_who(clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    return (
        *([f"see_{now.sight}"] if now.sight in _UNSEEN and _WATCHED.search(clause) else []),
        "hear_alone",
        *(["hear_device" if facts.hosts or now.words else "hear_kept"] if _NEAR_BY.search(clause) else []),
        *(["log_read"] if now.words else []),
        *([_far(facts, "served_far")] if facts.hosts else []),
    )


def _tell(_clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    first = _far(facts, "where_far") if facts.hosts else "tell_none"
    return (
        first,
        *(["log_read"] if now.words else []),
        *(["tell_danger"] if facts.tells_danger else []),
    )


def _where(_clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    log = ["log_words"] if now.words else []
    if facts.hosts:
        return (_far(facts, "where_far"), "far_unknown", *log)
    return ("where_local", *log)


def _keep(_clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    return (f"keep_{_kept(now)}", *([_far(facts, "served_far")] if facts.hosts else []))


def _cloud(_clause: str, facts: Facts, _now: Now) -> tuple[str, ...]:
    if facts.hosts:
        return (_far(facts, "cloud_far"),)
    return ("cloud_none", *([] if facts.near else ["host_unknown"]), *(["traces"] if facts.traces else []))


def _delete(_clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    return ("delete_log" if now.journal else "delete_none", *(["delete_far"] if facts.hosts else []))


def _copy(_clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    return ("copy_log" if now.journal else "copy_none", *([_far(facts, "served_far")] if facts.hosts else []))


def _training(_clause: str, facts: Facts, now: Now) -> tuple[str, ...]:
    return (
        "training_none",
        *(["training_log"] if now.words else []),
        *(["training_far"] if facts.hosts else []),
    )


def _see(yes: str) -> _Answer:
    return lambda _clause, _facts, now: (yes if now.sight == "yes" else f"see_{now.sight}",)


def _look(_clause: str, facts: Facts, now: Now) -> tuple[str, ...] | None:
    if now.sight == "yes" and facts.native:
        return None
    return (f"look_{now.look}" if now.sight == "yes" else f"see_{now.sight}",)


def _things(_clause: str, facts: Facts, now: Now) -> tuple[str, ...] | None:
    if now.sight in _UNSEEN:
        return (f"see_{now.sight}",)
    return None if facts.native else ("things",)


def _mood(clause: str, _facts: Facts, now: Now) -> tuple[str, ...]:
    if now.sight == "yes" and now.look in {"distress", "joy"} and "sound" not in clause:
        return (f"look_{now.look}",)
    without = (
        *([f"see_{now.sight}"] if now.sight in _UNSEEN and _SHOWS.search(clause) else []),
        *([f"hear_{now.hearing}"] if now.hearing in _UNSEEN and _SOUNDS.search(clause) else []),
    )
    return (*without, "mood_only") if without else ("mood",)


def _hear(_clause: str, _facts: Facts, now: Now) -> tuple[str, ...]:
    return (f"hear_{now.hearing}",)


def _who(_clause: str, facts: Facts, _now: Now) -> tuple[str, ...]:
    return ("who_made_by" if facts.operator else "who_made",)


def _model_of(_clause: str, facts: Facts, _now: Now) -> tuple[str, ...]:
    return (f"model_{facts.mind}",)


def _time_of(clause: str, facts: Facts, _now: Now) -> tuple[str, ...]:
    return ("time_place" if _PLACE.search(clause) else "time_near" if facts.near else "time_far",)


def _contact(clause: str, _facts: Facts, _now: Now) -> tuple[str, ...]:
    return ("contact_urgent" if _URGENT.search(clause) else "contact",)


def _skill(_clause: str, facts: Facts, _now: Now) -> tuple[str, ...] | None:
    return None if facts.free else ("skill",)


def _language(_clause: str, facts: Facts, _now: Now) -> tuple[str, ...]:
    return ("language_other" if facts.free else "language",)


_ANSWERS: Final[Mapping[str, _Answer]] = {
    "recording.kept": _recording,
    "listeners.hear": _hear_who,
    "listeners.tell": _tell,
    "data.where": _where,
    "data.keep": _keep,
    "data.cloud": _cloud,
    "data.delete": _delete,
    "data.copy": _copy,
    "data.training": _training,
    "senses.see": _see("see_yes"),
    "senses.camera": _see("camera_yes"),
    "senses.whynot": _see("why_see_yes"),
    "senses.look": _look,
    "senses.things": _things,
    "senses.faces": _always("faces"),
    "senses.mood": _mood,
    "senses.hear": _hear,
    "senses.microphone": _hear,
    "senses.there": _always("there"),
    "maker.who": _who,
    "maker.model": _model_of,
    "maker.cost": _always("cost"),
    "abilities.can": _always("can"),
    "abilities.cannot": _always("cannot"),
    "abilities.lookup": _always("look_up"),
    "abilities.act": _always("act"),
    "abilities.play": _always("play"),
    "abilities.skill": _skill,
    "abilities.remember": _always("remember"),
    "time.time": _time_of,
    "time.date": _always("date"),
    "time.weekday": _always("weekday"),
    "time.year": _always("year"),
    "timer.timer": _always("timer"),
    "timer.contact": _contact,
    "language.which": _language,
    "nature.human": _always("human"),
    "nature.feel": _always("feel"),
    "nature.therapist": _always("therapist"),
    "nature.lived": _always("lived"),
    "name.name": _always("name"),
}
