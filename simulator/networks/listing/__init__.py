"""Every response of a small world: the prefix tree that their laws come from, and their list."""
