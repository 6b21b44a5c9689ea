"""What vendors test with: the contract suite, a memory backend, rogues and faults."""
