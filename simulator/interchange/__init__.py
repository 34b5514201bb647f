"""What leaves the laboratory: models, tokenizers and data in the formats of Hugging Face, without any code of ours."""
