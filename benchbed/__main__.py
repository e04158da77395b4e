"""`python -m benchbed`."""

from benchbed.cli.main import main

if __name__ == "__main__":
    main()
