"""What is convenient: views folded from the log; every table here can be dropped and rebuilt."""
