"""The documents Job, Plan, Journal and Certificate: frozen structures, decoded strictly."""
