"""`python -m pinnsuite` is the command line."""

from pinnsuite.cli import main

if __name__ == "__main__":
    main()
