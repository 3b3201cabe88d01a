from causalclip.cli import app


def main() -> None:
    """The console script `causalclip`."""
    app(prog_name="causalclip")


if __name__ == "__main__":
    app(prog_name="python -m causalclip")
