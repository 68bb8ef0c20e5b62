"""Logging: structlog, one event per line on stderr, also for the libraries that use ``logging``.

What a person said or how they looked is logged only under keys that begin with ``pii.``, and those are
dropped here unless ``personal`` is asked for. So are the words of exceptions, which may quote what was being read when
they were raised: where they came up and of which kind they are is always told, and of errors of the system all.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

import structlog

_QUIET: Final = (
    *("aioice", "aiortc", "libav", "urllib3", "faster_whisper", "filelock"),
    *("httpx", "httpcore", "openai", "uvicorn.access"),  # addresses that they name may carry a token
)
_OURS: Final = ("agent", "policy", "perception", "server", "__main__")
_DEEPEST: Final = 8


def configure(*, json_lines: bool = False, verbose: bool = False, personal: bool = False) -> None:
    """Set up logging for the process."""
    level = logging.DEBUG if verbose else logging.INFO
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not personal:
        shared += [_drop_personal, _bare_exception]
    renderer: list[structlog.types.Processor]
    if json_lines:
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        renderer = [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
    else:
        renderer = [console(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)  # what libraries say in detail may hold what they were given
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(worth_saying)


def worth_saying(record: logging.LogRecord) -> bool:
    """Keep back two lines of uvicorn about each WebSocket.

    One has its address, which may carry a token. The other is an error that is none: it does not know that to refuse a
    handshake by an answer is to complete it.
    """
    said = str(record.msg)
    return '"WebSocket ' not in said and "without completing handshake" not in said


def console(*, colors: bool = False) -> structlog.dev.ConsoleRenderer:
    """Return a renderer for people. Its tracebacks show no local variables, which may hold what a person said."""
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def bare(error: BaseException) -> str:
    """Return the traceback of an exception, and of those behind it, without what their messages say."""
    return "\n".join(_bare(error, 0))


def _bare(error: BaseException, depth: int) -> Iterator[str]:
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None and depth < _DEEPEST:
        yield from _bare(behind, depth + 1)
        yield "then"
    yield from (line.rstrip("\n") for line in traceback.format_list(traceback.extract_tb(error.__traceback__)))
    yield f"{type(error).__module__}.{type(error).__qualname__}{_told(error)}"
    if isinstance(error, BaseExceptionGroup) and depth < _DEEPEST:
        for inner in error.exceptions:
            yield "in it"
            yield from _bare(inner, depth + 1)


def _told(error: BaseException) -> str:
    """Return what the system says in an error of its own; whatever else a message says is withheld."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f": {error.strerror}"
    return " (its words are withheld)" if error.args else ""


def _bare_exception(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    found = event.pop("exc_info", None)
    if isinstance(found, tuple):
        found = found[1]
    elif found is True:
        found = sys.exc_info()[1]
    if isinstance(found, BaseException):
        event["exception"] = bare(found)
    return event


def _drop_personal(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in [k for k in event if k.startswith("pii.")]:
        del event[key]
    return event
