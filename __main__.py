"""`python -m spikeproof`."""

from .cli.main import main

main()
