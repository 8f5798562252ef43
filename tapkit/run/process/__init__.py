"""What is of the process itself: its lock, its forks, its user, its root directory."""
