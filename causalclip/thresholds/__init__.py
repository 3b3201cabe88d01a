"""Threshold calibration: an archive of known photographs, judged and made a profile (causalclip.profile)."""
