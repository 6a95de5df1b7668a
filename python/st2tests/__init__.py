"""What the tests of packs inherit from; `squall pack test` runs them."""
