"""The laws of errors, a module each with a LAW in it; all are found."""
