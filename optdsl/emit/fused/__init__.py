"""What the fused targets share: names of emitted values, and conditions that are known before a kernel runs."""
