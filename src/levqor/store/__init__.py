"""The one home of SQL and of the telemetry keys."""
