"""Published claims, and how they are tested."""
