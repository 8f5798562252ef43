"""The commands: one file a script, each with main(argv) -> exit status."""
