"""Who is asking, and what they may see: passwords, sessions, throttle and scopes."""
