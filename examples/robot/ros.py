"""A bridge to a robot that speaks ROS 2: the body's motions as topics of the usual message packages.

=======================  =====================================  ================================================
topic                    message                                what
=======================  =====================================  ================================================
``rapport/head``         ``sensor_msgs/JointState``             ``head_yaw head_pitch head_roll`` in radians (of
                                                                 REP 103: left and down are positive) and
                                                                 ``torso_lean`` 0..1
``rapport/eyes``         ``std_msgs/Float32MultiArray``         open, smile, brow, gaze right, gaze down, pupil
``rapport/mouth``        ``std_msgs/Float32MultiArray``         smile, open
``rapport/light``        ``std_msgs/ColorRGBA``                 colour; ``a`` is 1
``rapport/hearing``      ``std_msgs/Bool``, kept for latecomers  whether people are heard
``rapport/seeing``       ``std_msgs/Bool``, kept for latecomers  whether they are seen
``rapport/stop``         ``std_msgs/Empty``, is listened to     be quiet now
=======================  =====================================  ================================================

``rclpy`` comes with ROS 2, not with a package index: source its ``setup.bash`` first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from examples.robot.body import Eyes, Head, Light

JOINTS: Final = ("head_yaw", "head_pitch", "head_roll", "torso_lean")


class NoRos(Exception):
    """ROS 2 is not here; the message says what to do."""


class RosBody:
    """Publishes what the body should do.

    Args:
        stop: called when somebody publishes on ``rapport/stop``.
        node_name: of the node.

    Raises:
        NoRos: ``rclpy`` or the message packages are not installed.
    """

    def __init__(self, stop: Callable[[], None] = lambda: None, node_name: str = "rapport_body") -> None:
        try:
            import rclpy
            from rclpy.qos import DurabilityPolicy, QoSProfile
            from sensor_msgs.msg import JointState
            from std_msgs.msg import Bool, ColorRGBA, Empty, Float32MultiArray
        except ImportError as error:
            raise NoRos(
                f"{error.name} is not here; it comes with ROS 2: source /opt/ros/DISTRO/setup.bash, with the Python "
                "that ROS uses"
            ) from None
        self._rclpy: Any = rclpy
        self._joint_state, self._array, self._color, self._bool = JointState, Float32MultiArray, ColorRGBA, Bool
        self._owns = not rclpy.ok()
        if self._owns:
            rclpy.init()
        self._node: Any = rclpy.create_node(node_name)
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        make = self._node.create_publisher
        self._head = make(JointState, "rapport/head", 10)
        self._eyes = make(Float32MultiArray, "rapport/eyes", 10)
        self._mouth = make(Float32MultiArray, "rapport/mouth", 10)
        self._light = make(ColorRGBA, "rapport/light", 10)
        self._hearing = make(Bool, "rapport/hearing", kept)
        self._seeing = make(Bool, "rapport/seeing", kept)
        self._node.create_subscription(Empty, "rapport/stop", lambda _: stop(), 10)
        self.perceives(False, False)

    def turn_head(self, head: Head) -> None:
        """Publish the joints, and take in what was published for us."""
        message = self._joint_state()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.name = list(JOINTS)
        # Ours is seen from the person, REP 103 from the robot, whose left is the person's right.
        message.position = [math.radians(head.yaw), math.radians(head.pitch), math.radians(head.roll), head.lean]
        self._head.publish(message)
        self._rclpy.spin_once(self._node, timeout_sec=0.0)

    def set_eyes(self, eyes: Eyes) -> None:
        """Publish the eyes."""
        message = self._array()
        message.data = [eyes.open, eyes.smile, eyes.brow, *eyes.gaze, eyes.pupil]
        self._eyes.publish(message)

    def set_light(self, light: Light) -> None:
        """Publish the colour."""
        message = self._color()
        message.r, message.g, message.b, message.a = light.red, light.green, light.blue, 1.0
        self._light.publish(message)

    def set_mouth(self, smile: float, open: float) -> None:
        """Publish the mouth."""
        message = self._array()
        message.data = [smile, open]
        self._mouth.publish(message)

    def perceives(self, hearing: bool, seeing: bool) -> None:
        """Publish what is perceived."""
        for publisher, value in ((self._hearing, hearing), (self._seeing, seeing)):
            message = self._bool()
            message.data = value
            publisher.publish(message)

    def close(self) -> None:
        """Leave ROS; nobody is perceived any more."""
        self.perceives(False, False)
        self._node.destroy_node()
        if self._owns:
            self._rclpy.shutdown()
