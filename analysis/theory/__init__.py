"""What theory says of losses, beside what a sweep found."""
