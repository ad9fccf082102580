"""What the hop is made of: addresses, listeners, the life of a socket's file, the peer at the other end. Knows no HTTP."""
