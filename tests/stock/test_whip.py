"""Publishers of others are callers at /whip: FFmpeg's muxer inside PyAV, and GStreamer's WHIP client."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent import token
from agent.refusal import Refused
from agent.whip import candidates, links
from tests import rtc
from tests.stock.conftest import HERE, missing, tool
from tests.stock.publisher import TONE_HZ
from tests.test_server import House, house, run

pytestmark = pytest.mark.slow

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate on P-256, the curve of browsers, and its key. FFmpeg's own default is RSA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    made = builder.sign(key, hashes.SHA256())
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return cert_file, key_file


@asynccontextmanager
async def running(command: list[str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A publisher in a process of its own; what it said is told where the test fails for time."""
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield process
    except TimeoutError:
        raise AssertionError((folder / "log").read_text(errors="replace")[-3000:]) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.stdin is not None:
            process.stdin.close()


def loudest_hz(h: House) -> float:
    """Frequency of what was heard over the last half second."""
    heard = np.concatenate([chunk.samples for chunk in h.runtime.audio])[-8000:]
    return float(np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard))))) * 16_000 / len(heard))


def test_ffmpeg_is_a_caller(tmp_path: Path) -> None:
    if "whip" not in av.formats_available:
        missing("this PyAV has an FFmpeg without the WHIP muxer; FFmpeg 8 has one")

    async def main() -> None:
        key_file = tmp_path / "key"
        token.new_key(key_file)
        certificate_file, certificate_key = certificate(tmp_path)
        async with house(key_file=str(key_file)) as h:
            join = token.mint(token.read_key(key_file), ttl_s=60)
            command = [sys.executable, str(HERE / "publisher.py"), f"{h.http.base_url}/whip"]
            async with running([*command, str(certificate_file), str(certificate_key), join], tmp_path) as publisher:
                await h.runtime.until(lambda: len(h.runtime.audio) > 75 and len(h.runtime.video) > 12, 20)
                assert publisher.stdin is not None
                publisher.stdin.close()
                async with asyncio.timeout(5):
                    await h.runtime.ended.wait()
                    assert await publisher.wait() == 0
            assert abs(loudest_hz(h) - TONE_HZ) < 5
            assert h.runtime.video[-1].pixels.mean() > h.runtime.video[0].pixels.mean()
            assert h.runtime.why == "bye"

    run(main)


@pytest.mark.parametrize("trickle", [True, False], ids=["trickle", "at once"])
def test_gstreamer_is_a_caller(trickle: bool, tmp_path: Path) -> None:
    program = tool("whip-client", "simple-whip-client")
    audio = (
        "audiotestsrc is-live=true freq=440 ! audioconvert ! audioresample ! queue ! opusenc ! "
        "rtpopuspay pt=100 ssrc=1 ! queue ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100"
    )
    video = (
        "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! videoconvert ! "
        "queue ! vp8enc deadline=1 ! rtpvp8pay pt=96 ssrc=2 ! queue ! "
        "application/x-rtp,media=video,encoding-name=VP8,payload=96"
    )

    async def main() -> None:
        async with house() as h:
            options = ["-u", f"{h.http.base_url}/whip", "-A", audio, "-V", video, *([] if trickle else ["-n"])]
            async with running([program, *options], tmp_path) as publisher:
                await h.runtime.until(lambda: len(h.runtime.audio) > 75 and len(h.runtime.video) > 12, 20)
                publisher.send_signal(signal.SIGINT)
                async with asyncio.timeout(5):
                    await h.runtime.ended.wait()
                    await publisher.wait()
            assert abs(loudest_hz(h) - TONE_HZ) < 5
            assert h.runtime.why == "bye"

    run(main)


async def offer() -> tuple[RTCPeerConnection, str]:
    pc = RTCPeerConnection()
    pc.addTrack(rtc.microphone())
    await pc.setLocalDescription(await pc.createOffer())
    return pc, pc.localDescription.sdp


