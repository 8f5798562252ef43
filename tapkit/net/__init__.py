"""How `protocol` and `internet` work: sockets, connections, and what asyncio wants of them."""
