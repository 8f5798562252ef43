"""Hot restart: one process takes over from another."""
