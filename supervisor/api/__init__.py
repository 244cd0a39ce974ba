"""The http server: a process of its own, and a client of the database like the command line.

It never imports the supervisor's loop, and it decides nothing: it submits, asks for ends, and shows.
"""
