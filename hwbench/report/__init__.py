"""Renderers: analysis tables in, text out. None of them prints, writes a file or imports torch."""
