"""From a right-click to the answer of the extension, measured."""
