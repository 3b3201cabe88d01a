"""The class that diffusers finds for this folder: the code is in CausalCLIP."""

from purifier.denoiser.pipeline import PurifierPipeline

__all__ = ["PurifierPipeline"]
