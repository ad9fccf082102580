"""The processes of a server: the supervisor that owns the listeners, and the workers that each run an engine."""
