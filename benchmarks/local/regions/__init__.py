"""Ideas of a local head, compared on held-out owners, and the two best, measured on test pictures; none is shipped."""
