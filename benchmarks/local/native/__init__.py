"""A second round of ideas of a local head: traces of files as they are, at native size. None became an answer."""
