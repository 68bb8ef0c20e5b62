"""When the reflexes act, and how a look comes and goes."""

from __future__ import annotations

from dataclasses import dataclass

from perception.timebase import MS, SECOND, Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflexOptions:
    """When the reflexes act, and how a look comes and goes.

    Attributes:
        sure: confidence a percept needs.
        more: confidence that more is to come which a sound of listening needs; at the end of a turn it is out of place.
        strong: confidence from which distress is strong; a trembling voice always is.
        falls_st: fall of the voice at the end of a phrase, semitones, that gets a nod.
        onset: from the first trace of a look to all of it.
        hold: how long a look stays after what last called for it.
        decay: from its beginning to fade to rest.
        change_gap: least time between two looks of different emotions.
        nod_gap: least time between two nods.
        first: from the start of a turn to the first nod or sound of listening.
        backchannel_gap: least time between two sounds of listening.
        backchannels: most sounds of listening within one turn of the person.
        memory: how long distress, or gladness, is remembered.
        smile: how long a smile that has lasted keeps a heavy word, short of grief, from being met with concern.
        away: how long somebody has looked aside before a look back is met.
        still: longest stillness for somebody who looks away to think.
        lead: how much surer than ``sure`` a face must be to turn a look of care into a smile, or a smile into one.
    """

    sure: float = 0.5
    more: float = 0.9
    strong: float = 0.75
    falls_st: float = 4.0
    onset: Nanos = 400 * MS
    hold: Nanos = 5 * SECOND
    decay: Nanos = 1500 * MS
    change_gap: Nanos = 1200 * MS
    nod_gap: Nanos = 2500 * MS
    first: Nanos = 3 * SECOND
    backchannel_gap: Nanos = 4 * SECOND
    backchannels: int = 3
    memory: Nanos = 12 * SECOND
    smile: Nanos = 3 * SECOND
    away: Nanos = SECOND
    still: Nanos = 6 * SECOND
    lead: float = 0.08
