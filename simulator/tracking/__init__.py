"""Trackers: what is told of a sweep to programs that keep and compare experiments, such as MLflow."""
