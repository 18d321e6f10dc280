"""A campaign of damage: inputs that nobody should have written, and kills. See docs/reliability.md."""
