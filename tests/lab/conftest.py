"""The tests in guest/ run in the guest only: here they are what test_in_guest.py sends there."""

collect_ignore = ["guest"]
