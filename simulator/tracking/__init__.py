"""Trackers: programs that keep and compare experiments, to which sweeps are logged, such as MLflow."""
