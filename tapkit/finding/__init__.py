"""How `plugin.find` works: where plug-ins may be, and what a drop-in registers."""
