"""What a sweep found, as sentences with intervals that follow from its records by rules."""
