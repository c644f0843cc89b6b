"""What runs inside the user's own process: standard library only, and never an exception into the app."""
