"""A network that loses packets or lets nothing through, and says how bad it was before a figure is believed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCPeerConnection
from scipy.special import bdtr

_TOO_RARE = 0.00135
"""On one side of the binomial distribution: three standard deviations of a normal one."""


class Unproven(RuntimeError):
    """The network was not as bad as it should have been: nothing has been measured."""


@dataclass
class Direction:
    """What went one way."""

    passed: int = 0
    lost: int = 0

    @property
    def share(self) -> float:
        return self.lost / max(1, self.passed + self.lost)


class Network:
    """The way between one stock peer and the rest of the world.

    Attributes:
        loss: share of the UDP packets that are lost, each by its own chance, in each direction.
        down: whether nothing passes.
        up, down_link: what was sent and received since :meth:`reset`.
    """

    def __init__(self, seed: int = 7) -> None:
        self.loss = 0.0
        self.down = False
        self._chance = random.Random(seed)
        self.reset()

    def reset(self) -> None:
        self.up, self.down_link = Direction(), Direction()

    def take(self, pc: RTCPeerConnection) -> None:
        """Let all of a connected peer's packets go through here."""
        for transport in {t.receiver.transport.transport for t in pc.getTransceivers()}:
            for protocol in transport._connection._protocols:
                protocol.transport = _Out(protocol.transport, self)
                inner = protocol.datagram_received

                def received(data: bytes, addr: Any, inner: Callable[..., None] = inner) -> None:
                    if self.passes(self.down_link):
                        inner(data, addr)

                protocol.datagram_received = received

    def passes(self, way: Direction) -> bool:
        lost = self.down or (self.loss > 0 and self._chance.random() < self.loss)
        if lost:
            way.lost += 1
        else:
            way.passed += 1
        return not lost

    def prove(self, share: float) -> str:
        """Return in words what was lost each way.

        Raises:
            Unproven: so few or so many are lost once in 740 times at ``share``, or next to nothing was sent.
        """
        # A stock listener sends back reports only, about one a second.
        for name, way, least in (("up", self.up, 20), ("down", self.down_link, 1)):
            n = way.passed + way.lost
            if n < least:
                raise Unproven(f"only {n} packets went {name}: the caller is not there")
            fewer = bdtr(way.lost - 1, n, share) if way.lost else 0.0
            if min(bdtr(way.lost, n, share), 1 - fewer) < _TOO_RARE:
                raise Unproven(f"{way.share:.1%} of {n} packets were lost {name}, not {share:.1%}")
        return f"lost up {self.up.share:.1%} of {self.up.passed + self.up.lost}, " + (
            f"down {self.down_link.share:.1%} of {self.down_link.passed + self.down_link.lost} packets"
        )


class _Out:
    """A datagram transport that loses packets."""

    def __init__(self, inner: Any, network: Network) -> None:
        self._inner = inner
        self._network = network

    def sendto(self, data: bytes, addr: Any = None) -> None:
        if self._network.passes(self._network.up):
            self._inner.sendto(data, addr)

    @property
    def inner(self) -> Any:
        """What is behind it."""
        return self._inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
