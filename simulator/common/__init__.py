"""What every other folder uses, without any science: errors, files, signals, random streams, names."""
