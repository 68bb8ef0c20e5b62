"""A kiosk: it greets who comes, asks before it perceives anything, talks, says goodbye, and forgets.

``machine``   what happens when, as rules without devices, clocks or screens;
``arrival``   whether somebody stands there, without knowing who;
``kiosk``     the program around the rules;  ``__main__``  ``python -m examples.kiosk --help``.
"""
