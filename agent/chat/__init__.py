"""``agent chat``: talk in the terminal, typed, through the loop of a live call, without sound or camera."""
