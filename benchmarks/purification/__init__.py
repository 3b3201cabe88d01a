"""What the purifier costs and what it keeps: the scripts behind the tables of docs/measured.md."""
