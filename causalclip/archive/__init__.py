"""From one picture to an archive: every picture of a source judged once, on Ray Data, into a Parquet dataset."""
