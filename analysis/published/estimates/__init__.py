"""What the claims of single papers are judged by."""
