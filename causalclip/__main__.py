from causalclip.cores import limit_threads

limit_threads()  # before PyTorch comes

from causalclip.commands.app import app  # noqa: E402


def main() -> None:
    """The console script `causalclip`."""
    app(prog_name="causalclip")


if __name__ == "__main__":
    app(prog_name="python -m causalclip")
