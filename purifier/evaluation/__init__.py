"""What defences keep of a vision-language model's answers under attack: the table of docs/measured.md.

report = evaluate_defences(EvaluationConfig(pictures=200), data=Path("../shared/data/vlm"))
print(markdown(report))
"""

from purifier.evaluation.report import markdown
from purifier.evaluation.run import EvaluationConfig, evaluate_defences

__all__ = ["EvaluationConfig", "evaluate_defences", "markdown"]
