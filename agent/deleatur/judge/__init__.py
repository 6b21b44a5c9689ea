"""Pure judgement: planning, sampling, folding the journal, evidence, assurance, statement. No I/O, no clock, no randomness."""
