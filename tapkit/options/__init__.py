"""How `usage.Options` works: declarations, grammar, reading, help, secrets."""
