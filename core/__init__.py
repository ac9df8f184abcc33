"""Words that every other package shares: errors, axes, files, records. No algorithms."""
