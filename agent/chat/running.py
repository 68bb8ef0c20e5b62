"""Loads what a chat needs, and holds the conversations of a script, each in a call of its own."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from agent import build, logs
from agent.chat.live import SENSES, Seat, Staged, deaf, following, typed_only
from agent.chat.script import Conversation
from agent.chat.told import Teller, Traced, Turned
from agent.clock import Clock, VirtualClock
from agent.config import Config, ConfigError, Use
from agent.empathy.choice_stage import WORDS_ONLY
from agent.itself import Itself
from agent.lane import SafetyLane
from agent.loop import Call
from agent.parts import Parts
from agent.privacy import deployment
from agent.staged import Mute
from agent.thinking import Thinker, kind_of
from perception.offline import stay_local
from perception.timebase import seconds
from perception.workers import Resolve

log = structlog.get_logger(__name__)

_HEARS: Final = "compact"
"""The policy that takes in sound itself, and can do without."""


def fitting(config: Config, policy: str | None = None) -> Config:
    """Return ``config`` for a chat, with the policy of the command line where one was given.

    Raises:
        ConfigError: there is no such policy, or it does not take its options.
    """
    chosen = config.policy if policy in (None, config.policy.use) else Use(str(policy))
    behind = tuple(part for part in config.fallback if part != chosen)
    found = dataclasses.replace(config, policy=_deaf(chosen), fallback=tuple(map(_deaf, behind)))
    for _, part in found.minds():
        build.check("policy", part)
    return deployment.fit(found)


def _deaf(part: Use) -> Use:
    """There is no sound, so that what encodes it need not be loaded."""
    return Use(part.use, dict(part.options) | {"hears": False}) if part.use == _HEARS else part


@dataclass(frozen=True, slots=True)
class Loaded:
    """What all conversations share.

    Attributes:
        config: as :func:`fitting` returns it.
        mind: decides.
        lane: stands around it; ``None`` where it is switched off.
    """

    config: Config
    mind: Thinker
    lane: SafetyLane | None
    itself: Itself | None = None

    def teller(self, name: str) -> tuple[Traced, Teller]:
        """Return the mind of one call, and what puts its turns together."""
        mind = Traced(self.mind)
        return mind, Teller(name, mind, self.config.call.reply)

    def call(self, seat: Seat, mind: Traced, clock: Clock, staged: Sequence[Staged] = ()) -> Call:
        """Return a call with ``seat`` as the caller."""
        options = self.config.call if staged else typed_only(self.config.call)
        return Call(seat, Parts(staged or deaf(), mind, Mute(), options, self.lane, itself=self.itself), clock)

    def close(self) -> None:
        """Free weights and threads."""
        self.mind.close()
        for part in (self.lane, self.itself):
            if part is not None:
                part.close()


def load(config: Config, resolve: Resolve) -> Loaded:
    """Load the policy, those behind it, and the safety lane.

    Raises:
        ConfigError: an option cannot be.
        agent.models.ModelMissing: an embedded model is not there.
    """
    mind = build.thinker(config, resolve)
    try:
        about = build.itself(config, mind, ())
        about.warm()
        return Loaded(config, mind, build.lane(config, resolve), about)
    except BaseException:
        mind.close()
        raise


@dataclass(frozen=True, slots=True)
class Held:
    """The turns of a conversation; ``failed`` names the kind of error that broke it off, ``""`` where none did."""

    turns: tuple[Turned, ...]
    failed: str = ""


def hold(conversation: Conversation, loaded: Loaded) -> Held:
    """Hold a conversation under the virtual clock, with the fixed costs of ``[replay.costs]``."""
    config = loaded.config
    clock = VirtualClock({name: seconds(cost) for name, cost in config.replay.costs.items()})
    mind, teller = loaded.teller(conversation.id)
    turns: list[Turned] = []
    staged = [Staged(name) for name in SENSES] if conversation.staged else []
    feels = bool(staged) and config.deployment.affect  # else nothing may be told from faces and voices

    async def talk() -> None:
        script = following(conversation, turns.append, greets=config.call.greeting)
        seat = Seat(script, teller, staged=staged, senses=None if feels else WORDS_ONLY)
        await loaded.call(seat, mind, clock, staged).run()

    try:
        clock.run(talk())
    except Exception as error:
        log.error("conversation_failed", conversation=conversation.id, exc_info=error)
        return Held(tuple(turns), _kind(error))
    return Held(tuple(turns))


def _kind(error: BaseException) -> str:
    return _kind(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else kind_of(error)


def hold_all(
    conversations: Sequence[Conversation], config: Config, resolve: Resolve, *, jobs: int = 1
) -> Generator[Held, None, None]:
    """Hold conversations, and yield what became of each, in their order.

    Args:
        conversations: independent of each other.
        config: as :func:`fitting` returns it.
        resolve: gives models.
        jobs: processes; each loads the policy once.

    Raises:
        ConfigError: an option cannot be, or a process was ended from outside.
        agent.models.ModelMissing: an embedded model is not there.
    """
    jobs = min(jobs, len(conversations))
    if jobs == 1:
        loaded = load(config, resolve)
        try:
            for conversation in conversations:
                yield hold(conversation, loaded)
        finally:
            loaded.close()
        return
    # Spawned, not forked: a fork copies the locks of threads that it does not have.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _begin) as pool:
        try:
            yield from pool.map(partial(_hold, config=config, resolve=resolve), conversations)
        except BrokenProcessPool:
            raise ConfigError("a process of the script was ended, perhaps for its memory; use fewer --jobs") from None


_OWN: Final[dict[str, Loaded]] = {}
"""That of a child."""


def _begin() -> None:
    """Begin a child."""
    logs.configure()
    stay_local()


def _hold(conversation: Conversation, *, config: Config, resolve: Resolve) -> Held:
    if "loaded" not in _OWN:
        _OWN["loaded"] = load(config, resolve)
    return hold(conversation, _OWN["loaded"])
