"""Result directories, read and written."""
