"""An autopilot for a Python service."""
