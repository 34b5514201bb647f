"""The beta that ends training best, as the peak of a curve over a fine ladder of beta."""
