"""The socket file with each server, in situations that users meet: what each does, as a table. `python -m bench.matrix`."""
