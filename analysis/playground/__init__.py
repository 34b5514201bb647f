"""The playground's page: one file in which policies train while one watches, with its lessons."""
