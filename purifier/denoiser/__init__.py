"""The purifier: bridge, guidance, attack detector and filters, put together in pipeline."""
