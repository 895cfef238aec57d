"""The node's command in a process that kills itself: POINT OCCURRENCE, then as for `paxnode`."""

import sys

from node.cli import main
from tests.faults.crash_points import arm, point_named

if __name__ == "__main__":
    name, occurrence = sys.argv[1:3]
    del sys.argv[1:3]
    arm(point_named(name), int(occurrence))
    main()
