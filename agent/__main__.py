"""``python -m agent``: the command line, for launchers that take a module."""

from agent.cli import entry

if __name__ == "__main__":
    entry()
