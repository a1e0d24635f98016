"""The rows: each a function that measures one promise and says what it found."""
