"""Programs to start from: a robot, and a kiosk."""
