from __future__ import annotations

import structlog

from agent.logs import console

structlog.configure(processors=[structlog.stdlib.add_log_level, console()])
