"""Defence prompts for models of the hub: words before every question, with which an attacked picture misleads less.

    load_vlm(name, prefix=search_text_prefix(...).text)

They are found once (`python -m purifier optimise-prompt`); the model's weights are never touched. What helps the
embedded model is in `purifier.vlm.eye`.
"""
