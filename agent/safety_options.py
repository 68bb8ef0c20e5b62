"""The settings of the safety lane (:mod:`agent.lane`) and of its webhook (:mod:`agent.webhook`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from perception.timebase import SECOND, Nanos
from policy.safety.detector import Sensitivity

ACKNOWLEDGE: Final = "I run without the safety lane"
"""What has to be written to switch the lane off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyOptions:
    """What is done about danger in what people say.

    Attributes:
        enabled: whether anything is; ``False`` needs ``acknowledge``.
        acknowledge: :data:`ACKNOWLEDGE`, word for word, where the lane is off.
        locale: country whose help is shown, two letters as in ``policy/data/resources.toml``; ``""`` where it is not
            known, then help is shown that is there everywhere.
        follow: turns of the person after a line of the lane for which it listens for an answer.
        patience: longest wait for the classifier, then patterns alone decide; and for the policy in front of a gentle
            question, then a reviewed line takes its place.
        sensitivity: what counts as danger.
        webhook: address that is told of each danger, without what was said; ``""`` for none.
        webhook_key_file: file with the key of the signature; ``""`` sends none.
        webhook_timeout: longest wait for one answer of the webhook.
        webhook_backoff: pause before the first repeat; doubles each time.
        webhook_tries: most tries for one danger.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    enabled: bool = True
    acknowledge: str = ""
    locale: str = ""
    follow: int = 3
    patience: Nanos = 2 * SECOND
    sensitivity: Sensitivity = field(default_factory=Sensitivity)
    webhook: str = ""
    webhook_key_file: str = ""
    webhook_timeout: Nanos = 5 * SECOND
    webhook_backoff: Nanos = SECOND
    webhook_tries: int = 6

    def __post_init__(self) -> None:
        if self.follow < 1:
            raise ValueError(f"safety.follow is {self.follow}, expected 1 or more")
        if self.webhook_tries < 1:
            raise ValueError(f"safety.webhook_tries is {self.webhook_tries}, expected 1 or more")
        for name in ("patience", "webhook_timeout", "webhook_backoff"):
            if getattr(self, name) <= 0:
                raise ValueError(f"safety.{name} is {getattr(self, name) / SECOND:g} s, expected more than 0")
