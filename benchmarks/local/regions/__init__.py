"""Ideas of a local head, compared on held-out owners, and the one that is shipped, measured on test pictures."""
