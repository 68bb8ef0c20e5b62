"""What one reply may take, stage by stage, and what is said where a stage takes longer."""

from __future__ import annotations

from dataclasses import dataclass

from perception.timebase import MS, SECOND, Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyOptions:
    """Budgets of one reply. Whatever goes over its own is noted, counted, and made up for, so that nobody sits in
    silence.

    Attributes:
        first_decision: longest wait for the first decision, whatever was thought before it and whoever was asked.
        next_decision: longest wait for each further one.
        filler_after: where nothing was decided by then, ``filler`` is said; 0 for never. Only for an answer that
            somebody waits for.
        first_sound: longest wait for the first sound of a clause that the voice was given.
        next_sound: likewise, between two pieces of it.
        voice_rest: how long a voice that failed is not asked again; its words are shown meanwhile.
        silent_after: the agent counts as speaking, and no sound has left for so long: that is noted.
        stalled_after: after this the rest of the reply is given up.
        whole: from then on a reply begins no further clause.
        fallback: what is said when the policy failed or was too late.
        filler: what is said while it is awaited.
        voiceless: what is said, from sound kept ready, when the voice fails.

    Raises:
        ValueError: a time is out of range; the message names it.
    """

    first_decision: Nanos = 6 * SECOND
    next_decision: Nanos = 6 * SECOND
    filler_after: Nanos = 3 * SECOND
    first_sound: Nanos = 2 * SECOND
    next_sound: Nanos = 2 * SECOND
    voice_rest: Nanos = 10 * SECOND
    silent_after: Nanos = SECOND
    stalled_after: Nanos = 4 * SECOND
    whole: Nanos = 90 * SECOND
    fallback: str = "Sorry, I lost my thread for a moment. Could you say that again?"
    filler: str = "Let me think for a moment."
    voiceless: str = "I have trouble speaking just now, but you can read what I say."

    def __post_init__(self) -> None:
        for name in (
            "first_decision",
            "next_decision",
            "first_sound",
            "next_sound",
            "silent_after",
            "stalled_after",
            "whole",
        ):
            if getattr(self, name) < 10 * MS:
                raise ValueError(f"call.reply.{name} is {getattr(self, name) / SECOND:g} s, expected 0.01 or more")
        for name in ("filler_after", "voice_rest"):
            if getattr(self, name) < 0:
                raise ValueError(f"call.reply.{name} is {getattr(self, name) / SECOND:g} s, expected 0 or more")
        if self.stalled_after < self.silent_after:
            raise ValueError(
                f"call.reply.stalled_after is {self.stalled_after / SECOND:g} s, expected "
                f"call.reply.silent_after ({self.silent_after / SECOND:g} s) or more"
            )

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that are worth keeping ready as sound."""
        return tuple(dict.fromkeys(line for line in (self.fallback, self.filler, self.voiceless) if line))
