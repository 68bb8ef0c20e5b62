"""Writes docs/protocol.schema.json and docs/protocol.vectors.json from the code.

python tools/protocol.py
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from agent import protocol  # noqa: E402
from agent.frames import Kind, pack, unpack  # noqa: E402

SCHEMA = ROOT / "docs" / "protocol.schema.json"
VECTORS = ROOT / "docs" / "protocol.vectors.json"


def good() -> list[dict[str, Any]]:
    """Frames that are taken, with what they hold."""
    samples = [0, 1, -1, 32767, -32768, 256, -2, 300]
    pcm = struct.pack("<8h", *samples)
    found = [
        ("the first sound of a microphone, 16 kHz", pack(Kind.PCM16, 16, 0, pcm), {"samples": samples}),
        ("sound at 24 kHz, 1.5 s later", pack(Kind.PCM16, 24, 1_500_000, pcm), {"samples": samples}),
        ("sound at 48 kHz", pack(Kind.PCM16, 48, 20_000, pcm), {"samples": samples}),
        ("the agent's sound, of reply 7", pack(Kind.PCM16, 24, 40_000, pcm, 7), {"samples": samples}),
        ("an Opus packet of 20 ms of silence", pack(Kind.OPUS, 48, 60_000, bytes.fromhex("f8fffe")), {}),
        ("a picture of 8x8 from the camera, JPEG", pack(Kind.JPEG, 0, 33_333, jpeg()), {"size": [8, 8]}),
        (
            "a picture of 2x1 of the screen, RGB: red, blue",
            pack(Kind.RGB, 1, 66_667, struct.pack("<HH", 2, 1) + bytes([255, 0, 0, 0, 0, 255])),
            {"size": [2, 1]},
        ),
    ]
    return [{"name": name, "hex": data.hex(), **_told(data), **more} for name, data, more in found]


def _told(data: bytes) -> dict[str, Any]:
    frame = unpack(data)
    return {
        "kind": frame.kind.name.lower(),
        "detail": frame.detail,
        "reply": frame.reply,
        "time_us": frame.time_us,
        "payload": frame.payload.hex(),
    }


def bad() -> list[dict[str, str]]:
    """Frames that are refused, with the name of the error."""
    pcm = bytes(8)
    found = [
        ("nothing", b"", "truncated_frame"),
        ("a header that breaks off", pack(Kind.PCM16, 16, 0, b"")[:9], "truncated_frame"),
        ("a header without sound", pack(Kind.PCM16, 16, 0, b""), "truncated_frame"),
        ("half a sample", pack(Kind.PCM16, 16, 0, bytes(7)), "truncated_frame"),
        ("version 2", b"\x02" + pack(Kind.PCM16, 16, 0, pcm)[1:], "wrong_version"),
        ("kind 9", b"\x01\x09" + pack(Kind.PCM16, 16, 0, pcm)[2:], "unknown_kind"),
        ("a flag", b"\x01\x01\x10\x01" + pack(Kind.PCM16, 16, 0, pcm)[4:], "unknown_kind"),
        ("sound at 44 kHz", pack(Kind.PCM16, 44, 0, pcm), "wrong_rate"),
        ("Opus at 16 kHz", pack(Kind.OPUS, 16, 0, pcm), "wrong_rate"),
        ("a picture of a third source", pack(Kind.JPEG, 2, 0, jpeg()), "wrong_source"),
        ("a time of 2 to the power of 53", pack(Kind.PCM16, 16, 1 << 53, pcm), "wrong_time"),
        (
            "2x2 in RGB, and a byte too few",
            pack(Kind.RGB, 0, 0, struct.pack("<HH", 2, 2) + bytes(11)),
            "truncated_frame",
        ),
        ("RGB of 9000x2", pack(Kind.RGB, 0, 0, struct.pack("<HH", 9000, 2) + bytes(6)), "picture_too_large"),
        ("JPEG without its end", pack(Kind.JPEG, 0, 0, jpeg()[:-2]), "truncated_frame"),
        ("what is no JPEG", pack(Kind.JPEG, 0, 0, b"\x89PNG\r\n\x1a\n\xff\xd9"), "not_a_picture"),
    ]
    return [{"name": name, "hex": data.hex(), "error": error} for name, data, error in found]


def jpeg() -> bytes:
    """Return a baseline JPEG of 8x8; kept in the vectors, so that they do not change with the encoder."""
    if VECTORS.is_file():
        for vector in json.loads(VECTORS.read_text(encoding="utf-8"))["good"]:
            if vector["kind"] == "jpeg":
                return bytes.fromhex(vector["payload"])
    done, data = cv2.imencode(".jpg", np.full((8, 8, 3), 128, np.uint8))
    assert done
    return bytes(data)


def texts() -> dict[str, str]:
    """Return the files, by path."""
    schema = json.dumps(protocol.schema(), indent=2, ensure_ascii=False) + "\n"
    vectors = json.dumps({"version": 1, "good": good(), "bad": bad()}, indent=2, ensure_ascii=False) + "\n"
    return {str(SCHEMA): schema, str(VECTORS): vectors}


def main() -> None:
    """Write them."""
    for path, text in texts().items():
        Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
