"""Where policies live: a language, prompts, a reference, gold, and how policies are measured there."""
