"""Launchers: how workers are started, and how a request to one becomes an answer."""
