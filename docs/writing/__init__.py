"""How each page of docs/reference/ that follows from the code is written, a module each."""
