"""What is due to the class of policies, to the data, and to the loss and its optimizer."""
