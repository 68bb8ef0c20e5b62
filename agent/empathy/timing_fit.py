"""Weighs the signs of an end of turn: ``python -m agent.empathy.timing_fit``.

Every conversation for tuning and for training is held once with an agent that never takes the turn. At each pause, and
at the end, what :class:`agent.turns.TurnTaker` knows then is one example; a logistic regression tells ends from pauses.
The held-out conversations are not touched. It writes ``policy/data/turn_end.toml`` and prints what the weights do on
conversations that were left out of their fit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent import build, config, models, paths
from agent.config import Use
from agent.empathy import Given
from agent.empathy.timing import EARS, Listeners, listened
from agent.empathy.timing_call import Echoed, Happened, Silent, hold
from agent.empathy.timing_script import SOB, talks, training
from agent.empathy.timing_sound import Channel, make
from agent.journal import Note
from agent.turn_ending import FILE, Ending, Signs, features
from agent.turns import TurnOptions, TurnTaker
from perception.context import Turn
from perception.percept import Percept
from perception.timebase import MS, SECOND, Nanos, as_seconds, seconds

NEVER: Final = TurnOptions(
    patience_sure=3600 * SECOND,
    patience_likely=3600 * SECOND,
    patience_unknown=3600 * SECOND,
    patience=3600 * SECOND,
    patience_open=3600 * SECOND,
    longest=3600 * SECOND,
    words_wait=3600 * SECOND,
    noise_after=3600 * SECOND,
    wordless=3600 * SECOND,
    silence=0,
    drafts=False,
)
"""Settings of a taker that never takes the turn."""

_LOOKS: Final[Nanos] = 600 * MS
"""From the start of a pause to the moment whose signs are taken, or its end if that is sooner."""
_FOLDS: Final = 12


@dataclass(frozen=True, slots=True)
class Example:
    """One pause, or end.

    Attributes:
        talk: the conversation.
        signs: what was known.
        over: whether the turn was over.
        length: of the pause; of an end, 0.
    """

    talk: str
    signs: Signs
    over: bool
    length: Nanos


def examples(happened: Happened) -> list[Example]:
    """Return the pauses of a conversation, and its end, as a turn taker knew them.

    Args:
        happened: of a call in which the agent did not take the turn.
    """
    channel = happened.channel
    stops = [(s.start, s.end) for s in channel.of("pause") if s.kind != SOB]
    # Of an end there is as much silence as of the longest wait.
    moments = [(min(end, start + _LOOKS), start, end) for start, end in stops]
    moments.append((channel.turn[1] + _LOOKS, channel.turn[1], channel.turn[1]))
    taker = TurnTaker(NEVER)
    found: list[Example] = []
    for event in happened.events:
        while moments and moments[0][0] < event.at:
            _, start, end = moments.pop(0)
            signs = taker.signs()
            if signs is not None and signs.text:
                found.append(Example(channel.talk.id, signs, end == start, end - start))
        match event.body:
            case Percept():
                taker.step(event.body, event.at)
            case Turn():
                taker.told(event.body)
            case Note(event="state", data={"state": "thinking"}):
                taker.reply_began(event.at)
            case Note(event="state", data={"state": "speaking"}):
                taker.voice_began()
            case Note(event="state", data={"state": "listening"}):
                taker.reply_ended(event.at)
    return found


def fit(found: Sequence[Example], ridge: float = 1.0) -> dict[str, float]:
    """Return the weights of a logistic regression with a ridge, by iteratively reweighted least squares.

    Args:
        found: the examples; each counts once.
        ridge: of every weight but the constant one.

    Raises:
        ValueError: there are no examples, or only of one kind.
    """
    y = np.array([example.over for example in found], float)
    if not len(y) or y.min() == y.max():
        raise ValueError("to weigh the signs of an end, pauses and ends are needed; the conversations gave only one")
    x = np.array([list(features(example.signs).values()) for example in found])
    penalty = np.eye(x.shape[1]) * ridge
    penalty[0, 0] = 1e-3
    weights = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-(x @ weights)))
        step = np.linalg.solve((x.T * (p * (1.0 - p))) @ x + penalty, x.T @ (y - p) - penalty @ weights)
        weights += step
        if float(np.abs(step).max()) < 1e-9:
            break
    return dict(zip(features(found[0].signs), (float(w) for w in weights), strict=True))


def left_out(found: Sequence[Example], ridge: float = 1.0) -> NDArray[np.float64]:
    """Return of each example the probability under weights that were fitted without its conversation."""
    names = sorted({example.talk for example in found})
    fold = {name: number % _FOLDS for number, name in enumerate(names)}
    odds = np.zeros(len(found))
    for number in range(_FOLDS):
        rest = [example for example in found if fold[example.talk] != number]
        if len(rest) == len(found):
            continue
        ending = Ending(fit(rest, ridge))
        for index, example in enumerate(found):
            if fold[example.talk] == number:
                odds[index] = ending.probability(example.signs)
    return odds


def told(found: Sequence[Example], odds: NDArray[np.float64], waits: Nanos) -> list[str]:
    """Return lines for people: of ends how many are quick, of pauses how many are cut off, by threshold.

    Args:
        found: the examples.
        odds: the probability of each that the turn is over.
        waits: silence that ends a turn that is surely over.
    """
    over = np.array([example.over for example in found])
    long = np.array([example.length > waits for example in found])
    lines = [f"{int(over.sum())} ends, {int((~over).sum())} pauses; threshold: ends taken quickly, pauses cut off"]
    for at in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
        quick = odds >= at
        lines.append(f"  {at:.2f}: {quick[over].mean():6.1%} {(quick & long)[~over].mean():6.1%}")
    return lines


def written(weights: Mapping[str, float], found: Sequence[Example]) -> str:
    """Return the file of weights."""
    over = sum(example.over for example in found)
    lines = [
        "# Weights of the signs that a turn is over (agent/turn_ending.py), by `python -m agent.empathy.timing_fit`",
        f"# from {over} ends and {len(found) - over} pauses of policy/data/empathy/timing.toml and timing_train.toml.",
        "",
        "[weights]",
        *(f'"{name}" = {value:.4f}' for name, value in weights.items()),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold the conversations, fit, write, and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m agent.empathy.timing_fit", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(str(resources.files("policy").joinpath("data", FILE))))
    parser.add_argument("--ridge", type=float, default=1.0)
    options = parser.parse_args(arguments)
    loaded = config.load(None)
    given = Given(config=loaded, resolve=models.resolve)
    voice = Echoed(build.voice(Use("hibari"), given.resolve))
    ears = Listeners(given)
    call = replace(loaded.call, turns=NEVER)
    costs = {name: seconds(cost) for name, cost in loaded.replay.costs.items()}
    hold_it = partial(hold, policy=Silent(), voice=voice, options=call, costs=costs)
    found: list[Example] = []
    try:
        for talk in (*(t for t in talks() if not t.held), *training()):
            channel: Channel = make(talk, voice)
            heard = listened(channel, ears, costs, paths.cache_dir() / "bench" / "empathy")
            found += examples(hold_it(channel, workers=heard.factories(), known=heard.heard_by))
            heard.keep()
    finally:
        voice.close()
    options.out.write_text(written(fit(found, options.ridge), found), encoding="utf-8")
    waits = loaded.call.turns.patience_sure
    odds = left_out(found, options.ridge)
    lines = [f"{options.out}: pauses longer than {as_seconds(waits)} s count; heard by {', '.join(EARS)}"]
    for name in ("", "train-s-", "train-"):
        chosen = [index for index, example in enumerate(found) if example.talk.startswith(name)]
        lines += [f"conversations {name}*", *told([found[i] for i in chosen], odds[chosen], waits)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
