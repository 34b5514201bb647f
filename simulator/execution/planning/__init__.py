"""What a sweep would take, before it runs."""
