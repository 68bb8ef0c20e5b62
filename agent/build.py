"""From names to objects: the only module that imports workers, policies, voices and transports.

A name without a dot is a module in the folder of its kind; with dots it is anything importable.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import structlog

from agent import gaps, models
from agent.clock import Clock, SystemClock, today
from agent.config import Config, ConfigError, Use
from agent.farewell import HELP, LINE
from agent.housing.breaker import GIVEN_UP
from agent.housing.estate import Estate
from agent.housing.house import LoadFailed
from agent.itself import Itself
from agent.itself_config import facts_of
from agent.journal import Sink
from agent.lane import SafetyLane
from agent.loop import Call
from agent.minds import Candidate, Minds, Patience
from agent.parts import Parts
from agent.privacy import deployment
from agent.privacy.gate import Gate
from agent.privacy.kept import journal_of, ledger_of
from agent.privacy.ledger import Ledger
from agent.sense_map import SenseMap
from agent.standby import Standby
from agent.thinking import Thinker
from agent.tracing import Tracing
from agent.tracing import host as traces_host
from agent.tracing import tracing as open_tracing
from agent.transports import Door, Transport
from agent.voices import Voice
from agent.webhook import Webhook
from perception.workers import Resolve, WorkerFactory
from policy.backends import Policy
from policy.embedding import Embed
from policy.safety import helplines
from policy.safety.classifier import NAME as READER
from policy.safety.classifier import load as load_classifier
from policy.safety.detector import Classifier, Lookout
from policy.tasks import Task

log = structlog.get_logger(__name__)

KINDS = {
    "worker": "perception.workers",
    "policy": "policy.backends",
    "voice": "agent.voices",
    "transport": "agent.transports",
    "task": "policy.tasks",
}


def available(kind: str) -> list[str]:
    """Return the names of the modules of ``kind``: worker, policy, voice or transport."""
    package = importlib.import_module(KINDS[kind])
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def loader(kind: str, name: str) -> Callable[..., Any]:
    """Return the ``load`` function of a part.

    Raises:
        ConfigError: there is no such module, or it has no ``load``.
    """
    dotted = name if "." in name else f"{KINDS[kind]}.{name}"
    try:
        module = importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name is not None and (dotted == error.name or dotted.startswith(f"{error.name}.")):
            known = ", ".join(available(kind))
            if "." in name:
                raise ConfigError(
                    f"there is no module {name!r} for the {kind}; install it, or say where it lies: PYTHONPATH=FOLDER "
                    f"(the {kind}s that ship are {known})"
                ) from None
            raise ConfigError(f"there is no {kind} {name!r}; there are: {known}, or a dotted module name") from None
        raise ConfigError(f"{kind} {name!r} needs the package {error.name!r}; install it") from error
    load = getattr(module, "load", None)
    if not callable(load):
        raise ConfigError(f"{kind} {name!r}: module {dotted} has no load() function")
    found: Callable[..., Any] = load
    return found


def check(kind: str, part: Use) -> None:
    """See that there is such a worker, policy or voice, and that it takes its options; load nothing.

    Raises:
        ConfigError: it is not so.
    """
    load = loader(kind, part.use)
    try:
        inspect.signature(load).bind(resolve=None, **part.options)
    except TypeError as error:
        raise ConfigError(f"{kind} {part.use!r}: {error}") from None


def _make(kind: str, part: Use, **given: Any) -> Any:
    try:
        return loader(kind, part.use)(**given, **part.options)
    except TypeError as error:
        if "unexpected keyword argument" in str(error):
            raise ConfigError(f"{kind} {part.use!r}: {error}") from error
        raise


def workers(parts: Iterable[Use], resolve: Resolve) -> list[WorkerFactory]:
    """Load the workers, in order."""
    return [_make("worker", part, resolve=resolve) for part in parts]


def senses(config: Config, resolve: Resolve) -> Estate:
    """Begin to load the workers, each in this process or in one of its own."""
    return Estate(
        config.workers,
        config.perception,
        resolve,
        module=lambda name: loader("worker", name).__module__,
        load=lambda part: workers([part], resolve)[0],
    )


def _settled(estate: Estate) -> list[WorkerFactory]:
    try:
        return estate.factories()
    except LoadFailed as error:
        raise ConfigError(f'{error}; perception.isolate = "thread" loads it in this process') from error


def policy(part: Use, resolve: Resolve) -> Policy:
    """Load the policy."""
    made: Policy = _make("policy", part, resolve=resolve)
    return made


def thinker(config: Config, resolve: Resolve) -> Thinker:
    """Load the policy, or, where others stand behind it, all of them.

    Raises:
        ConfigError: one of them is not known or does not take its options.
        Exception: what loading the last of them raised.
    """
    if not config.fallback:
        return policy(config.policy, resolve)
    call = config.call
    chain = [Candidate(name, partial(policy, part, resolve)) for name, part in config.minds()]
    patience = Patience(first=call.mind_patience, think=call.mind_think, stall=call.mind_stall)
    return Minds(chain, patience, stops=(ConfigError,))


def lane(config: Config, resolve: Resolve) -> SafetyLane | None:
    """Load the safety lane; ``None`` where it is switched off, which is warned of.

    Where its classifier cannot be loaded, it stands with patterns alone, and that is logged: whoever is in danger is
    better met by that than by nothing.
    """
    options = config.safety
    if not options.enabled:
        log.warning("safety_lane_off", fix="nobody looks for danger in what people say; safety.enabled = true does")
        return None
    old = (today() - helplines.reviewed()).days
    if old > _REVIEW_DAYS:
        log.warning("safety_resources_old", days=old, fix="check policy/data/resources.toml, and set its reviewed")
    if not helplines.speaks_english(options.locale):
        log.warning("safety_language", locale=options.locale, fix=helplines.ONLY_ENGLISH)
    return SafetyLane(lookout(config, resolve), options)


def lookout(config: Config, resolve: Resolve, missing: Callable[[Exception], None] | None = None) -> Lookout:
    """Load what detects danger; patterns alone where the classifier cannot be loaded.

    Args:
        config: names the sensitivity.
        resolve: gives the folder of the classifier.
        missing: is told why the classifier cannot be loaded; that is logged if left out.
    """
    classifier: Classifier | None = None
    try:
        classifier = load_classifier(resolve(READER))
    except Exception as error:
        if missing is not None:
            missing(error)
        else:
            fix = "agent models fetch; patterns alone until then"
            log.error("safety_classifier_missing", error=str(error), fix=fix)
    return Lookout(classifier=classifier, sensitivity=config.safety.sensitivity)


_REVIEW_DAYS = 365


def itself(config: Config, mind: Thinker, workers: Sequence[WorkerFactory]) -> Itself:
    """Make what answers questions about the agent, with the sentence encoder of a mind that has one."""

    def embed() -> Embed | None:
        minds = mind.loaded() if isinstance(mind, Minds) else [mind]
        return next((found for one in minds if (found := getattr(one, "embed", None)) is not None), None)

    return Itself(facts_of(config), workers, embed)


def webhook(config: Config) -> Webhook | None:
    """Open the operator's webhook, if there is one.

    Raises:
        ConfigError: its key cannot be read.
    """
    options = config.safety
    if not options.enabled or not options.webhook:
        return None
    try:
        return Webhook(options)
    except (OSError, ValueError) as error:
        raise ConfigError(f"safety.webhook_key_file: {error}") from None


def voice(part: Use, resolve: Resolve) -> Voice:
    """Load the voice."""
    made: Voice = _make("voice", part, resolve=resolve)
    return made


def task(part: Use) -> Task:
    """Load a benchmark."""
    made: Task = _make("task", part)
    return made


def door(part: Use) -> Door:
    """Load a transport."""
    made: Door = _make("transport", part)
    return made


@dataclass(frozen=True, slots=True)
class Runtime:
    """Loaded weights, and what it takes to hold a call with them. A context manager: closes them at the end."""

    config: Config
    parts: Parts
    ledger: Ledger
    webhook: Webhook | None = None
    estate: Estate | None = None
    tracing: Tracing | None = None
    offered: Sequence[Mapping[str, Any]] = ()

    @property
    def senses(self) -> SenseMap:
        """The senses that callers can allow."""
        return SenseMap.of(self.parts.workers)

    def watch(self, told: Callable[[str], None]) -> None:
        """Let ``told`` take the outcomes of the webhook, from its thread."""
        if self.webhook is not None:
            self.webhook.told = told

    async def answer(
        self, transport: Transport, clock: Clock | None = None, sinks: Sequence[Sink] = (), *, guard: bool = True
    ) -> None:
        """Hold one call to its end. With ``guard``, what went wrong in it is logged and does not raise.

        Nothing is perceived before the ledger has it that the caller agreed.
        """
        gate = Gate(transport, self.ledger, self.parts.workers, records=deployment.records(self.config))
        with journal_of(self.config, gate) as journal:
            every: list[Sink] = [*sinks, *([journal] if journal is not None else [])]
            if self.webhook is not None:
                every.append(self.webhook.sink(transport.call_id))
            if self.tracing is not None:
                every.append(self.tracing.sink(transport.call_id))
            try:
                await gate.begin(clock)
                await Call(gate, self.parts, clock or SystemClock(), every).run()
            except Exception as error:
                if not guard:
                    raise
                log.error("call_failed", call=transport.call_id, exc_info=error)

    def describe(self) -> dict[str, Any]:
        """Return the names of what is loaded, for the page and for ``/readyz``; why a mind is not, where one is not."""
        return {
            "policy": self.parts.policy.name,
            "voice": self.parts.voice.name,
            "workers": [w.name for w in self.parts.workers],
            "safety": "off" if self.parts.lane is None else "on",
            "privacy": deployment.describe(self.config, self.offered),
            **({"traces_to": traces_host(self.config)} if self.tracing is not None else {}),
            **({"away": away} if self.estate is not None and (away := self.estate.away()) else {}),
            **(self.parts.policy.about() if isinstance(self.parts.policy, Minds) else {}),
        }

    def given_up(self) -> frozenset[str]:
        """Return the names of the senses whose process is given up for the time being."""
        away = self.estate.away() if self.estate is not None else {}
        return frozenset(name for name, state in away.items() if state == GIVEN_UP)

    def late_s(self) -> float:
        """Return how late the senses are, see :class:`agent.pace.Pace`."""
        return self.parts.pace.late_s

    def sends_to(self) -> list[str]:
        """Return the names of other machines that are sent words, sound or pictures; none for embedded minds."""
        policy = self.parts.policy
        minds = policy.loaded() if isinstance(policy, Minds) else [policy]
        return sorted({host for mind in minds if (host := str(getattr(mind, "sends_to", "")))})

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.estate is not None:
            self.estate.close()
        self.parts.policy.close()
        self.parts.voice.close()
        if self.parts.lane is not None:
            self.parts.lane.close()
        if self.parts.itself is not None:
            self.parts.itself.close()
        if self.webhook is not None:
            self.webhook.close()
        if self.tracing is not None:
            self.tracing.close()


def runtime(config: Config, resolve: Resolve | None = None) -> Runtime:
    """Load everything that the configuration names.

    Raises:
        ConfigError: a part is not known or does not take its options.
        agent.models.ModelMissing: an embedded model is not there; the message says how to get it.
    """
    config = deployment.fit(config)
    every = [("worker", w) for w in config.workers] + [("policy", p) for _, p in config.minds()]
    for kind, part in (*every, ("voice", config.voice)):
        check(kind, part)  # what is wrong in its name or its options is told before anything heavy is loaded
    if resolve is None:
        resolve = models.resolve
        defaults = Config()
        if (config.workers, config.policy, config.voice) == (defaults.workers, defaults.policy, defaults.voice):
            models.require()  # all at once, before anything heavy is loaded
    with ExitStack() as undo, ThreadPoolExecutor(1, thread_name_prefix="load") as loading:
        estate = undo.enter_context(senses(config, resolve))  # its processes begin to load
        mind = loading.submit(thinker, config, resolve)  # the slowest to load, beside the others
        speaking = voice(config.voice, resolve)
        safety = lane(config, resolve)
        country = helplines.country(config.safety.locale)
        standby = Standby()
        ready = _settled(estate)
        offered = deployment.offered(config, SenseMap.of(ready))
        about = itself(config, mind.result(), ready)
        loading.submit(about.warm)
        parts = Parts(ready, mind.result(), speaking, config.call, safety, standby, about)
        told = [line for typing in (True, False) for line in gaps.lines(country, typing=typing).values()]
        loading.submit(asyncio.run, standby.warm(speaking, (*config.call.reply.lines, LINE, HELP, *told))).result()
        made = Runtime(config, parts, ledger_of(config), webhook(config), estate, open_tracing(config), offered)
        undo.pop_all()
        return made
