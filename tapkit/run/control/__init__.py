"""The control socket: asking a running daemon."""
