"""What varies in a sweep, what its runs are, how they are stacked, and what they hold in memory."""
