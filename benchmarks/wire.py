"""Of HTTP what the clients read of an answer: where its head ends and how long its body is."""

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "
