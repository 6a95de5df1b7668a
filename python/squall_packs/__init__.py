"""Python environments of packs, and their tests: for the pack `packs` and `squall pack test`."""
