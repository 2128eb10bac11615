"""Active learning for stock Label Studio: an ML backend, query strategies and the loop between them."""

import os

# Threads of OpenMP that wait for others sleep, where they would keep a core busy that other processes need. The library
# reads this once, as torch is loaded, so it is set before anything else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
