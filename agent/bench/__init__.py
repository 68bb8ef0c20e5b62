"""``agent bench``: items of a benchmark replayed through the loop of a live call, recorded, scored and reported."""
