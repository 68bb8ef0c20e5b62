"""The process that decodes one media file, under limits of memory and time.

It says that it is ``ready``, takes one parcel, ``path sound pictures most_hz memory_mb cpu_s``, and answers with
``opened info notes hears``; once told to ``play`` it sends ``media`` with their arrays, and ``end``. Instead of each it
may say ``error kind says``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from agent.housing.child import bound_memory, own_pipe
from agent.housing.parcels import Pipe, wrap
from agent.media_decode import Decoding, MediaError, TooLarge, open_here
from perception.media import AudioChunk, VideoFrame

_AT_ONCE: Final = 16
_BYTES: Final = 1 << 19
_FILES: Final = 32


def main(_: Sequence[str] = ()) -> None:
    """Decode until the end of the file, or until the parent closes the pipe."""
    pipe = own_pipe(most=0)
    pipe.send({"did": "ready"})
    asked, _body = pipe.receive()
    path, memory_mb = asked["path"], int(asked["memory_mb"])
    breathe = _limit(memory_mb, int(asked["cpu_s"]))
    try:
        media = open_here(path, sound=asked["sound"], pictures=asked["pictures"], most_hz=asked["most_hz"])
        with media:
            pipe.send({"did": "opened", "info": asdict(media.info), "notes": media.notes, "hears": media.hears})
            pipe.receive()  # play
            for some in _batches(media):
                breathe()
                _send(pipe, some, media.notes)
            pipe.send({"did": "end", "notes": media.notes})
    except MediaError as error:
        pipe.send({"did": "error", "kind": type(error).__name__, "says": str(error)})
    except MemoryError:
        says = f"{path}: decoding it takes more than {memory_mb} MB of memory"
        pipe.send({"did": "error", "kind": TooLarge.__name__, "says": says})
    except (EOFError, BrokenPipeError):
        pass  # nobody wants the rest


def _batches(media: Decoding) -> Iterator[list[AudioChunk | VideoFrame]]:
    some: list[AudioChunk | VideoFrame] = []
    size = 0
    for item in media:
        some.append(item)
        size += item.samples.nbytes if isinstance(item, AudioChunk) else item.pixels.nbytes
        if len(some) == _AT_ONCE or size > _BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _send(pipe: Pipe, some: Sequence[AudioChunk | VideoFrame], notes: Sequence[str]) -> None:
    listed, arrays = wrap(some)
    pipe.send({"did": "media", "media": listed, "notes": notes}, arrays)


def _limit(memory_mb: int, cpu_s: int) -> Callable[[], object]:
    """Bound what this process may take; return what grants it ``cpu_s`` seconds of work from now on."""
    if sys.platform == "win32":
        return lambda: None
    import resource

    def breathe() -> Any:
        spent = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(spent.ru_utime + spent.ru_stime) + 1 + cpu_s
        return resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))

    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    bound_memory(memory_mb)
    breathe()
    return breathe
