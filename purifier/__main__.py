from causalclip.cores import limit_threads

limit_threads()  # before PyTorch comes

from purifier.cli import app  # noqa: E402


def main() -> None:
    """The console script `purifier`."""
    app(prog_name="purifier")


if __name__ == "__main__":
    app(prog_name="python -m purifier")
