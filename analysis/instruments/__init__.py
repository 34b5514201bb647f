"""What only an exact world can tell, beside the records of a sweep: where the loss of gold comes from, and the like."""
