"""The commands: ``lsal COMMAND``, and the launchers in ``scripts/``."""
