import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before PyTorch is: spinning threads crawl on a busy machine

from purifier.cli import app


def main() -> None:
    """The console script `purifier`."""
    app(prog_name="purifier")


if __name__ == "__main__":
    app(prog_name="python -m purifier")
