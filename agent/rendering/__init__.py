"""The corpus spoken by voices and heard by the workers of the runtime, so that training sees what a call brings.

``python -m agent.rendering`` is its command; docs/rendering.md says what it makes.
"""
