"""Training the purifier; never imported by the app."""
