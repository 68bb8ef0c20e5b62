"""Training from the command line: ``agent train sft | grpo | eval``."""
