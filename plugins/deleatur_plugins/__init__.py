"""The backends that ship with deleatur, one module per kind of storage."""
