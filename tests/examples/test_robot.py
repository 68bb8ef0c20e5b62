"""The robot: what the agent shows becomes motion, on a body that draws itself and on one that speaks ROS 2."""

from __future__ import annotations

import asyncio
import math
import sys
from inspect import signature
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from agent.action import Caption, Display
from agent.journal import Event, Note
from examples.robot import __main__ as program
from examples.robot.body import GESTURES, POSES, Eyes, Head, Light, Pose, pose_of, with_gesture
from examples.robot.driver import Driver
from examples.robot.remote import follow
from examples.robot.ros import JOINTS, NoRos, RosBody
from examples.robot.screen import RobotScreen
from examples.robot.simulated import SimulatedRobot, Window, draw
from policy.decision import EMOTIONS
from policy.decision import GESTURES as SHOWN
from tests.docs.blocks import ROOT, blocks
from tests.media_samples import write_sound
from tests.onboard.place import configuration

SHOTS = Path(__file__).parents[2] / "artefacts" / "screenshots"


class Steps:
    """A body that keeps how it was moved."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.eyes: list[Eyes] = []
        self.lights: list[Light] = []
        self.mouths: list[tuple[float, float]] = []
        self.lamps: list[tuple[bool, bool]] = []

    def turn_head(self, head: Head) -> None:
        self.heads.append(head)

    def set_eyes(self, eyes: Eyes) -> None:
        self.eyes.append(eyes)

    def set_light(self, light: Light) -> None:
        self.lights.append(light)

    def set_mouth(self, smile: float, open: float) -> None:
        self.mouths.append((smile, open))

    def perceives(self, hearing: bool, seeing: bool) -> None:
        self.lamps.append((hearing, seeing))


def run(driver: Driver, begin: float, end: float) -> None:
    for n in range(round(begin * 30), round(end * 30)):
        driver.step(n / 30)


def test_everything_that_the_agent_can_show_has_a_motion() -> None:
    assert set(POSES) == set(EMOTIONS)
    assert set(GESTURES) == set(SHOWN) - {"none"}
    assert len({pose_of(emotion) for emotion in EMOTIONS}) == len(EMOTIONS)
    rest = pose_of("neutral")
    for name in GESTURES:
        assert with_gesture(rest, name, 0.5 if name != "nod" else 0.3) != rest, name
        assert with_gesture(rest, name, 0.0) == with_gesture(rest, name, 1.0) == rest, name
    assert with_gesture(rest, "somersault", 0.5) == rest
    assert pose_of("rage") == rest


def test_a_look_comes_softly_and_stays() -> None:
    body = Steps()
    driver = Driver(body)
    run(driver, 0, 1)
    driver.show("sad", "none", 1.0)
    run(driver, 1, 4)
    smiles = [smile for smile, _ in body.mouths]
    assert smiles[29] == pytest.approx(0.25)
    assert -0.3 < smiles[33] < 0.25
    assert smiles[-1] == pytest.approx(-0.6, abs=0.01)
    assert max(abs(a - b) for a, b in pairwise(smiles)) < 0.15, "nothing jumps"
    assert body.lights[-1].blue > body.lights[-1].red + 0.3


def test_a_nod_goes_down_and_comes_back_and_two_are_not_twice_as_deep() -> None:
    def pitches(times: int) -> list[float]:
        body = Steps()
        driver = Driver(body)
        run(driver, 0, 1)
        for _ in range(times):
            driver.show("neutral", "nod")
        run(driver, 1, 3)
        return [head.pitch for head in body.heads[30:]]

    once = pitches(1)
    assert max(once) > 6
    assert abs(once[-1]) < 1.5
    assert pitches(2) == once


def test_the_mouth_follows_the_voice_and_closes_after_it() -> None:
    body = Steps()
    driver = Driver(body)
    for n in range(30):
        driver.sound(0.2 if n < 15 else 0.0)
        driver.step(n / 30)
    opened = [open for _, open in body.mouths]
    assert min(opened[2:15]) > 0.5
    assert opened[-1] < 0.05
    assert all(0 <= open <= 1 for open in opened)


def test_it_lives_while_nothing_happens_and_looks_up_to_think() -> None:
    body = Steps()
    driver = Driver(body)
    run(driver, 0, 20)
    assert 2 <= sum(a.open >= 0.5 > b.open for a, b in pairwise(body.eyes)) <= 9
    assert len({round(head.yaw, 3) for head in body.heads}) > 100
    driver.state("thinking")
    run(driver, 20, 20.1)
    assert body.eyes[-1].gaze[1] == pytest.approx(-0.5)


@pytest.mark.slow
def test_the_simulated_robot_shows_what_it_is_told() -> None:
    calm = draw(pose_of("calm"))
    assert calm.shape == (720, 720, 3)
    assert calm.dtype == np.uint8
    sad = draw(pose_of("sad", 1.0))
    assert np.abs(calm.astype(int) - sad).mean() > 10
    chest = sad[560:660, 310:410].reshape(-1, 3).mean(axis=0)
    assert chest[2] > chest[0] + 20, "its light is blue"
    shut = draw(Pose(eyes=Eyes(open=0.0)))
    open_ = draw(Pose())
    bright = [int((picture[250:340, 240:480].min(axis=2) > 200).sum()) for picture in (shut, open_)]
    assert bright[0] < bright[1] / 3
    lamps = [draw(Pose(), hearing=heard)[612, 268] for heard in (False, True)]
    assert int(lamps[1][0]) - int(lamps[1][2]) > 100 > abs(int(lamps[0][0]) - int(lamps[0][2]))


@pytest.mark.slow
def test_all_its_looks_on_one_sheet() -> None:
    pictures = [draw(pose_of(emotion, 0.8), 0.3, hearing=True, seeing=True, name=emotion) for emotion in EMOTIONS]
    small = [cv2.resize(picture, (480, 480), interpolation=cv2.INTER_AREA) for picture in pictures]
    SHOTS.mkdir(parents=True, exist_ok=True)
    sheet = np.vstack([np.hstack(small[row : row + 3]) for row in (0, 3, 6)])
    assert cv2.imwrite(str(SHOTS / "robot.png"), sheet[:, :, ::-1])
    means = {tuple(picture.reshape(-1, 3).mean(axis=0).round()) for picture in small}
    assert len(means) == len(EMOTIONS)


def test_what_a_call_shows_reaches_the_body() -> None:
    robot = SimulatedRobot()
    body = Steps()
    screen = RobotScreen(body)
    drawn: list[float] = []

    async def main() -> None:
        async with RobotScreen(robot, drawn.append).moving():
            await asyncio.sleep(0.2)

    asyncio.run(main())
    assert robot.calls == len(drawn) >= 3
    screen.show(Caption("agent", "Hi.", final=True))
    screen.show(Display("happy", "nod", 1.0))
    screen.tell(Event(0, Note("state", data={"state": "listening"})))
    screen.sound(0.3)
    run(screen.driver, 0, 3)
    assert screen.driver.pose.mouth > 0.9
    assert body.heads[-1].lean > 0.1
    screen.screen(perceives="I hear and see you")
    screen.screen("Goodbye.")
    assert body.lamps == [(True, True), (False, False)]
    screen.clear()
    run(screen.driver, 3, 8)
    assert screen.driver.pose.mouth == pytest.approx(0.25, abs=0.01)


class Recorded:
    """Stands in for ROS 2, as far as the bridge uses it."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Any]] = []
        self.listens: dict[str, Any] = {}
        self.kept: set[str] = set()
        self.nodes: list[str] = []
        self.running = False
        self.spins = 0

    def modules(self) -> dict[str, ModuleType]:
        def module(name: str, **what: Any) -> ModuleType:
            made = ModuleType(name)
            for key, value in what.items():
                setattr(made, key, value)
            return made

        def kind(name: str, *fields: str) -> type:
            def init(self: Any) -> None:
                for field in fields:
                    setattr(self, field, SimpleNamespace() if field == "header" else None)

            return type(name, (), {"__init__": init})

        return {
            "rclpy": module(
                "rclpy",
                ok=lambda: self.running,
                init=lambda: setattr(self, "running", True),
                shutdown=lambda: setattr(self, "running", False),
                create_node=self.node,
                spin_once=lambda node, timeout_sec: setattr(self, "spins", self.spins + (timeout_sec == 0)),
            ),
            "rclpy.qos": module(
                "rclpy.qos",
                QoSProfile=lambda depth, durability: ("kept", depth, durability),
                DurabilityPolicy=SimpleNamespace(TRANSIENT_LOCAL="transient"),
            ),
            "sensor_msgs": module("sensor_msgs"),
            "sensor_msgs.msg": module("sensor_msgs.msg", JointState=kind("JointState", "header", "name", "position")),
            "std_msgs": module("std_msgs"),
            "std_msgs.msg": module(
                "std_msgs.msg",
                Bool=kind("Bool", "data"),
                ColorRGBA=kind("ColorRGBA", "r", "g", "b", "a"),
                Empty=kind("Empty"),
                Float32MultiArray=kind("Float32MultiArray", "data"),
            ),
        }

    def node(self, name: str) -> Any:
        self.nodes.append(name)
        now = SimpleNamespace(to_msg=lambda: "now")
        return SimpleNamespace(
            create_publisher=self.publisher,
            create_subscription=lambda kind, topic, callback, depth: self.listens.update({topic: callback}),
            get_clock=lambda: SimpleNamespace(now=lambda: now),
            destroy_node=lambda: self.nodes.remove(name),
        )

    def publisher(self, kind: type, topic: str, quality: Any) -> Any:
        if quality == ("kept", 1, "transient"):
            self.kept.add(topic)

        def publish(message: Any) -> None:
            assert isinstance(message, kind)
            self.published.append((topic, message))

        return SimpleNamespace(publish=publish)

    def last(self, topic: str) -> Any:
        return [message for name, message in self.published if name == topic][-1]


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = Recorded()
    for name, module in found.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return found


