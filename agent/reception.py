"""Where every caller passes, whatever they speak: the page they come from, how often, with which token, and whether
there is a call to be had at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from agent.asking import address_of, token_of
from agent.descriptors import Descriptors
from agent.doors import Admission
from agent.drain import Drain
from agent.fitness import Fitness
from agent.metrics import Metrics
from agent.refusal import Refused, Visitor
from agent.server_options import ServerConfig

_BACK_S: Final = 10
"""Time for a server that was drained to be there again."""


class Reception:
    """Of one server.

    Args:
        server: whose pages may call, and where it is reached.
        admission: reads and spends tokens, and counts who asks.
        drain: whether new calls are taken.
        metrics: counts who came in and who did not.
        descriptors: whether there are enough for one more call.
        fitness: of the senses.
    """

    def __init__(
        self,
        server: ServerConfig,
        admission: Admission,
        drain: Drain,
        metrics: Metrics,
        descriptors: Descriptors,
        fitness: Fitness,
    ) -> None:
        self._fitness = fitness
        self._server = server
        self._admission = admission
        self._drain = drain
        self._metrics = metrics
        self._descriptors = descriptors

    def check_origin(self, asked: HTTPConnection) -> None:
        """Let only the own page call, and those that the configuration names; programs send no Origin.

        Raises:
            Refused: it is a page of somebody else.
        """
        origin = asked.headers.get("origin")
        if origin is None or origin in self._server.allowed_origins:
            return
        if _netloc(origin) != asked.headers.get("host", ""):  # which is one of the server's own, see agent.hosts
            raise Refused(403, f"pages of {origin[:128]} may not call; see server.allowed_origins")

    def check_consent(self, what: str) -> None:
        """Let nobody in who could not be asked for consent where it has to be asked.

        Args:
            what: kind of client, as a subject.

        Raises:
            Refused: this server asks every person, and such a client has no way to.
        """
        if self._server.consent != "given":
            raise Refused(
                403,
                f"{what} cannot ask the person for consent, and this server perceives nobody without; call from its "
                'page, or set server.consent = "given" where people are asked otherwise',
                kind="consent",
            )

    def step(self, asked: HTTPConnection) -> None:
        """See where a caller comes from, and count them.

        Raises:
            Refused: a page of somebody else, or too many from there.
        """
        self.check_origin(asked)
        self._admission.step(address_of(asked))

    def open(self) -> None:
        """See that new calls are taken.

        Raises:
            Refused: the server is about to stop, or its senses are not fit for one more.
        """
        if self._drain.begun:
            wait_s = round(self._drain.left_s) + _BACK_S
            raise Refused(503, "the server is about to stop and takes no new calls", wait_s, kind="draining")
        self._fitness.check()

    @contextmanager
    def enter(self, asked: HTTPConnection, token: str | None = None) -> Iterator[Visitor]:
        """Let somebody open a call whom :meth:`step` has counted; their token is spent unless that fails.

        Args:
            asked: the request, or the socket's handshake.
            token: that came otherwise than in a header or the query.

        Raises:
            Refused: the server stops, its senses are not fit for one more call, the machine is too busy, or the token
                is not good.
        """
        self.open()
        self._descriptors.check()
        with self._admission.enter(token_of(asked) or token, address_of(asked)) as visitor:
            yield visitor

    @contextmanager
    def counted(self, made: int = 200) -> Iterator[None]:
        """Count an offer by how it went.

        Args:
            made: status where it went well.
        """
        try:
            yield
        except Refused as error:
            self._metrics.offers.labels(str(error.status)).inc()
            self._metrics.refused.labels(error.kind).inc()
            raise
        self._metrics.offers.labels(str(made)).inc()


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
