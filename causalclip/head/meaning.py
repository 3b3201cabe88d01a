"""What the mask does and does not do, in one sentence: the card, the mask explorer and the docs say it."""

from causalclip.languages import N_

SHARES_THE_LABEL = 0.6  # accuracy from which an adversary that sees what is held back does better than by chance
MASK_MEANING = N_(
    "The mask shows what the verdict reads, but it does not separate what caused a picture to look generated: what it "
    "holds back tells generated pictures from photographs, too, a verdict without a mask is as good, and “causal” is "
    "the paper's name for what passes, not a proof."
)
GATES_MEANING = N_(
    "The mask is the same for every picture: those channels pass whose weight in the verdict kept its sign and its "
    "size, whichever half of the sites it was learned from."
)
