"""What one request passes through on each link: captured, counted, never assumed.

`tracing` puts a hop up and has `client` ask it while `capture` takes the frames, `calls` the system calls and `counters` the kernel's own
count; `frames` decodes, `events` names what happens, `unixside` and `sockets` look at the two ends; `cost` repeats each stage. What comes out
is `results`, plain data, which `layers`, `ladder` and `show` lay out. Nothing here knows a server's inside.
"""
