"""Defence prompts: what a language model is given beside an attacked picture so that it is misled less.

    prompted = FeatureDenoiser.from_pretrained().applied_to(vlm)    for the embedded model: its visual tokens, mended
    load_vlm(name, prefix=search_text_prefix(...).text)             for models of the hub: words before every question

Both are found once (`python -m purifier train-feature-denoiser`, `optimise-prompt`) and frozen; the model's own weights
are never touched.
"""
