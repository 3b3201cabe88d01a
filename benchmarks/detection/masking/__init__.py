"""Ideas of a mask, and what they are judged on."""
