"""The walk: the only room that orders effects, opens backends and writes the journal."""
