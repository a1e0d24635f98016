"""Of HTTP what the clients read of an answer: where its head ends, how long its body is, and whether
it says when to come back."""

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "
RETRY_AFTER = b"\r\nretry-after: "
