"""What only an exact world can do: instruments that need all responses, exact gold or thousands of policies."""
