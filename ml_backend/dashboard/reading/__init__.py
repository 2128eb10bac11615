"""Turns the store into plain data, without Dash: what pages show, the API returns and the report prints."""
