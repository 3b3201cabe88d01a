"""The page of the app.

Gradio and the hub's client report to others by default; they are told not to before anything of
them is imported.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# Gradio's own client heeds only this one
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
