import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before PyTorch is: spinning threads crawl on a busy machine

from causalclip.cli import app


def main() -> None:
    """The console script `causalclip`."""
    app(prog_name="causalclip")


if __name__ == "__main__":
    app(prog_name="python -m causalclip")
