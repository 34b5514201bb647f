"""Code of the user's own: found, loaded, shut off from everything else, and hashed."""
