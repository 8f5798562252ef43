"""The state of a daemon, saved: at its stop, while it runs, and found again."""
