"""What defences keep of a vision-language model's answers under attack, and what each part of ours
is worth.

report = evaluate_defences(EvaluationConfig(pictures=200), data=Path("../shared/data/vlm"))
"""

from benchmarks.defences.run import EvaluationConfig, evaluate_defences

__all__ = ["EvaluationConfig", "evaluate_defences"]
