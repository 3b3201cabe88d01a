"""What the benchmarks measured, as Markdown: the tables of docs/measured.md, the README and the detector's card."""
