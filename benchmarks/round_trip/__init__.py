"""The same experiment by our trainer and by Hugging Face TRL's, measured in one world."""
