import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before PyTorch is: spinning threads crawl on a busy machine

from causalclip.cli import app

if __name__ == "__main__":
    app(prog_name="python -m causalclip")
