"""ACT, and WHEN: the only package that starts tasks, reads a clock and opens calls."""
