"""What is true: events, the rules that make them, and the one door to the stored log."""
