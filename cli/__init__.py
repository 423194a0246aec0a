"""The door: commands, texts, exit codes. Nothing is computed here."""
