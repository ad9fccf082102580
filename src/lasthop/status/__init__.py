"""How running servers are, for whoever asks: finding and asking them, and showing what they say. Knows the pages, not the server."""
