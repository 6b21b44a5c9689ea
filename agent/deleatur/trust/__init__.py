"""Keys, signatures, approvals, and the folder that a certificate lies in."""
