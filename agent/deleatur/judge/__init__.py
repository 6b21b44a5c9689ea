"""Pure judgement: planning, folding, evidence, assurance, statement. No I/O, clock or randomness."""
