"""How everything here is trained, offline: the denoiser, the attack detector, the LoRA encoder, the
language model."""
