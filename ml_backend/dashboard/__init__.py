"""Pages on the backend's own server, at ``/dashboard/``: what the model has learnt, what it asks for, when to stop.

``reading``: the store → plain data, which ``/dashboard/api`` gives as it is. ``pages``: that data → a layout. Nothing
here trains, scores or reads Label Studio while a page waits: buttons ask for rounds, which run where all rounds do.
"""
