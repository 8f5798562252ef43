"""One process's life, for twistd."""
