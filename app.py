"""CausalCLIP's app: `python app.py`, then open the address that it prints.

`python app.py --help` lists the variables of the environment that it reads.
"""

from ui.start import main

if __name__ == "__main__":
    main()
