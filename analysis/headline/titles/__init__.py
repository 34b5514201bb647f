"""What figures of one matter find, beside the headline."""
