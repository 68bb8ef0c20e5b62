from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from agent import logs


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged, as JSON lines and in full detail, as `agent -v serve --log-json` does."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    out, sys_stderr = io.StringIO(), sys.stderr
    sys.stderr = out
    try:
        logs.configure(json_lines=True, verbose=True)
        yield out
    finally:
        sys.stderr = sys_stderr
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
