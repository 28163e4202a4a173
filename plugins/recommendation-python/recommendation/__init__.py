"""The engine "rules": what else is in the purchases with an album, more often than in others, and lately."""