def test_the_words_of_the_protocol() -> None:
    async def main() -> None:
        async with house(ice_servers=("stun:127.0.0.1:3478",)) as h:
            told = await h.http.options("/whip")
            assert told.status_code == 204
            assert told.headers["accept-post"] == "application/sdp"
            pc, sdp = await offer()
            made = await h.http.post("/whip", content=sdp, headers=SDP)
            assert made.status_code == 201, made.text
            assert made.headers["content-type"] == "application/sdp"
            assert made.headers["link"] == '<stun:127.0.0.1:3478>; rel="ice-server"'
            assert "a=setup:passive" in made.text  # a publisher with an RSA certificate could not be called
            where, tag = made.headers["location"], made.headers["etag"]
            assert where.startswith("/whip/")
            await pc.setRemoteDescription(RTCSessionDescription(made.text, "answer"))
            await h.runtime.until(lambda: len(h.runtime.audio) > 10)

            fragment = "a=ice-ufrag:abcd\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 4000 typ host\r\n"
            kinds = [(FRAGMENT, 428), (FRAGMENT | {"If-Match": '"x"'}, 412), (FRAGMENT | {"If-Match": "*"}, 422)]
            for headers, status in kinds:
                assert (await h.http.patch(where, content=fragment, headers=headers)).status_code == status
            assert (await h.http.patch(where, content=fragment, headers=SDP | {"If-Match": tag})).status_code == 415
            good = FRAGMENT | {"If-Match": tag}
            assert (await h.http.patch(where, content=fragment, headers=good)).status_code == 204
            assert (await h.http.patch(where, content="no", headers=good)).status_code == 400
            for method in ("GET", "PUT", "POST"):
                assert (await h.http.request(method, where)).status_code == 405
            assert (await h.http.get("/whip")).status_code == 405

            assert (await h.http.delete(where)).status_code == 200
            await h.runtime.ended.wait()
            assert (await h.http.delete("/whip/" + "0" * 32)).status_code == 404
            assert (await h.http.delete("/whip/none-such")).status_code == 404
            await pc.close()

    run(main)


def test_who_is_not_let_in_is_told_why(tmp_path: Path) -> None:
    async def main() -> None:
        pc, sdp = await offer()
        async with house(consent="required") as h:
            answer = await h.http.post("/whip", content=sdp, headers=SDP)
            assert answer.status_code == 403
            assert 'server.consent = "given"' in answer.json()["detail"]
            assert answer.headers["content-type"] == "application/problem+json"
        key_file = tmp_path / "key"
        token.new_key(key_file)
        async with house(key_file=str(key_file)) as h:
            assert (await h.http.post("/whip", content=sdp, headers=SDP)).status_code == 401
        async with house() as h:
            assert (await h.http.post("/whip", content=sdp)).status_code == 415
            assert (await h.http.post("/whip", content="v=0", headers=SDP)).status_code == 400
            assert (await h.http.post("/whip", content=b"\xff", headers=SDP)).status_code == 400
            stranger = SDP | {"Origin": "https://elsewhere.test"}
            assert (await h.http.post("/whip", content=sdp, headers=stranger)).status_code == 403
            assert await h.metric("rapport_calls ") == 0
        await pc.close()

    run(main)


def test_fragments_are_read_line_by_line() -> None:
    one = "candidate:1 1 udp 1 10.0.0.1 4000 typ host"
    text = f"a=ice-ufrag:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na={one}\r\na=end-of-candidates\r\n"
    assert candidates(text) == [(one, "0")]
    assert candidates("") == []
    for bad in (f"a={one}", "nonsense", "a=mid:" + "x" * 99, "a=mid:0\n" + f"a={one}\n" * 33, "a=x\n" * 300):
        with pytest.raises(Refused) as refused:
            candidates(bad)
        assert refused.value.status == 400


def test_relays_are_told_with_their_credentials() -> None:
    server = {"urls": ["turn:relay.test:3478"], "username": "1:x", "credential": 'a"b'}
    assert links(server) == [
        '<turn:relay.test:3478>; rel="ice-server"; username="1:x"; credential="a\\"b"; credential-type="password"'
    ]


def test_a_publisher_that_listens_hears_the_agent() -> None:
    """Sound in both directions is more than a WHIP publisher has, and costs nothing to give."""

    async def main() -> None:
        async with house() as h:
            client = rtc.Client()
            h.clients.append(client)
            body = await client.offer()
            made = await h.http.post("/whip", content=body["sdp"], headers=SDP)
            assert made.status_code == 201
            assert httpx.URL(made.headers["location"]).path.startswith("/whip/")
            assert "a=sendrecv" in made.text

    run(main)
