"""Safety: finds danger in what a person says, and says what is said about it.

* :mod:`policy.safety.detector` decides on a turn: none, a hint, or plain danger.
* :mod:`policy.safety.patterns` holds the patterns of plain danger, :mod:`policy.safety.classifier` the trained reader.
* :mod:`policy.safety.responses` has the reviewed lines, :mod:`policy.safety.helplines` who can help, by country.
"""
