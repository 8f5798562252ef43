"""Several processes on the same sockets."""
