"""Hold the write lock of a database for a while: held.py DATABASE SECONDS.

A process of its own: another connection of one process would be of one mind with the first about locks.
"""

import sqlite3
import sys
import time

connection = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
