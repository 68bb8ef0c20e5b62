"""Run TFLite networks on the CPU, one thread each.

Weights are bytes, read once and shared; a :class:`Network` holds an interpreter and is not thread-safe,
so each worker makes its own.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Network:
    """One TFLite network with float32 inputs and outputs.

    Args:
        weights: the content of a ``.tflite`` file.

    Raises:
        ValueError: the bytes are no TFLite network.
    """

    def __init__(self, weights: bytes) -> None:
        self._interpreter = Interpreter(model_content=weights, num_threads=1)
        self._interpreter.allocate_tensors()
        self._inputs: list[dict[str, Any]] = self._interpreter.get_input_details()
        self._outputs: list[dict[str, Any]] = self._interpreter.get_output_details()

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order in which :meth:`__call__` takes them."""
        return tuple(str(detail["name"]) for detail in self._inputs)

    @cached_property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the outputs, in the order in which :meth:`__call__` returns them."""
        return tuple(tuple(int(n) for n in detail["shape"]) for detail in self._outputs)

    def __call__(self, *inputs: Floats) -> list[Floats]:
        """Run once.

        Args:
            inputs: one array per input of the network, of exactly its shape.

        Returns:
            One fresh array per output.

        Raises:
            ValueError: an input is missing or has another shape.
        """
        for detail, value in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._outputs]


def read_bundle(source: Path | bytes) -> Mapping[str, bytes]:
    """Return the members of a MediaPipe ``.task`` file, a zip that may hold further ``.task`` files.

    Members of an inner bundle appear under their own file name, beside those of the outer one.

    Raises:
        ValueError: it is no such bundle.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(stream) as bundle:
            for name in bundle.namelist():
                content = bundle.read(name)
                if name.endswith(".task"):
                    members.update(read_bundle(content))
                else:
                    members[name] = content
    except zipfile.BadZipFile as error:
        raise ValueError(f"{source if isinstance(source, Path) else 'a member'} is no .task bundle") from error
    return members
