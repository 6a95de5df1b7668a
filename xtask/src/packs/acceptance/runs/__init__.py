"""The end-to-end run of each pack, by its name."""
