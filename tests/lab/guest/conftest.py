"""Where the guest's tests begin: no conftest above this one is read there."""
