"""What a supervisor asks of its http server: a byte each, through the pipe whose end says that it is gone."""

ANEW = b"s"
"""Listen at another `api.sock`: somebody has removed it."""
ANSWER = b"a"
"""Write a byte into the pipe that said that you listen: a server that hangs cannot."""
LET_GO = b"d"
"""Close the connections to the database that are kept: I am kept from writing."""
