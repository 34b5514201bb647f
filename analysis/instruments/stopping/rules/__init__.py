"""The rules, a module each with a RULE in it. To add one, write a module here; nothing else is touched."""
