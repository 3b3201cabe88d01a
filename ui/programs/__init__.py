"""For programs: plain HTTP under /api/v1, beside Gradio's own API and MCP."""
