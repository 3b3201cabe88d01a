"""The embedded vision-language model: how it is built, trained, measured and used."""