def test_the_ros_bridge_publishes_motions_and_says_who_is_perceived(ros: Recorded) -> None:
    stopped: list[bool] = []
    body = RosBody(stop=lambda: stopped.append(True))
    assert ros.running
    assert ros.kept == {"rapport/hearing", "rapport/seeing"}
    driver = Driver(body)
    driver.show("sad", "none", 1.0)
    run(driver, 0, 3)
    head = ros.last("rapport/head")
    assert tuple(head.name) == JOINTS
    assert head.header.stamp == "now"
    assert math.degrees(head.position[1]) == pytest.approx(9, abs=1.5)
    assert len(ros.last("rapport/eyes").data) == 6
    assert ros.last("rapport/mouth").data[0] == pytest.approx(-0.6, abs=0.02)
    light = ros.last("rapport/light")
    assert (light.b, light.a) == (pytest.approx(0.85, abs=0.02), 1.0)
    assert ros.spins == 90
    body.perceives(True, False)
    assert (ros.last("rapport/hearing").data, ros.last("rapport/seeing").data) == (True, False)
    ros.listens["rapport/stop"](None)
    assert stopped == [True]
    body.close()
    assert (ros.last("rapport/hearing").data, ros.last("rapport/seeing").data) == (False, False)
    assert not ros.nodes
    assert not ros.running


