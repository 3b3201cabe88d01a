"""Defence prompts: what a language model is given beside an attacked picture so that it is misled less.

    prompted = SoftPrompt.from_pretrained().applied_to(vlm)      learned soft tokens, for the embedded model
    load_vlm(name, prefix=search_text_prefix(...).text)          searched words, for models of the hub

Both are found once (`python -m purifier optimise-prompt`) and frozen; the model's own weights are never touched.
"""
