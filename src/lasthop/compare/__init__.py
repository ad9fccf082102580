"""`lasthop compare`: which link is better on this machine, by how much, and is it sure.

`plan` says what is measured, `rounds` measures it, `results` is what was measured (and its file), `verdict` is what it means,
`table` and `page` show it. Knows the links, the fronts and the engine's load; never a server's inside: servers are started as any program is.
"""
