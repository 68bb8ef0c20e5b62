"""When a turn ends and when the agent gives way: the settings of :mod:`agent.turns`."""

from __future__ import annotations

from dataclasses import dataclass

from perception.timebase import MS, SECOND, Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """When a turn ends and when the agent gives way.

    Attributes:
        complete_at: turn-detector probability from which it is worth preparing a reply.
        over_at: probability that the turn is over, all signs weighed (:mod:`agent.turn_ending`), from which a short
            silence ends it.
        likely_at: the same from which a longer one does.
        patience_sure: silence that ends a turn that is surely over.
        patience_likely: the same where that is likely.
        patience_unknown: the same when no detector has spoken.
        patience: silence that ends any turn of somebody who does not look away.
        patience_open: the same where the words trail off or only announce what is to be said.
        care: further silence, once or twice, for somebody who was cut off before: who went on speaking right after the
            turn had been taken.
        care_within: so soon after that.
        cut_in_words: whoever has cut the agent off and said fewer words than this is given ``patience_open``.
        heavy: least silence after heavy words, however sure their end.
        away: further silence for somebody who looks away.
        weeping_away: the same for somebody who also trembles or looks sad.
        weeping_memory: how long a sob, a trembling voice or a sad face counts.
        longest: bound on the silence that ends a turn, whatever speaks for waiting.
        wordless: voice without a new word after which the turn is over, for the voice may be no voice.
        drafts: whether a reply is prepared during a pause that looks like the end.
        words_wait: longest wait for the words of a pause before the turn is judged without them.
        noise_after: silence after which a sound without words is forgotten.
        resume_after: silence after which a held reply goes on when no words came.
        give_way_after: speech over a held reply that makes it give way even before words are known.
        silence: quiet after which the policy is asked whether to say something; 0 for never.
        silence_most: most such questions in a row.
        backchannels: what a listener says without wanting the turn.
    """

    complete_at: float = 0.5
    over_at: float = 0.44
    likely_at: float = 0.4
    patience_sure: Nanos = 640 * MS
    patience_likely: Nanos = 900 * MS
    patience_unknown: Nanos = 700 * MS
    patience: Nanos = 1300 * MS
    patience_open: Nanos = 1400 * MS
    care: Nanos = 200 * MS
    care_within: Nanos = 1500 * MS
    cut_in_words: int = 8
    heavy: Nanos = 800 * MS
    away: Nanos = 400 * MS
    weeping_away: Nanos = 1200 * MS
    weeping_memory: Nanos = 6 * SECOND
    longest: Nanos = 3 * SECOND
    wordless: Nanos = 5 * SECOND
    drafts: bool = True
    words_wait: Nanos = 2 * SECOND
    noise_after: Nanos = 1000 * MS
    resume_after: Nanos = 500 * MS
    give_way_after: Nanos = 1600 * MS
    silence: Nanos = 20 * SECOND
    silence_most: int = 2
    backchannels: frozenset[str] = frozenset(
        {"mm", "mmm", "mhm", "mm-hm", "mmhm", "mm-hmm", "hm", "hmm", "uh-huh", "uhuh", "uh", "huh", "ah", "oh", "aha"}
        | {"yeah", "yep", "yes", "okay", "ok", "right", "sure", "wow", "really", "i see", "i know", "of course"}
    )
