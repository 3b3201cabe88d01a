"""Attacks on pictures, their purification, and the vision-language models that show what both do."""
