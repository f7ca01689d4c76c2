"""Runs a command and tells what it and everything it started has cost, as one line of JSON.

    python measure.py OUTPUT COMMAND…

The shell's `time` misses processes whose parent ends first (the JVM behind pyspark). This process adopts such orphans
and waits for them, so that the kernel adds their times to ours.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Runs the command with its output in a file; returns its exit status."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.monotonic()
    with open(sys.argv[1], "wb") as output:
        process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    status = process.wait()
    wall = time.monotonic() - began
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"status": status, "wall": wall, "cpu": used.ru_utime + used.ru_stime,
                      # The largest process: all peers here do their work in one.
                      "rss_mib": used.ru_maxrss / 1024}))
    return status


if __name__ == "__main__":
    sys.exit(main())
