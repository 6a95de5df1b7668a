"""What sensors of StackStorm packs import."""
