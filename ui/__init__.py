"""The page. What it stands on reports to others by default; it is told not to before anything of it
is imported."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# Gradio's own client heeds only this one
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
