"""What both command lines answer to a script: their exit codes, and the table of them for --help."""

DONE = 0
STOPPED = 1
REFUSED = 2
MEANINGS = {
    DONE: "Done, and every picture was read.",
    STOPPED: "It could not be done: weights, a package or data are missing, or an option makes no sense.",
    REFUSED: "A picture was refused (the others were judged), none was found, or the command was typed wrongly.",
}
TABLE = "\n\n".join(("Exit codes:", *(f"{code}  {meaning}" for code, meaning in MEANINGS.items())))
