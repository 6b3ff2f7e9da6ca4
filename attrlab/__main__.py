"""`python -m attrlab` is the command line."""

from attrlab.cli import main

main()
