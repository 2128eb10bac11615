"""The store → plain data, without Dash: what pages show, the API gives and the report prints."""
