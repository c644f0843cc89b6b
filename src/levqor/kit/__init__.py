"""What runs an installation elsewhere: units for systemd, a compose file, lines of a Procfile, made from its own settings."""
