"""The parts of the sample book: who the customers are, what happens to them, what they owe."""
