"""Pages on the backend's own server, at ``/dashboard/``: what the model has learnt, what it asks for, when to stop.

``reading`` turns the store into plain data, which ``/dashboard/api`` returns as it is; ``pages`` turns that data into a
layout. Nothing here trains, scores or reads Label Studio while a page waits: buttons ask for rounds, which run where
all rounds do.
"""
