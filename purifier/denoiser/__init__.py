"""The purifier: attack detector, guidance and filters, put together in pipeline with a network."""
