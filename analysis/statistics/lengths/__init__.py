"""What losses do to the length of responses, and what that does to gold."""
