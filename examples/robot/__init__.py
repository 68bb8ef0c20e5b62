"""A robot: what the agent shows becomes a head that moves, eyes, lights and gestures.

``body``       what a robot is to this program, and the motions of each emotion and gesture;
``driver``     from the call's display events to a body, in time;
``simulated``  a robot that draws itself;  ``ros``  a bridge to a robot that speaks ROS 2;
``__main__``   puts them together: ``python -m examples.robot --help``.
"""
