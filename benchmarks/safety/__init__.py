"""Safety and first answers, measured on sets that nobody who wrote the code has written.

The sets ``one``, ``two`` and ``four`` hold (``three`` the first and the third of these, ``five`` the last three), for
each of six grounds, plain statements of danger with everyday reasons, conversations in which a danger only shows, heavy
conversations that are safe, continuations after an alarm, losses and glad news, and questions to the agent about
itself. ``sets/BRIEF*.md`` is what their authors were told, ``sets/SHA256SUMS`` what they wrote; ``sets/LEFT_OUT.toml``
lists what a second reader, who saw only the sentences of the whole sets, found mislabelled before all measuring.

    python -m benchmarks.safety --set two                       detection, looks; the rest is written to be judged
    python -m benchmarks.safety --set two --part detection      the grid, hints, safe conversations

Everything goes through `agent safety check` and `agent chat --script`, as an operator would run them. The baseline in
the same run is patterns alone.
"""
