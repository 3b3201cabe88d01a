from purifier.cli import app


def main() -> None:
    """The console script `purifier`."""
    app(prog_name="purifier")


if __name__ == "__main__":
    app(prog_name="python -m purifier")
