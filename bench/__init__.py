"""The bench: what a request costs on lasthop, on its peers and on the floor, side by side in one run.

Run it as ``python -m bench``. It knows how to start servers and how to read the kernel's counters; it knows nothing of
lasthop's inside and starts it as it starts any other server, from the command line.
"""
