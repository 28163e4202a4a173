"""The engine "rules": albums that recent purchases have together more often than by chance."""
