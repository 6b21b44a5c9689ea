"""Rules that make records say less, over Arrow tables. Pure."""
