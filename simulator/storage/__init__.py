"""The result directory: what lies where, written whole, checked, repaired and joined."""