def test_a_ros_that_runs_already_is_left_running(ros: Recorded) -> None:
    ros.running = True
    RosBody().close()
    assert ros.running


def test_where_there_is_no_tk_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(RuntimeError, match=r"no Tk here.* apt-get install python3-tk\), or .* --png FOLDER"):
        Window(SimulatedRobot())


def test_where_there_is_no_ros_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)
    with pytest.raises(NoRos, match=r"rclpy.* is not here; it comes with ROS 2: source /opt/ros/DISTRO/setup.bash"):
        RosBody()


def test_a_body_at_a_server_follows_the_events_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "clients" / "python" / "src"))
    client = pytest.importorskip("rapport_client")

    class Call:
        def __init__(self) -> None:
            self.announce: Any = None

        def announce_affect(self, show: Any) -> None:
            self.announce = show
            show(client.Perceived())

        async def __aiter__(self) -> Any:
            self.announce(client.Perceived(frozenset({"vad", "face"}), affect=True))
            yield client.Display(t="display", emotion="happy", gesture="nod", intensity=1.0, reply=1)
            yield client.Voice(t="voice", state="started", reply=1)

    body = Steps()
    driver = Driver(body)
    asyncio.run(follow(Call(), body, driver))
    assert body.lamps == [(False, False), (True, True)]
    run(driver, 0, 3)
    assert driver.pose.mouth > 0.9


def test_the_page_says_how_a_body_at_a_server_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "clients" / "python" / "src"))
    client = pytest.importorskip("rapport_client")
    page = (ROOT / "docs" / "robots.md").read_text(encoding="utf-8")
    (block,) = [b for b in blocks(page, "robots.md") if b.test == "in tests/examples/test_robot.py"]
    agreed: list[list[str]] = []

    class Call:
        speaker = SimpleNamespace(read=bytes)

        async def __aenter__(self) -> Call:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def consent(self, senses: list[str], **more: str) -> None:
            signature(client.Call.consent).bind(self, senses, **more)
            agreed.append(senses)

        def announce_affect(self, show: Any) -> None:
            show(client.Perceived(frozenset(agreed[0]), affect=True))

        async def __aiter__(self) -> Any:
            yield client.Display(t="display", emotion="happy", gesture="nod", intensity=1.0, reply=1)
            await asyncio.sleep(0.3)

    def connect(*given: Any, **options: Any) -> Call:
        signature(genuine).bind(*given, **options)
        return Call()

    genuine = client.Rapport.connect
    monkeypatch.setattr(client.Rapport, "connect", connect)
    found: dict[str, Any] = {}
    exec(block.text, found)
    body, soundcard = Steps(), SimpleNamespace()
    asyncio.run(found["main"](body, soundcard))
    assert body.lamps == [(True, False)]
    assert len(body.heads) > 3
    assert body.mouths[-1][0] > body.mouths[0][0]
    assert soundcard.play(4) == bytes(4)


@pytest.mark.slow
def test_the_program_holds_a_call_and_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sound(tmp_path / "hum.wav", seconds=0.5)
    loaded = configuration(tmp_path / "robot.toml")
    given = ["--config", str(loaded), "--camera", "none", "--consent", "--png", str(tmp_path / "film")]
    code = program.main([*given, "--mic", str(tmp_path / "hum.wav"), "--speaker", str(tmp_path / "said.wav")])
    assert code == 0, capsys.readouterr().err
    pictures = sorted((tmp_path / "film").glob("*.png"))
    assert len(pictures) > 5
    last = cv2.imread(str(pictures[-1]))
    assert last is not None
    assert last.shape == (720, 720, 3)
    assert program.main(["--mic", "none.wav", "--speaker", "none", "--camera", "none", "--consent"]) == 2
    assert "none.wav: no such file" in capsys.readouterr().err
