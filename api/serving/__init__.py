"""Running the service: a parent that keeps a follower and workers alive, and lets them finish."""
