"""What stands on nothing: errors, checks of options, JSON, files, locks, progress."""
