"""What `reproduce` leaves: of one paper, and of all papers a page over all claims."""
