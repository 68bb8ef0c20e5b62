"""The one way to open an ONNX model: one thread, no spinning, no telemetry.

onnxruntime reports its use over the network unless ``ORT_DISABLE_TELEMETRY`` is set before its first
import; :mod:`perception.offline` does that, and every other module opens its models here. One thread per session is
the right number for models this small: several senses share the machine, and a spinning thread pool
would take whole cores from the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import perception.offline  # noqa: F401  before onnxruntime

_QUIET = 3
"""onnxruntime's log level for errors only."""


def open_session(model: Path | bytes, *, threads: int = 1) -> Any:
    """Open an ONNX model for the CPU.

    Args:
        model: path of the file, or its bytes.
        threads: threads inside one operator; 1 also keeps results identical from run to run.

    Returns:
        An ``onnxruntime.InferenceSession``. Its ``run`` releases the GIL and may be called from several
        threads at once.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import onnxruntime

    if isinstance(model, Path) and not model.is_file():
        raise FileNotFoundError(f"no ONNX model at {model}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _QUIET
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
