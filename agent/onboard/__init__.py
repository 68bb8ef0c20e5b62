"""On board: a call with the camera, the microphone and the speaker of this machine, without a browser or a server.

``devices``  what a microphone with its speaker and a camera are, how they are chosen, and what can go wrong;
``card``     the sound card (python-sounddevice);  ``lens``  the camera (OpenCV);  ``files``  files in their place;
``echo``     keeps the agent from hearing itself;  ``station``  hands what is heard and seen to whoever listens now;
``command``  ``agent talk``;  ``talk``  its call;  ``terminal``  captions and looks as lines;
``answer``   a question that is asked aloud;  ``face``  the agent's face on a screen.

The transport itself is :mod:`agent.transports.local`.
"""
