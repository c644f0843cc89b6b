"""One module per published figure; `python -m bench` runs them all."""
