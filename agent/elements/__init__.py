"""``<rapport-call>`` and ``<rapport-face>``: their sources, and the one ES module that each is served as."""
