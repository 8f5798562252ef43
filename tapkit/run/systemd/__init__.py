"""What a daemon and systemd say to each other."""
