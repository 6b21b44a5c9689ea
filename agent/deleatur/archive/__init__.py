"""The archive: what the law keeps, desensitized, encrypted for a named custodian, compared before any erase."""
