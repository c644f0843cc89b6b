"""The one place where adapters are built and handed in: a room for each part, `plane` for the whole."""
