"""A campaign of damage: inputs that nobody should have written, and kills at any moment. See docs/reliability.md."""
