"""Faults injected at every system call of a service and of its clients, one at a time, by strace(1)."""
