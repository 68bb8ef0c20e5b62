"""Where packets of this machine go, counted where nobody can cheat: by the kernel, in a network of its own.

:func:`alone` moves this process and its children into a network namespace with a loopback and one interface, ``out0``,
behind which there is nothing: a TUN device whose far end is never read. :class:`Sniffer` sees every packet that leaves
through either. Without the right to do so (``CAP_NET_ADMIN``, or user namespaces) there is :class:`Spy`, which counts
at the sockets of the process that it is installed in. What is denied is written down here once more, apart from the
guard that is measured.
"""

from __future__ import annotations

import asyncio.selector_events
import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
import subprocess
import threading
from collections import Counter
from types import TracebackType
from typing import Any, Final

ADDRESS: Final = "203.0.113.5"
"""Of this machine, on ``out0``."""

DENIED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32", "192.0.0.192/32",
        "::1/128", "::/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2002::/16", "2001::/32",
    )
)  # fmt: skip
"""Where a server in the street sends nothing because a stranger named it."""

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_TUN_BARE: Final = 0x1001
"""``IFF_TUN | IFF_NO_PI``."""
_EVERYTHING: Final = 0x0003
_OUTGOING: Final = 4
_UDP: Final = 17
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_held: list[int] = []


def kind(address: str, port: int, *, loopback: bool = False) -> str:
    """Return ``denied`` or ``taken``.

    Args:
        address: where a packet goes.
        port: and to which port.
        loopback: whether the server listens to its own machine, so that loopback is not denied.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if loopback and found.is_loopback:
        return "taken" if port >= 1024 else "denied"
    return "denied" if port < 1024 or any(found in network for network in DENIED) else "taken"


def alone() -> str:
    """Move this process into a network of its own.

    Returns:
        ``""``, or why it cannot be done here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    if libc.unshare(flags) != 0:
        return f"no network namespace: {os.strerror(ctypes.get_errno())}"
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"out0", _TUN_BARE))
        links = ("link set lo up", f"addr add {ADDRESS}/24 dev out0", "link set out0 up")
        for words in (*links, "route add default dev out0"):
            subprocess.run(["ip", *words.split()], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no interface in it: {error}"
    _held.append(device)  # the interface goes with its last holder
    return ""


class Sniffer:
    """Counts UDP packets that leave, by :func:`kind`. A context manager; only where :func:`alone` succeeded.

    Attributes:
        counts: by kind; ``own`` is what peers and server on this machine send each other.
        where: by destination, of the denied ones.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.where: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERYTHING))
        self._socket.settimeout(0.2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="sniffer", daemon=True)

    def __enter__(self) -> Sniffer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                data, (_, protocol, way, *_) = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            if way == _OUTGOING:
                self._count(data, protocol)

    def _count(self, data: bytes, protocol: int) -> None:
        if protocol == _IPV4 and len(data) >= 28 and data[9] == _UDP:
            head = 4 * (data[0] & 0x0F)
            address = socket.inet_ntop(socket.AF_INET, data[16:20])
        elif protocol == _IPV6 and len(data) >= 48 and data[6] == _UDP:
            head = 40
            address = socket.inet_ntop(socket.AF_INET6, data[24:40])
        else:
            return
        (port,) = struct.unpack("!H", data[head + 2 : head + 4])
        found = "own" if address == ADDRESS else kind(address, port)
        self.counts[found] += 1
        if found == "denied":
            self.where[f"{address}:{port}"] += 1


class Spy:
    """Counts what this process sends from its datagram sockets, by :func:`kind`; installed once and for good.

    Args:
        loopback: see :func:`kind`.

    Attributes:
        counts: by kind.
    """

    def __init__(self, *, loopback: bool) -> None:
        self.counts: Counter[str] = Counter()
        transport: Any = asyncio.selector_events._SelectorDatagramTransport  # type: ignore[attr-defined]
        send = transport.sendto

        def sendto(this: Any, data: bytes, addr: Any = None) -> None:
            if addr is not None:
                self.counts[kind(addr[0], addr[1], loopback=loopback)] += 1
            send(this, data, addr)

        transport.sendto = sendto
